"""Plastimatch (Shackleford et al.): B-splines, coarse to fine, on mean squares in the lung.

The wheel brings a program, which lies beside its interpreter.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import SimpleITK as sitk

from .pair import Pair

TITLE = "Plastimatch"
DISTRIBUTION = "plastimatch"
REQUIRES = ("plastimatch",)
SETTINGS = "B-splines of 60, 30, 20, 10 mm, MSE in the lung, lambda 1"
#: grid spacing in mm, sub-sampling along x, y, z, iterations
STAGES = ((60, 4, 4, 2, 50), (30, 2, 2, 2, 60), (20, 2, 2, 1, 60), (10, 2, 2, 1, 40))


def register(pair: Pair) -> sitk.Image:
    """``vf_out`` is LPS mm on the fixed grid, fixed -> moving."""
    out = pair.folder / "vf.mha"
    lines = [
        "[GLOBAL]",
        f"fixed={pair.path('fixed')}",
        f"moving={pair.path('moving')}",
        f"fixed_roi={pair.path('fixed_mask')}",
        f"vf_out={out}",
    ]
    for spacing, rx, ry, rz, iterations in STAGES:
        lines += [
            "[STAGE]",
            "xform=bspline",
            "impl=plastimatch",
            "optim=lbfgsb",
            "metric=mse",
            "threading=openmp",
            "regularization_lambda=1",
            f"grid_spac={spacing} {spacing} {spacing}",
            f"res={rx} {ry} {rz}",
            f"max_its={iterations}",
        ]
    command_file = pair.folder / "plastimatch.txt"
    command_file.write_text("\n".join(lines) + "\n")
    program = Path(sys.executable).parent / "plastimatch"
    subprocess.run([str(program), "register", str(command_file)], check=True)
    return sitk.ReadImage(str(out))
