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
                folder,
                expected="one value a pixel",
                found=f"{header.SamplesPerPixel} (colour) in {_name(header)}",
            )
        if int(header.get("NumberOfFrames") or 1) != 1:
            raise InputError(
                folder,
                expected="one slice a file",
                found=f"a multi-frame file of {header.NumberOfFrames} frames, {_name(header)}",
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
                    found=f"none in {_name(header)}",
                )
    if len(headers) < 2:
        raise InputError(folder, expected="a 3D series", found="one slice")
    names = [_name(header) for header in headers]
    sizes = [(float(h.Columns), float(h.Rows)) for h in headers]
    _one_of(folder, "matrix size", sizes, names, 0)
    _one_of(folder, "pixel spacing", [_numbers(h.PixelSpacing) for h in headers], names, 1e-4)
    cosines = [_numbers(h.ImageOrientationPatient) for h in headers]
    _one_of(folder, "orientation", cosines, names, 1e-3)
    for tag in ("RescaleSlope", "RescaleIntercept"):
        _check_rescale(folder, tag, [header.get(tag) for header in headers], names)


def _check_rescale(
    folder: object, tag: str, values: Sequence[object], names: Sequence[str]
) -> None:
    """Without it, the voxels of one slice would be off by a thousand HU among the others."""
    bare = [
        name
        for name, value in zip(names, values, strict=True)
        if value is None or value in ("", ())
    ]
    if 0 < len(bare) < len(values):
        raise InputError(
            folder,
            expected=f"{tag} in every slice",
            found=f"none in {_shown(bare)}",
            do="export the series again",
        )
    flat = [n for n, value in zip(names, values, strict=True) if value is not None and value == 0]
    if tag == "RescaleSlope" and flat:
        raise InputError(folder, expected=f"a {tag} that is not 0", found=f"0 in {_shown(flat)}")


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
    _check_doubled(folder, along, steps, files)
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


def _check_doubled(folder: object, along: Float, steps: Float, files: Sequence[str]) -> None:
    doubled = steps < 1e-3
    if doubled.any():
        where = along[1:][doubled][0]
        there = np.flatnonzero(np.abs(along - where) < 1e-3)
        names = _shown([files[int(i)] for i in there if files[int(i)]])
        raise InputError(
            folder,
            expected="one slice at every position",
            found=f"{len(there)} at {where:.2f} mm along the normal"
            + (f" ({names})" if names else "")
            + f", {int(doubled.sum())} doubled in all",
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


def _one_of(
    folder: object,
    what: str,
    values: Sequence[tuple[float, ...]],
    names: Sequence[str],
    tolerance: float,
) -> None:
    table = np.asarray(values)
    _, kinds, counts = np.unique(
        np.round(table, 3), axis=0, return_inverse=True, return_counts=True
    )
    most = values[int(np.argmax(counts[kinds.ravel()]))]
    other = np.flatnonzero(np.abs(table - most).max(axis=1) > tolerance)
    if len(other):
        first = int(other[0])
        raise InputError(
            folder,
            expected=f"one {what} in a series",
            found=f"{_plain(most)}, and {_plain(values[first])} in {_shown([names[int(i)] for i in other])}",
            do="keep only the slices of one acquisition in the folder",
        )


def _plain(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"


def _shown(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - 3} more slices" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _name(header: Header) -> str:
    return Path(header.filename).name


def _numbers(values: Sequence[object]) -> tuple[float, ...]:
    return tuple(float(str(v)) for v in values)
