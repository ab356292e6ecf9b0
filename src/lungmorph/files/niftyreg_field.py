"""Fields of NiftyReg: NIfTI images of vectors in RAS mm, whose kind is a number in the header.

Source: ``_reg_maths.h`` of NiftyReg, which numbers the kinds, and its manual of ``reg_transform``.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import InputError
from ..space import DisplacementField
from ..space.sampling import world_points
from .nifti_header import NiftiHeader

#: ``intent_p1`` of positions, and of displacements.
_POSITIONS, _DISPLACEMENTS = 0, 1


def is_niftyreg(header: NiftiHeader) -> bool:
    """Whether NiftyReg wrote it (``intent_name`` NREG_TRANS)."""
    return header.intent_name.startswith("NREG")


def niftyreg_field(read: DisplacementField, header: NiftiHeader, path: Path) -> DisplacementField:
    """The displacements, LPS mm, of a dense field of NiftyReg, reference (fixed) to floating (moving) points.

    Args:
        read: the numbers of the file as they are, on its grid.
        header: of the file; its kind is positions (``reg_transform -def``) or displacements (``-disp``).
        path: of the file, for people.

    Raises:
        InputError: control points, velocities.
    """
    kind = header.intent_parameter
    if kind not in (_POSITIONS, _DISPLACEMENTS):
        raise InputError(
            path,
            expected="a deformation or displacement field of NiftyReg",
            found=f"its control points or velocities (intent_p1 {kind:g})",
            do="convert it: reg_transform -ref FIXED -disp FILE FIELD.nii.gz",
        )
    turned = read.data * torch.tensor([-1.0, -1.0, 1.0])[:, None, None, None]
    if kind == _POSITIONS:
        turned = (turned - world_points(read.grid).movedim(-1, 0)).float()
    return DisplacementField(turned, read.grid)
