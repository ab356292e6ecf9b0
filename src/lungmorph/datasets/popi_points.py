"""Landmarks of POPI / CREATIS: text files of x, y, z in mm, in one of two frames.

* 2007: "according to the first voxel reference frame (not according to the center of the image)": mm
  from the centre of the first voxel, along the axes of the image. Of the 41 points the last one marks an
  artefact and does not count in the owner's errors; it is left out.
* 2011: the "MHD coordinate system", the world of the headers of the MetaImages (the DICOM files of the
  same patients are shifted in y).

Both are the same where an image has its origin at 0. Files under other names than the owner's say
nothing of their frame: it is taken from where the points can lie, and refused where they can lie in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.tables import number_of, read_lines
from ..space import Grid, Landmarks
from ..space.grid import Float
from .case import LandmarkSet, noted
from .phases import phase_name
from .point_rows import read_rows
from .popi_layout import PatientFiles

FIRST_VOXEL, WORLD = "first-voxel", "world"
#: From mm as written, on the grid of the image, to LPS mm.
FRAMES: Mapping[str, Callable[[Grid, Float], Float]] = {
    FIRST_VOXEL: lambda grid, mm: grid.to_world(mm / np.asarray(grid.spacing)),
    WORLD: lambda grid, mm: mm,
}
OWNERS_FRAME = {2007: FIRST_VOXEL, 2011: WORLD}
COUNT_2007 = 41


def landmark_sets(
    files: PatientFiles,
    grids: Mapping[int, Grid],
    pair: tuple[int, int],
    frame: str | None,
    problems: list[str],
    notes: list[str],
) -> list[LandmarkSet]:
    """The landmarks of all phases of a patient that have an image, as one set.

    Args:
        files, grids: of the patient, by phase in percent.
        pair: phases of the fixed and the moving scan, both of which should have points.
        frame: key of :data:`FRAMES`; None: as the owner says.
        problems: gets a line for every phase whose points cannot be used; it is left out.
        notes: gets what was assumed.
    """
    if lacking := [phase_name(percent) for percent in pair if percent not in files.points]:
        of = f" of {' and '.join(lacking)}" if files.points else ""
        lack = InputError(files.folder, expected=f"landmarks (.pts){of}", found="none")
        problems.append(str(lack))
    written: dict[int, Float] = {}
    for percent, path in sorted(files.points.items()):
        rows = noted(problems, partial(read_points, path)) if percent in grids else None
        if rows is not None:
            written[percent] = rows
    # what most phases have; where that is not one number, what the fixed scan has
    counts = Counter(len(mm) for mm in written.values())
    own = len(written[pair[0]]) if pair[0] in written else 0
    count = max(counts, key=lambda n: (counts[n], n == own), default=0)
    kept = count
    if files.year == 2007 and count == COUNT_2007:
        kept -= 1
        notes.append(f"landmark {COUNT_2007} marks an artefact and is left out, as its owner does")
    told = frame or (None if files.renamed else OWNERS_FRAME[files.year])
    chosen = told or noted(problems, partial(_only_frame, files, written, grids, notes))
    if chosen is None:
        return []
    points: dict[str, Landmarks] = {}
    for percent, mm in written.items():
        placed = noted(
            problems,
            partial(_placed, files.points[percent], mm, grids[percent], chosen, count),
        )
        if placed is not None:
            name = phase_name(percent)
            points[name] = Landmarks(placed[:kept], name)
    return [LandmarkSet("landmarks", points)] if len(points) > 1 else []


def read_points(path: Path) -> Float:
    """The rows of a file as written, (N, 3), mm.

    At the top there may be a comment (``#X Y Z``), the number of points, or the two lines of elastix
    (``point`` and the number).

    Raises:
        InputError: as :func:`lungmorph.datasets.point_rows.read_rows`; voxel indices; another number
            of points than the file says.
    """
    told: float | None = None
    top = 0
    for line, text in enumerate(read_lines(path), 1):
        cells = text.split()
        if not cells or cells[0].startswith("#"):
            continue
        if cells[0].lower() == "index":
            raise InputError(path, expected="points in mm", found="voxel indices (index)")
        if len(cells) != 1 or told is not None:
            break
        if cells[0].lower() != "point":
            told = number_of(path, line, cells[0])
        top = line
    rows = read_rows(path, 3, skip=top)
    if told is not None and told != len(rows):
        raise InputError(path, expected=f"{told:g} points, as it says", found=str(len(rows)))
    return rows


def _only_frame(
    files: PatientFiles, written: Mapping[int, Float], grids: Mapping[int, Grid], notes: list[str]
) -> str:
    """The frame in which all points lie inside their images."""
    fitting = [
        frame
        for frame, place in FRAMES.items()
        if all(np.all(grids[p].contains(place(grids[p], mm))) for p, mm in written.items())
    ]
    apart = max(
        (
            float(np.abs(FRAMES[FIRST_VOXEL](grids[p], mm) - FRAMES[WORLD](grids[p], mm)).max())
            for p, mm in written.items()
        ),
        default=0.0,
    )
    if len(fitting) == 2 and apart > 1e-6:
        raise InputError(
            next(iter(files.points.values())),
            expected="landmarks whose frame is clear",
            found=f"points inside the image both from its first voxel and in its world, {apart:.4g} mm apart",
            do=f"say which it is (points={FIRST_VOXEL} or points={WORLD})",
        )
    if len(fitting) == 1:
        notes.append(
            f"{next(iter(files.points.values()))}: names of landmark files that are not the owner's; "
            f"taken as mm in the frame {fitting[0]!r}, as only there all points lie inside the image"
        )
    return fitting[0] if fitting else WORLD


def _placed(path: Path, mm: Float, grid: Grid, frame: str, count: int) -> Float:
    """Points in LPS mm, as many as there should be and all inside the image."""
    if len(mm) != count:
        raise InputError(
            path, expected=f"{count} points, as in the other phases", found=str(len(mm))
        )
    points = FRAMES[frame](grid, mm)
    outside = np.flatnonzero(~grid.contains(points))
    if len(outside):
        (other,) = set(FRAMES) - {frame}
        fits = bool(np.all(grid.contains(FRAMES[other](grid, mm))))
        raise InputError(
            path,
            expected=f"points inside {grid}, in the frame {frame!r}",
            found=f"{len(outside)} outside, the first of them {mm[outside[0]].tolist()}",
            do=f"all would be inside in the frame {other!r} (points={other})" if fits else "",
        )
    return points
