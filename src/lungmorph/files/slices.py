"""How the slices of one DICOM series lie to one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from ..errors import InputError
from ..space import Grid
from ..space.grid import Float
from .geometry import checked_grid

#: Positions are written with one decimal by some scanners: twice that rounding is no defect.
POSITION_TOLERANCE_MM = 0.06
#: Sideways drift over the stack that still counts as rounding.
DRIFT_TOLERANCE_MM = 0.15


def check_alike(folder: Path, headers: Sequence[Dataset]) -> None:
    """Refuse slices that cannot be one volume.

    Raises:
        InputError: fewer than 2 slices, colour, multi-frame, missing geometry, or different
            orientation, matrix size or pixel spacing.
    """
    for header in headers:
        if int(header.get("SamplesPerPixel") or 1) != 1:
            raise InputError(
                folder, expected="one value a pixel", found=f"{header.SamplesPerPixel} (colour)"
            )
        if int(header.get("NumberOfFrames") or 1) != 1:
            raise InputError(
                folder,
                expected="one slice a file",
                found=f"a multi-frame file of {header.NumberOfFrames} frames",
                do="convert it to NIfTI or to classic CT slices",
            )
        for tag, count in (
            ("ImagePositionPatient", 3),
            ("ImageOrientationPatient", 6),
            ("PixelSpacing", 2),
        ):
            value = header.get(tag)
            if value is None or isinstance(value, str) or np.size(value) != count:
                raise InputError(folder, expected=f"{tag} in every slice", found="one without it")
    if len(headers) < 2:
        raise InputError(folder, expected="a 3D series", found="one slice")
    _one_of(folder, "matrix size", [(int(h.Columns), int(h.Rows)) for h in headers], 0)
    _one_of(folder, "pixel spacing", [_numbers(h.PixelSpacing) for h in headers], 1e-4)
    _one_of(folder, "orientation", [_numbers(h.ImageOrientationPatient) for h in headers], 1e-3)


def stack_geometry(folder: Path, headers: Sequence[Dataset]) -> tuple[list[int], Grid]:
    """The order of the slices along their normal, and the grid that they fill.

    Raises:
        InputError: sheared axes, doubled positions, missing slices, uneven spacing, or gantry tilt.
    """
    first = headers[0]
    cosines = np.asarray(_numbers(first.ImageOrientationPatient)).reshape(2, 3)
    row, column = cosines / np.maximum(np.linalg.norm(cosines, axis=1, keepdims=True), 1e-9)
    if abs(row @ column) > 1e-3:
        raise InputError(
            folder,
            expected="an orthonormal direction",
            found=f"rows and columns at {np.degrees(np.arccos(row @ column)):.1f} degrees",
        )
    normal = np.cross(row, column)
    positions = np.array([_numbers(h.ImagePositionPatient) for h in headers])
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    positions, along = positions[order], along[order]
    _check_steps(folder, along)
    _check_tilt(folder, positions, along, normal)
    rows, columns = _numbers(first.PixelSpacing)
    step = (along[-1] - along[0]) / (len(along) - 1)
    grid = checked_grid(
        folder,
        (int(first.Columns), int(first.Rows), len(headers)),
        (columns, rows, float(step)),
        tuple(positions[0]),
        np.stack([row, column, normal], axis=1),
    )
    return [int(i) for i in order], grid


def _check_steps(folder: Path, along: Float) -> None:
    steps = np.diff(along)
    doubled = steps < 1e-3
    if doubled.any():
        where = along[1:][doubled][0]
        count = int((np.abs(along - where) < 1e-3).sum())
        raise InputError(
            folder,
            expected="one slice at every position",
            found=f"{count} at {where:.2f} mm along the normal, {int(doubled.sum())} doubled in all",
            do="4D CT phases or two exports in one series: keep one of them in the folder",
        )
    usual = float(np.median(steps))
    wide = np.flatnonzero(steps > 1.5 * usual)
    if len(wide):
        gaps = ", ".join(f"{along[i]:.2f} and {along[i + 1]:.2f} mm" for i in wide[:3])
        missing = int(sum(max(round(steps[i] / usual) - 1, 1) for i in wide))
        raise InputError(
            folder,
            expected=f"slices every {usual:.4g} mm",
            found=f"{missing} missing, between {gaps}" + (" ..." if len(wide) > 3 else ""),
            do="export the whole series",
        )
    even = np.linspace(along[0], along[-1], len(along))
    off = float(np.abs(along - even).max())
    if off > max(POSITION_TOLERANCE_MM, 0.01 * usual):
        raise InputError(
            folder,
            expected="evenly spaced slices",
            found=f"steps of {steps.min():.4g} to {steps.max():.4g} mm",
            do="resample the series to even spacing",
        )


def _check_tilt(folder: Path, positions: Float, along: Float, normal: Float) -> None:
    offset = positions - positions[0]
    sideways = np.linalg.norm(offset - np.outer(along - along[0], normal), axis=1)
    drift = float(sideways.max())
    if drift > DRIFT_TOLERANCE_MM:
        angle = np.degrees(np.arctan2(drift, along[-1] - along[0]))
        raise InputError(
            folder,
            expected="slices stacked along their normal",
            found=f"a sideways drift of {drift:.2f} mm ({angle:.1f} degrees: gantry tilt)",
            do="resample the series to an orthogonal grid",
        )


def _one_of(folder: Path, what: str, values: list[tuple[float, ...]], tolerance: float) -> None:
    spread = np.abs(np.asarray(values) - np.asarray(values[0])).max(axis=1)
    other = np.flatnonzero(spread > tolerance)
    if len(other):
        raise InputError(
            folder,
            expected=f"one {what} in a series",
            found=f"{values[0]} and {values[other[0]]} ({len(other)} slices differ)",
            do="keep only the slices of one acquisition in the folder",
        )


def _numbers(values: Sequence[object]) -> tuple[float, ...]:
    return tuple(float(str(v)) for v in values)
