"""Numbers in text files, with the line in every complaint."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..space.grid import Float
from .geometry import PathLike


@dataclass(frozen=True)
class Table:
    """A CSV with a header: column names in lower case, comments, rows with their line numbers.

    ``header`` has the column names as they are written.
    """

    path: Path
    columns: tuple[str, ...]
    comments: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]
    header: tuple[str, ...] = ()


def read_lines(path: PathLike) -> list[str]:
    """The lines of a text file (UTF-8, with or without a mark).

    Raises:
        InputError: missing, or not text.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            path, expected="a text file", found="other bytes", do="save it as UTF-8, if it is one"
        ) from error
    except OSError as error:
        raise InputError(
            path, expected="a text file", found=error.strerror or "nothing there"
        ) from error


def read_table(path: PathLike) -> Table:
    """Read a CSV (comma, semicolon or tab) with a header line; ``#`` begins a comment line.

    Raises:
        InputError: missing, not text, or empty.
    """
    comments = []
    rows: list[tuple[int, str]] = []
    for number, text in enumerate(read_lines(path), 1):
        if text.lstrip().startswith("#"):
            comments.append(text.strip(" #"))
        elif text.strip(" ,;\t"):
            rows.append((number, text))
    if not rows:
        raise InputError(path, expected="a CSV with a header", found="no line of data")
    between = max(",;\t", key=rows[0][1].count)
    split = [(n, next(csv.reader([text], delimiter=between))) for n, text in rows]
    header = tuple(name.strip() for name in split[0][1])
    columns = tuple(name.lower() for name in header)
    return Table(Path(path), columns, tuple(comments), tuple(split[1:]), header)


def points(table: Table, columns: Sequence[str]) -> Float:
    """The named columns as float64 (rows, columns).

    Raises:
        InputError: a column is missing or there twice, a cell is no finite number, or no row.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(
            table.path,
            expected=f"the columns {','.join(columns)}",
            found=f"no {', '.join(missing)} (its header: {','.join(table.columns)[:120]})",
        )
    twice = [name for name in columns if table.columns.count(name) > 1]
    if twice:
        raise InputError(table.path, expected="each column once", found=f"{twice[0]} twice")
    if not table.rows:
        raise InputError(table.path, expected="points", found="none below the header")
    at = [table.columns.index(name) for name in columns]
    return np.array(
        [
            [number_of(table.path, line, cells[i] if i < len(cells) else "") for i in at]
            for line, cells in table.rows
        ],
        dtype=np.float64,
    )


def number_of(path: PathLike, line: int, cell: object) -> float:
    """A finite number.

    Raises:
        InputError: with the line, where it is another thing.
    """
    try:
        value = float(str(cell))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        where = f"{path}, line {line}" if line else path
        is_comma = re.fullmatch(r"\s*[-+]?\d+,\d+\s*", str(cell))
        raise InputError(
            where,
            expected="a number",
            found=repr(str(cell)[:40]),
            do="write decimal points, not commas" if is_comma else "",
        )
    return value
