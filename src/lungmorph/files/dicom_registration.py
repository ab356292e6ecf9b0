"""DICOM registrations, as planning systems export them: Spatial Registration and Deformable Spatial Registration.

Source: DICOM PS3.3, C.20.2 and C.20.3. Both name a Registered frame, which the other, the Source, is brought to. The scan
of the Registered frame is the fixed image here, that of the Source frame the moving one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pydicom
import torch
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from ..errors import InputError
from ..space import Affine, Composite, DisplacementField, Grid, Transform
from .dicom_header import UNREADABLE, text
from .dicom_mark import is_dicom
from .displacements import check_displacements

#: A matrix (written as text) that differs from the identity by less than this changes nothing; mm, and without unit.
_NOTHING = 1e-5


def is_dicom_registration(path: Path) -> bool:
    """Whether a file is DICOM of the modality REG."""
    if not is_dicom(path):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, force=True, specific_tags=["Modality"])
            return text(data, "Modality") == "REG"
    except UNREADABLE:
        return False


def read_dicom_registration(path: Path) -> Transform:
    """Read a registration of the modality REG: from the Registered frame (fixed) to the Source frame (moving), LPS mm.

    * Deformable: after(before(x) + offset(x)): the matrix before, the offsets, the matrix after, in this order. The grid of the
      offsets lies in the Registered frame, where the matrix before has not been applied yet. Beyond it the matrices remain.
    * Rigid or affine: its matrices lead from the Source to the Registered frame, and are inverted.

    Frames that stay where they are do not count.

    Raises:
        InputError: another kind of DICOM file, a damaged one, several frames that are moved, or a grid that
            is undefined in places.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, force=True)
            if "DeformableRegistrationSequence" in data:
                syntax = getattr(data, "file_meta", {}).get("TransferSyntaxUID")
                floats = np.dtype(">f4" if syntax == ExplicitVRBigEndian else "<f4")
                items = data.DeformableRegistrationSequence
                return _only(path, [_deformable(path, item, floats) for item in items])
            if "RegistrationSequence" in data:
                return _only(path, [_affine(path, item) for item in data.RegistrationSequence])
            kind = text(data, "Modality") or "no modality"
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(
            path,
            expected="a whole DICOM registration",
            found=f"one that breaks off, or is damaged ({error})"[:160],
            do="export it again",
        ) from error
    raise InputError(
        path,
        expected="a DICOM registration (modality REG)",
        found=f"DICOM of another kind ({kind})",
        do="export the registration, or give an ITK transform",
    )


def _only(path: Path, found: list[Transform | None]) -> Transform:
    moved = [transform for transform in found if transform is not None]
    if not found or len(moved) > 1:
        _refuse(
            path, "a registration of one frame to another", f"{len(moved)} frames that are moved"
        )
    return moved[0] if moved else Affine.identity()


def _deformable(path: Path, item: Dataset, floats: np.dtype[Any]) -> Transform | None:
    before = _matrix(path, item.get("PreDeformationMatrixRegistrationSequence") or ())
    after = _matrix(path, item.get("PostDeformationMatrixRegistrationSequence") or ())
    grids = list(item.get("DeformableRegistrationGridSequence") or ())
    parts: list[Transform] = [matrix for matrix in (before, after) if matrix is not None]
    if grids:
        field = _field(path, grids[0], floats)
        if before is not None:
            # before(x) + offset is before(x + the offset turned back), with the offset read at x, not at before(x)
            back = torch.as_tensor(np.linalg.inv(before.linear), dtype=torch.float32)
            field = DisplacementField(torch.einsum("ij,jzyx->izyx", back, field.data), field.grid)
        parts.insert(0, field)
    if len(parts) > 1:
        return Composite(parts)
    return parts[0] if parts else None


def _affine(path: Path, item: Dataset) -> Affine | None:
    """Registered to Source frame; None if it changes nothing."""
    outer = item.get("MatrixRegistrationSequence") or ()
    matrix = _matrix(path, [step for one in outer for step in one.get("MatrixSequence") or ()])
    return None if matrix is None else matrix.inverse()


def _matrix(path: Path, steps: Iterable[Dataset]) -> Affine | None:
    """The matrices of the items, the first first; None if they change nothing."""
    whole = np.eye(4)
    for step in steps:
        values = np.asarray(step.FrameOfReferenceTransformationMatrix, dtype=np.float64)
        if values.size != 16:
            _refuse(path, "a matrix of 16 numbers", f"{values.size}")
        whole = values.reshape(4, 4) @ whole
    if np.allclose(whole, np.eye(4), atol=_NOTHING):
        return None
    try:
        return Affine(whole)
    except ValueError as error:
        _refuse(path, "a matrix that can be inverted", f"another one ({error})")


def _field(path: Path, item: Dataset, floats: np.dtype[Any]) -> DisplacementField:
    row, column = np.asarray(item.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    nx, ny, nz = (int(n) for n in item.GridDimensions)
    dx, dy, dz = (float(n) for n in item.GridResolution)
    x, y, z = (float(n) for n in item.ImagePositionPatient)
    axes = np.stack([row, column, np.cross(row, column)], axis=1)
    try:
        grid = Grid((nx, ny, nz), (dx, dy, dz), (x, y, z), tuple(map(tuple, axes)))
    except ValueError as error:
        _refuse(path, "a grid of offsets in the patient", f"{error}")
    values = np.frombuffer(item.VectorGridData, dtype=floats)
    if values.size != 3 * nx * ny * nz:
        _refuse(path, f"{nx}x{ny}x{nz} offsets of three components", f"{values.size} numbers")
    undefined = int((~np.isfinite(values.reshape(-1, 3))).any(axis=1).sum())
    if undefined:
        raise InputError(
            path,
            expected="offsets everywhere on the grid",
            found=f"{undefined} of {values.size // 3} undefined",
            do="export it for the lungs alone, or as a displacement image",
        )
    data = np.ascontiguousarray(np.moveaxis(values.reshape(nz, ny, nx, 3), -1, 0), np.float32)
    check_displacements(path, data)
    return DisplacementField(torch.from_numpy(data), grid)


def _refuse(path: Path, expected: str, found: str) -> NoReturn:
    raise InputError(path, expected=expected, found=found, do="export it again")
