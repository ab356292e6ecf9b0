"""NiftyReg (Modat et al.): free-form deformation on local correlation. Package niftyreg, with programs inside."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .pair import Pair

TITLE = "NiftyReg"
DISTRIBUTION = "niftyreg"
REQUIRES = ("niftyreg",)
SETTINGS = "reg_f3d --lncc 5 -sx 10 -ln 4 -be 0.001"


def register(pair: Pair) -> sitk.Image:
    """``reg_transform -disp`` writes RAS mm on the fixed grid: x and y change their sign."""
    control, field = pair.folder / "cpp.nii", pair.folder / "displacement_ras.nii"
    spec = importlib.util.find_spec("niftyreg")
    assert spec is not None
    programs = Path(str(spec.origin)).parent / "bin"
    _, *settings = SETTINGS.split()
    images = ["-ref", pair.path("fixed"), "-flo", pair.path("moving")]
    mask = ["-rmask", pair.path("metric_mask"), "-omp", str(pair.threads)]
    written = ["-cpp", str(control), "-res", str(pair.folder / "warped.nii")]
    subprocess.run([str(programs / "reg_f3d"), *images, *mask, *settings, *written], check=True)
    subprocess.run(
        [str(programs / "reg_transform"), *images[:2], "-disp", str(control), str(field)],
        check=True,
    )
    vectors = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(field))))
    if vectors.shape[-1] != 3:
        vectors = np.moveaxis(vectors, 0, -1)  # a 5D file: the components come first
    out = sitk.GetImageFromArray(vectors * np.array([-1.0, -1.0, 1.0]), isVector=True)
    out.CopyInformation(pair.fixed)
    return out
