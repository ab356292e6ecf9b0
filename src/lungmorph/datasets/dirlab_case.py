"""From the files of a DIR-Lab package to a case.

Geometry, for both collections. The files have none. DIR-Lab's coordinate document says that voxel
(1, 1, 1) is the right-most, front-most, *upper*-most one and that the axes run to the left, to the back
and *down*. Rows are therefore LPS already, and the slices are turned here, in the image and in the
landmarks alike: slice K of n, counted from 1, becomes index n - K. So the direction is the identity and
right-handed. (RegNet, VROC, the velocity-flow example of ANTs and others turn the slices too.) The
scanner's position is not in the files: the centre of the first voxel is put at (0, 0, 0) mm. All scans
of a case have one grid, so that distances of landmarks do not depend on any of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError
from ..files import read_landmarks
from ..space import Grid, Landmarks, Volume
from .case import Case, Dataset, LandmarkSet, Scan, noted
from .dirlab_files import CaseFiles, Layout, find_archives, find_cases
from .dirlab_hu import hounsfield
from .dirlab_tables import Published
from .raw import Size, check_bytes, map_raw

_FRAME = (
    "the files carry no position: the first voxel centre is put at 0 mm; slices, which run from head to "
    "foot in the files, are turned"
)
_VALUES = (
    "stored values are taken as HU + 1024 where air lies near 0, as HU where it lies near -1000; what is "
    "below -1024 HU is padding and becomes -1024"
)


def open_layout(
    root: Path,
    layout: Layout,
    size: Sequence[int] | None,
    spacing: Sequence[float] | None,
) -> Dataset:
    """Every case of a collection below ``root``; ``size`` and ``spacing`` replace the published ones.

    Raises:
        InputError: only one of size and spacing, or no valid ones.
    """
    given = _given_grid(layout, size, spacing)
    found = find_cases(root, layout)
    problems = [
        _line(archive, "the folder of a case", "an archive", "unpack it")
        for number, archive in sorted(find_archives(root, layout).items())
        if number not in found
    ]
    if not found:
        problems.append(_line(root, f"files such as {layout.example}", "none"))
    cases = tuple(_case(number, files, layout, given) for number, files in found.items())
    return Dataset(layout.kind, layout.title, root, cases, tuple(problems))


def load_turned(path: Path, grid: Grid) -> Volume:
    """The image of a file whose slices run from head to foot, in HU.

    Raises:
        InputError: other bytes than the grid needs, or values that are no CT.
    """
    stored = map_raw(path, grid.size)
    return Volume(torch.from_numpy(hounsfield(stored[::-1], path)), grid)


def read_turned(path: Path, scan: str, grid: Grid) -> Landmarks:
    """Landmarks of a text file (1-based i j k, slices from head to foot) as LPS mm of ``grid``.

    Raises:
        InputError: a line that is not three numbers, an index outside the image, no points.
    """
    index = grid.to_index(read_landmarks(path, scan, grid, first=1).points)
    index[:, 2] = grid.size[2] - 1 - index[:, 2]
    return Landmarks(grid.to_world(index), scan)


# ------------------------------------------------------------------ one case


def _case(number: int, files: CaseFiles, layout: Layout, given: Grid | None) -> Case:
    name = f"{layout.case}{number}"
    problems: list[str] = []
    notes = [_FRAME, _VALUES]
    scans: list[Scan] = []
    sets: list[LandmarkSet] = []
    published = layout.table.get(number) if given is None else None
    if given is not None:
        grid: Grid | None = given
        notes.append(f"size and spacing are not the published ones but as given: {given}")
    elif published is not None:
        grid = Grid(published.size, published.spacing)
        notes.append(_whole_set(published))
    else:
        grid = None
        known = f"{layout.case}1 to {layout.case}{max(layout.table)}"
        problems.append(_line(files.folder, known, name, "give its size and spacing"))
    problems += _doubled(files)
    if grid is not None:
        scans = _scans(files, grid, layout, problems)
        sets = _landmark_sets(files, grid, layout, problems, notes)
    return Case(
        name,
        name,
        tuple(scans),
        *layout.pair,
        landmark_sets=tuple(sets),
        published_before_mm=_before_of(published, sets, layout),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _scans(files: CaseFiles, grid: Grid, layout: Layout, problems: list[str]) -> list[Scan]:
    scans = []
    others = {f"{layout.case}{n}": published.size for n, published in layout.table.items()}
    names = [name for name, _ in layout.scans.values()]
    if missing := [name for name in names if name not in files.images]:
        problems.append(_line(files.folder, f"images of {', '.join(missing)}", "none"))
    for name, percent in layout.scans.values():
        paths = files.images.get(name, [])
        if len(paths) == 1 and noted(problems, partial(_fits, paths[0], grid, others)):
            load = partial(load_turned, paths[0], grid)
            scans.append(Scan(name, grid, load, paths[0], percent))
    return scans


def _fits(path: Path, grid: Grid, others: dict[str, Size]) -> bool:
    check_bytes(path, grid.size, others)
    return True


def _landmark_sets(
    files: CaseFiles, grid: Grid, layout: Layout, problems: list[str], notes: list[str]
) -> list[LandmarkSet]:
    sets = []
    for rank, expected in enumerate(layout.landmarks):
        there = files.landmarks.get(expected.name, {})
        if rank > 0 and not there:
            notes.append(f"no landmarks {expected.name}")
            continue
        if missing := [scan for scan in expected.scans if scan not in there]:
            text = f"landmarks {expected.name} of {', '.join(missing)}"
            beside = next((str(paths[0]) for paths in there.values()), "")
            do = f"copy the file to its place beside {beside}" if beside else ""
            problems.append(_line(files.folder, text, "none", do))
        points: dict[str, Landmarks] = {}
        for scan, paths in sorted(there.items()):
            if len(paths) == 1:
                found = noted(problems, partial(_as_many, paths[0], scan, grid, points))
                if found is not None:
                    points[scan] = found
        if len(points) > 1:
            sets.append(LandmarkSet(expected.name, points))
            if len(sets[-1]) != expected.count:
                number = f"{len(sets[-1])} landmarks {expected.name}"
                notes.append(f"{number}; DIR-Lab distributes {expected.count}")
    if sets and sets[0].name != layout.landmarks[0].name:
        notes.append(
            f"without the landmarks {layout.landmarks[0].name}, those of {sets[0].name} stand for the "
            "pair: published figures are not of these"
        )
    return sets


def _as_many(path: Path, scan: str, grid: Grid, others: dict[str, Landmarks]) -> Landmarks:
    """The landmarks of a scan, as many as of the others."""
    points = read_turned(path, scan, grid)
    for other, known in others.items():
        if len(points) != len(known):
            raise InputError(
                path, expected=f"{len(known)} landmarks, as in {other}", found=str(len(points))
            )
    return points


def _before_of(
    published: Published | None, sets: list[LandmarkSet], layout: Layout
) -> float | None:
    """The published distance of landmarks, unless those of another set stand for the pair."""
    others = bool(sets) and sets[0].name != layout.landmarks[0].name
    return None if published is None or others else published.before_mm


def _doubled(files: CaseFiles) -> list[str]:
    """One line where several files claim to be the same thing: which is meant cannot be known."""
    doubled = [paths for paths in files.kinds() if len(paths) > 1]
    if not doubled:
        return []
    first = doubled[0]
    more = f", and {len(doubled) - 1} more such files" if len(doubled) > 1 else ""
    return [_line(first[0], "one such file", f"another in {first[1]}{more}", "leave one of them")]


def _whole_set(published: Published) -> str:
    mean, sd = published.features_mm
    return (
        f"DIR-Lab's page gives {mean:.2f} +- {sd:.2f} mm before registration for all "
        f"{published.features} points that were marked; {published.before_mm:.2f} mm is that of "
        "the points it distributes"
    )


def _line(what: object, expected: str, found: str, do: str = "") -> str:
    return str(InputError(what, expected=expected, found=found, do=do))


def _given_grid(
    layout: Layout, size: Sequence[int] | None, spacing: Sequence[float] | None
) -> Grid | None:
    if size is None and spacing is None:
        return None
    if size is None or spacing is None:
        raise InputError(
            f"options of {layout.kind}",
            expected="size and spacing together",
            found="size alone" if spacing is None else "spacing alone",
        )
    try:
        whole = tuple(int(n) for n in size)
        if not np.array_equal(whole, np.asarray(size, dtype=np.float64)):
            raise ValueError(f"sizes are whole numbers, not {tuple(size)}")
        return Grid(whole, tuple(spacing))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"options of {layout.kind}",
            expected="size=(nx, ny, nz) and spacing=(x, y, z) in mm",
            found=str(error),
        ) from error
