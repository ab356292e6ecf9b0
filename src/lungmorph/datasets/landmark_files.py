"""Landmarks of a case from files: one of pairs, or one for every scan."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..files import read_landmark_pairs, read_landmarks
from ..files.replace import file_suffix
from ..space import Grid, Landmarks
from .case import LandmarkSet, noted


def pair_set(
    path: Path, fixed: str, moving: str, problems: list[str], name: str = "landmarks"
) -> list[LandmarkSet]:
    """The pairs of one CSV as a set of the scans ``fixed`` and ``moving``; empty if it is unusable."""
    pair = noted(problems, partial(read_landmark_pairs, path))
    if pair is None:
        return []
    points = {
        scan: Landmarks(side.points, scan) for scan, side in zip((fixed, moving), pair, strict=True)
    }
    return [LandmarkSet(name, points)]


def scan_set(
    name: str,
    files: Mapping[str, Path],
    grids: Mapping[str, Grid],
    problems: list[str],
    *,
    first: int | None = None,
    expert: bool = True,
) -> list[LandmarkSet]:
    """The points of several scans, a file a scan, as one set.

    Args:
        name, expert: as in :class:`LandmarkSet`.
        files: by the name of the scan, any format of :func:`lungmorph.files.read_landmarks`.
        grids: of the scans, for lists of voxel indices (``.txt``).
        problems: gets a line for every file that cannot be read or has another number of points than
            the first one; it is left out.
        first: where such lists start to count, 0 or 1.

    Returns:
        One set; none if fewer than two scans are left.
    """
    points: dict[str, Landmarks] = {}
    for scan, path in files.items():
        found = noted(problems, partial(_points, path, scan, grids.get(scan), first))
        if found is None:
            continue
        if points and len(found) != len(next(iter(points.values()))):
            one = next(iter(points))
            problems.append(
                str(
                    InputError(
                        path,
                        expected=f"{len(points[one])} points, as in {files[one]}",
                        found=str(len(found)),
                    )
                )
            )
            continue
        points[scan] = found
    if len(files) == 1:
        (scan, path), *_ = files.items()
        problems.append(
            str(InputError(path, expected="points of two scans or more", found=f"those of {scan}"))
        )
    return [LandmarkSet(name, points, expert)] if len(points) > 1 else []


def _points(path: Path, scan: str, grid: Grid | None, first: int | None) -> Landmarks:
    if file_suffix(path) == ".txt" and first is None:
        raise InputError(
            path,
            expected="to be told where counting starts, 0 or 1",
            found="a list of voxel indices alone",
            do="give the points in mm as .csv, or say it (first_index in a table)",
        )
    return read_landmarks(path, scan, image=grid, first=first or 0)
