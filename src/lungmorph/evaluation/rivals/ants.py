"""ANTs (Avants et al.): symmetric diffeomorphisms (SyN) on local correlation. Package antspyx."""

from __future__ import annotations

import SimpleITK as sitk

from .pair import Pair

TITLE = "ANTs SyN"
DISTRIBUTION = "antspyx"
REQUIRES = ("ants",)
SETTINGS = "SyNOnly, CC radius 2, 100x70x40x15 iterations"


def register(pair: Pair) -> sitk.Image:
    """Warps are LPS mm on the fixed grid, fixed -> moving."""
    import ants

    result = ants.registration(
        ants.image_read(pair.path("fixed")),
        ants.image_read(pair.path("moving")),
        type_of_transform="SyNOnly",
        initial_transform="Identity",
        mask=ants.image_read(pair.path("metric_mask")),
        syn_metric="CC",
        syn_sampling=2,
        reg_iterations=(100, 70, 40, 15),
        outprefix=str(pair.folder / "ants_"),
    )
    warp = next(name for name in result["fwdtransforms"] if name.endswith(".nii.gz"))
    return sitk.ReadImage(warp)
