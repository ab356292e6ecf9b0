"""Points in text files that have no header: a row a point, its numbers between commas or blanks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.tables import number_of, read_lines
from ..space.grid import Float


def read_rows(path: Path, columns: int, skip: int = 0) -> Float:
    """The numbers of a file, (rows, columns); blank lines and lines that begin with ``#`` do not count.

    Args:
        path: text.
        columns: how many numbers every row has.
        skip: lines at the top that are something else.

    Raises:
        InputError: no such file, no row, a row of another length, a cell that is no number.
    """
    rows = []
    for line, text in enumerate(read_lines(path), 1):
        cells = re.split(r"[\s,;]+", text.strip(" \t,;"))
        if line <= skip or cells == [""] or text.lstrip().startswith("#"):
            continue
        if len(cells) != columns:
            raise InputError(
                f"{path}, line {line}",
                expected=f"{columns} numbers",
                found=f"{len(cells)} cells",
            )
        rows.append([number_of(path, line, cell) for cell in cells])
    if not rows:
        raise InputError(path, expected="points", found="none")
    return np.array(rows, dtype=np.float64)
