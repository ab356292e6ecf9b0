"""EMPIRE10: thirty pairs of chest CTs as MetaImage, with lung masks and without points::

    scans/01_Fixed.mhd, 01_Fixed.raw, 01_Moving.mhd, 01_Moving.raw, 02_Fixed.mhd, ...
    lungMasks/01_Fixed.mhd, ...

The archives of pairs 1 to 20 unpack both folders below ``Online/``. The landmarks by which the
challenge judges are not given out; one's own are read from a folder of files ``01.csv`` (pairs) or
``01_Fixed.csv`` and ``01_Moving.csv`` (also ``.fcsv``, ``.mrk.json``), LPS mm. All images have their
origin at (0, 0, 0), so millimetres from the first voxel are the same thing.

Source: K. Murphy et al., IEEE TMI 30(11), 2011, and https://empire10.grand-challenge.org.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..space import Grid
from .case import Case, Dataset, LandmarkSet, Scan
from .image_scan import image_scan
from .landmark_files import pair_set, scan_set
from .release_folders import release_folders

KIND, TITLE = "empire10", "EMPIRE10"
FIXED, MOVING = "Fixed", "Moving"
SCANS, MASKS, LANDMARKS = "scans", "lungMasks", "landmarks"
_SCAN = re.compile(rf"(\d\d)_({FIXED}|{MOVING})\.mhd")
_POINTS = (".csv", ".fcsv", ".mrk.json")


def recognises(root: Path) -> bool:
    """Whether ``01_Fixed.mhd`` or its like lies in a folder ``scans`` at some depth."""
    return any(True for _ in _parts(root))


def open_dataset(root: Path, *, landmarks: str | Path | None = None) -> Dataset:
    """Read all pairs below a folder.

    Args:
        root: holds ``scans`` and ``lungMasks``, or folders that do.
        landmarks: folder of one's own landmarks; by default ``landmarks`` beside ``scans``.

    Raises:
        InputError: ``landmarks`` is no folder.
    """
    if landmarks is not None and not Path(landmarks).is_dir():
        raise InputError(landmarks, expected="a folder of landmarks", found="none")
    problems: list[str] = []
    cases: dict[str, Case] = {}
    for part in _parts(root):
        if not (part / MASKS).is_dir():
            problems.append(_line(part / MASKS, "a folder of lung masks", "nothing there"))
        points = part / LANDMARKS if landmarks is None else Path(landmarks)
        for number in _numbers(part):
            if number in cases:
                problems.append(_line(part / SCANS, "every pair once", f"pair {number} once more"))
            else:
                cases[number] = _case(part, number, points)
    ordered = tuple(cases[number] for number in sorted(cases))
    return Dataset(KIND, TITLE, root, ordered, tuple(problems))


def _parts(root: Path) -> Iterator[Path]:
    """Folders with ``scans`` in them."""
    for folder, folders, _ in release_folders(root):
        if SCANS in folders and _numbers(folder):
            yield folder


def _numbers(part: Path) -> list[str]:
    matches = (_SCAN.fullmatch(path.name) for path in (part / SCANS).iterdir())
    return sorted({match[1] for match in matches if match})


def _case(part: Path, number: str, points: Path) -> Case:
    problems: list[str] = []
    scans = []
    for name in (FIXED, MOVING):
        file = f"{number}_{name}.mhd"
        mask = part / MASKS / file if (part / MASKS).is_dir() else None
        scan = image_scan(name, part / SCANS / file, problems, lungs=mask)
        scans += [scan] if scan else []
    return Case(
        id=number,
        patient=number,
        scans=tuple(scans),
        fixed=FIXED,
        moving=MOVING,
        landmark_sets=tuple(_landmarks(points, number, scans, problems)),
        problems=tuple(problems),
    )


def _landmarks(
    folder: Path, number: str, scans: list[Scan], problems: list[str]
) -> list[LandmarkSet]:
    grids = {scan.name: scan.grid for scan in scans}
    together = folder / f"{number}.csv"
    kept = []
    if together.is_file():
        for marked in pair_set(together, FIXED, MOVING, problems):
            kept += _inside(marked, dict.fromkeys((FIXED, MOVING), together), grids, problems)
    files = {
        name: path
        for name in (FIXED, MOVING)
        for path in (folder / f"{number}_{name}{suffix}" for suffix in _POINTS)
        if path.is_file()
    }
    if files:
        for marked in scan_set("landmarks", files, grids, problems):
            kept += _inside(marked, files, grids, problems)
    return kept


def _inside(
    marked: LandmarkSet, files: dict[str, Path], grids: dict[str, Grid], problems: list[str]
) -> list[LandmarkSet]:
    """The set again; nothing, and a line a file, if points lie outside their images."""
    outside = {
        name: int(np.sum(~grids[name].contains(points.points)))
        for name, points in marked.points.items()
        if name in grids
    }
    for name, count in outside.items():
        if count:
            what = f"points of {name} inside {grids[name]}"
            problems.append(_line(files[name], what, f"{count} outside"))
    return [] if any(outside.values()) else [marked]


def _line(what: object, expected: str, found: str) -> str:
    return str(InputError(what, expected=expected, found=found))
