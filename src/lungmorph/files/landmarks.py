"""Landmarks: CSV, 3D Slicer markups (``.mrk.json``, ``.fcsv``) and plain lists of voxel indices.

In memory all points are LPS mm; a format that speaks RAS is turned here.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..space import Grid, Landmarks, Volume
from ..space.grid import Float
from .geometry import PathLike
from .markups import RAS_TO_LPS, fcsv_points, fcsv_text, markup_points, markups_text
from .replace import file_suffix, replacing
from .tables import Table, number_of, read_lines, read_table
from .tables import points as table_points

POINT_FILES = (".csv", ".mrk.json", ".json", ".fcsv", ".txt")
WRITTEN = (".csv", ".mrk.json", ".fcsv")
_PAIR = tuple(f"{frame}_{axis}" for frame in ("fixed", "moving") for axis in "xyz")


def read_landmarks(
    path: PathLike,
    frame: str = "fixed",
    image: Volume | Grid | None = None,
    first: int = 0,
) -> Landmarks:
    """Read the points of one image as LPS mm.

    Args:
        path: ``.csv`` with columns x, y, z (or x_ras, y_ras, z_ras; x_lps, ...) in mm, **LPS unless
            told otherwise**: by the column names, a column ``space`` (LPS or RAS), or a comment line
            such as ``# RAS mm``; ``.mrk.json`` or ``.fcsv`` of 3D Slicer; or ``.txt``, three voxel
            indices i j k a line.
        frame: the image that they lie in, "fixed" or "moving".
        image: the image whose voxels a ``.txt`` counts.
        first: index of the first voxel in a ``.txt``, 0 or 1 (DIR-Lab counts from 1).

    Raises:
        InputError: missing file, columns or points; a cell that is no number; frames that contradict
            one another or are not said; an index list without image, or outside of it.
    """
    path = Path(path)
    suffix = file_suffix(path)
    if suffix == ".csv":
        return Landmarks(_csv_points(path), frame)
    if suffix == ".fcsv":
        return Landmarks(fcsv_points(path), frame)
    if suffix in (".mrk.json", ".json"):
        return Landmarks(markup_points(path), frame)
    if suffix == ".txt":
        return _index_points(path, frame, image, first)
    raise _unknown(path, suffix)


def read_landmark_pairs(
    path: PathLike, moving: PathLike | None = None
) -> tuple[Landmarks, Landmarks]:
    """Read corresponding points of the fixed and the moving image, LPS mm.

    Args:
        path: CSV with the columns fixed_x, fixed_y, fixed_z, moving_x, moving_y, moving_z in any
            order (LPS mm, or RAS where a comment line ``# RAS mm`` says so); other columns are
            ignored. Or, with ``moving``, the fixed points in a file of :func:`read_landmarks`.
        moving: the moving points in a file of their own, in the same order.

    Raises:
        InputError: as :func:`read_landmarks`; not as many moving points as fixed ones.
    """
    if moving is not None:
        pair = read_landmarks(path, "fixed"), read_landmarks(moving, "moving")
        if len(pair[0]) != len(pair[1]):
            raise InputError(
                moving, expected=f"{len(pair[0])} points, as in {path}", found=str(len(pair[1]))
            )
        return pair
    table = read_table(path)
    turn = RAS_TO_LPS if _commented_space(table) == "RAS" else np.ones(3)
    values = table_points(table, _PAIR)
    return Landmarks(values[:, :3] * turn, "fixed"), Landmarks(values[:, 3:] * turn, "moving")


def write_landmarks(landmarks: Landmarks, path: PathLike) -> None:
    """Write points as ``.csv``, ``.mrk.json`` or ``.fcsv``, in LPS mm and said so in the file.

    Raises:
        InputError: another suffix, or nothing can be written.
    """
    suffix = file_suffix(path)
    if suffix == ".csv":
        text = "# LPS mm\nx,y,z\n" + _rows(landmarks.points)
    elif suffix == ".fcsv":
        text = fcsv_text(landmarks)
    elif suffix == ".mrk.json":
        text = markups_text(landmarks)
    else:
        raise _unknown(path, suffix, WRITTEN)
    _write(path, text)


def write_landmark_pairs(fixed: Landmarks, moving: Landmarks, path: PathLike) -> None:
    """Write pairs as a CSV with the columns fixed_x, ..., moving_z in LPS mm.

    Raises:
        ValueError: not as many moving points as fixed ones.
        InputError: another suffix, or nothing can be written.
    """
    if len(fixed) != len(moving):
        raise ValueError(f"{len(fixed)} fixed points and {len(moving)} moving points")
    if file_suffix(path) != ".csv":
        raise InputError(path, expected="the suffix .csv", found=f"{file_suffix(path)!r}")
    values = np.concatenate([fixed.points, moving.points], axis=1)
    _write(path, "# LPS mm\n" + ",".join(_PAIR) + "\n" + _rows(values))


# ------------------------------------------------------------------ readers


def _csv_points(path: Path) -> Float:
    table = read_table(path)
    said = {space for space in (_commented_space(table), _column_space(table)) if space}
    columns: tuple[str, ...] = ("x", "y", "z")
    for space in ("LPS", "RAS"):
        named = tuple(f"{axis}_{space.lower()}" for axis in "xyz")
        if set(named) <= set(table.columns):
            columns = named
            said.add(space)
    if len(said) > 1:
        raise InputError(path, expected="one frame, LPS or RAS", found=" and ".join(sorted(said)))
    values = table_points(table, columns)
    return values * RAS_TO_LPS if said == {"RAS"} else values


def _commented_space(table: Table) -> str | None:
    text = " ".join(table.comments)
    if re.search(r"\b(ijk|voxels?|ind(ex|ices))\b", text, re.IGNORECASE):
        raise InputError(
            table.path,
            expected="points in mm",
            found="a comment that speaks of voxels",
            do="write an index list as .txt and name its image",
        )
    if unit := re.search(r"\b(?:cm|centimet\w+)\b", text, re.IGNORECASE):
        raise InputError(
            table.path, expected="points in mm", found=f"a comment that says {unit[0]}"
        )
    said = {word.upper() for word in re.findall(r"\b(?:LPS|RAS)\b", text, re.IGNORECASE)}
    if len(said) > 1:
        raise InputError(table.path, expected="one frame", found="LPS and RAS in its comments")
    return said.pop() if said else None


def _column_space(table: Table) -> str | None:
    if "space" not in table.columns:
        return None
    at = table.columns.index("space")
    said = {cells[at].strip().upper() if at < len(cells) else "" for _, cells in table.rows}
    if len(said) == 1 and said <= {"LPS", "RAS"}:
        return said.pop()
    raise InputError(
        table.path,
        expected="LPS or RAS, one of them, in the column space",
        found=", ".join(sorted(said)) or "nothing",
    )


def _index_points(path: Path, frame: str, image: Volume | Grid | None, first: int) -> Landmarks:
    found = []
    for line, text in enumerate(read_lines(path), 1):
        cells = re.split(r"[\s,;]+", text.split("#")[0].strip(" \t,;"))
        if cells == [""]:
            continue
        if len(cells) != 3:
            raise InputError(
                f"{path}, line {line}", expected="three indices i j k", found=f"{len(cells)} cells"
            )
        found.append([number_of(path, line, cell) for cell in cells])
    if not found:
        raise InputError(path, expected="points", found="none")
    if image is None:
        raise InputError(
            path,
            expected="the image whose voxels these indices count",
            found="none",
            do="name it, or give points in mm as .csv",
        )
    if first not in (0, 1):
        raise InputError(path, expected="a first index of 0 or 1", found=str(first))
    grid = image.grid if isinstance(image, Volume) else image
    made = Landmarks.from_index(found, grid, frame, first)
    outside = np.flatnonzero(~grid.contains(made.points))
    if len(outside):
        raise InputError(
            path,
            expected=f"indices from {first} inside {grid}",
            found=f"{len(outside)} outside, the first of them {found[outside[0]]}",
            do="check the image and whether counting starts at 0 or 1",
        )
    return made


# ------------------------------------------------------------------ writers


def _rows(values: Float) -> str:
    return "".join(",".join(repr(v) for v in row) + "\n" for row in values.tolist())


def _write(path: PathLike, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _unknown(path: PathLike, suffix: str, known: tuple[str, ...] = POINT_FILES) -> InputError:
    return InputError(
        path,
        expected=f"landmarks as {', '.join(known)}",
        found=f"the suffix {suffix or '(none)'!r}",
    )
