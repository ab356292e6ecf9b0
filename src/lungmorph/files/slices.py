"""How the slices of one DICOM series lie to one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..space import Grid
from ..space.grid import Float
from .dicom_header import Header
from .geometry import checked_grid

#: Positions are written with one decimal by some scanners: twice that rounding is no defect.
POSITION_TOLERANCE_MM = 0.06
#: Tables shake: slices this far from their even places, and no more than a part of the distance
#: between slices, are put in their even places.
JITTER_TOLERANCE_MM, JITTER_PART = 0.2, 0.08
#: Sideways drift over the stack that still counts as rounding.
DRIFT_TOLERANCE_MM = 0.25


def check_alike(folder: object, headers: Sequence[Header]) -> None:
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
                raise InputError(
                    folder,
                    expected=f"{tag} in every slice",
                    found=f"none in {Path(header.filename).name}",
                )
    if len(headers) < 2:
        raise InputError(folder, expected="a 3D series", found="one slice")
    _one_of(folder, "matrix size", [(int(h.Columns), int(h.Rows)) for h in headers], 0)
    _one_of(folder, "pixel spacing", [_numbers(h.PixelSpacing) for h in headers], 1e-4)
    _one_of(folder, "orientation", [_numbers(h.ImageOrientationPatient) for h in headers], 1e-3)


def stack_geometry(folder: str | Path, headers: Sequence[Header]) -> tuple[list[int], Grid]:
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
    files = [Path(str(headers[i].filename)).name for i in order]
    start, step = _even_steps(folder, along, files)
    sideways = _check_tilt(folder, positions, along, normal)
    rows, columns = _numbers(first.PixelSpacing)
    grid = checked_grid(
        folder,
        (int(first.Columns), int(first.Rows), len(headers)),
        (columns, rows, step),
        tuple(sideways + start * normal),
        np.stack([row, column, normal], axis=1),
    )
    return [int(i) for i in order], grid


def _even_steps(folder: object, along: Float, files: Sequence[str]) -> tuple[float, float]:
    """Where the first slice lies along the normal, and the distance from slice to slice."""
    steps = np.diff(along)
    _check_doubled(folder, along, steps)
    usual = float(np.median(steps))
    wide = np.flatnonzero(steps > 1.5 * usual)
    if len(wide) > 2 and wide[-1] - wide[0] == len(wide) - 1 and np.ptp(steps[wide]) < 0.1 * usual:
        raise InputError(
            folder,
            expected="evenly spaced slices",
            found=f"{len(wide)} steps of {steps[wide[0]]:.4g} mm in a row beside steps of {usual:.4g} mm",
            do="resample the series to even spacing, or export it again if slices are missing there",
        )
    if len(wide):
        gaps = ", ".join(
            f"{along[i]:.2f} and {along[i + 1]:.2f} mm"
            + (f" (after {files[i]})" if files[i] else "")
            for i in wide[:3]
        )
        missing = int(sum(max(round(steps[i] / usual) - 1, 1) for i in wide))
        raise InputError(
            folder,
            expected=f"slices every {usual:.4g} mm",
            found=f"{missing} missing, between {gaps}" + (" ..." if len(wide) > 3 else ""),
            do="export the whole series",
        )
    even = np.linspace(along[0], along[-1], len(along))
    if np.abs(along - even).max() <= max(POSITION_TOLERANCE_MM, 0.01 * usual):
        return float(along[0]), float(even[1] - even[0])
    step, start = np.polyfit(np.arange(len(along)), along, 1)
    off = np.abs(along - start - step * np.arange(len(along))).max()
    if off > min(JITTER_TOLERANCE_MM, JITTER_PART * usual):
        raise InputError(
            folder,
            expected="evenly spaced slices",
            found=f"steps of {steps.min():.4g} to {steps.max():.4g} mm",
            do="resample the series to even spacing",
        )
    return float(start), float(step)


def _check_doubled(folder: object, along: Float, steps: Float) -> None:
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


def _check_tilt(folder: object, positions: Float, along: Float, normal: Float) -> Float:
    """The sideways part of the position that all slices share."""
    sideways = positions - np.outer(along, normal)
    if np.linalg.norm(sideways - sideways[0], axis=1).max() <= POSITION_TOLERANCE_MM:
        first: Float = sideways[0]
        return first
    slope, start = np.polyfit(along - along[0], sideways, 1)
    drift = float(np.linalg.norm(slope) * (along[-1] - along[0]))
    if drift > DRIFT_TOLERANCE_MM:
        angle = np.degrees(np.arctan2(drift, along[-1] - along[0]))
        raise InputError(
            folder,
            expected="slices stacked along their normal",
            found=f"a sideways drift of {drift:.2f} mm ({angle:.1f} degrees: gantry tilt)",
            do="resample the series to an orthogonal grid",
        )
    off = np.linalg.norm(sideways - start - np.outer(along - along[0], slope), axis=1).max()
    if off > JITTER_TOLERANCE_MM:
        raise InputError(
            folder,
            expected="slices stacked along their normal",
            found=f"some that lie up to {off:.2f} mm beside it",
            do="resample the series to an orthogonal grid",
        )
    mean: Float = sideways.mean(axis=0)
    return mean


def _one_of(folder: object, what: str, values: list[tuple[float, ...]], tolerance: float) -> None:
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
