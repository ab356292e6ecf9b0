"""Greedy (Yushkevich et al.): diffeomorphic demons-like steps on local correlation. Package picsl-greedy."""

from __future__ import annotations

import SimpleITK as sitk

from .pair import Pair

TITLE = "Greedy"
DISTRIBUTION = "picsl-greedy"
REQUIRES = ("picsl_greedy",)
SETTINGS = "-m NCC 2x2x2 -n 100x100x60x20 -s 2.0vox 0.7vox"


def register(pair: Pair) -> sitk.Image:
    """Warps are written as LPS mm on the fixed grid, fixed -> moving."""
    from picsl_greedy import Greedy3D

    out = pair.folder / "warp.nii.gz"
    images = f"-i {pair.path('fixed')} {pair.path('moving')} -gm {pair.path('metric_mask')}"
    Greedy3D().execute(f"-d 3 -threads {pair.threads} {images} {SETTINGS} -o {out}")
    return sitk.ReadImage(str(out))
