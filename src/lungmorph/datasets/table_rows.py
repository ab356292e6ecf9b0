"""The lines of a table of cases, once its header and its ids have shown that they can be trusted."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files.tables import Table

#: Read when a folder is given.
TABLE_NAME = "dataset.csv"
ROLES = ("fixed", "moving")
OF_CASES = ("id", "patient", "group", "split", "published_before", "first_index", "comment")
OF_PAIRS = (
    *ROLES,
    "landmarks",
    *(f"{role}_{what}" for role in ROLES for what in ("series", "phase", "mask", "landmarks")),
)
OF_SCANS = ("image", "scan", "phase", "role", "series", "mask", "landmarks")
#: Columns whose name goes on: points set by people, points found by an algorithm, masks.
LANDMARKS, KEYPOINTS, STRUCTURE = "landmarks:", "keypoints:", "structure:"


@dataclass(frozen=True)
class Row:
    """The cells of a line that are not empty, by column."""

    table: Path
    line: int
    cells: dict[str, str]

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.table}, line {self.line}"

    def get(self, column: str) -> str:
        """A cell, or the empty text."""
        return self.cells.get(column, "")

    def file(self, column: str) -> Path:
        """The file that a cell names; as it is written on Windows, where that is not what is there."""
        cell = self.cells[column]
        written = self.table.parent / cell
        other = self.table.parent / cell.replace("\\", "/")
        return other if other.exists() and not written.exists() else written

    def path(self, column: str) -> Path | None:
        """The file that a cell names, if it names one."""
        return self.file(column) if column in self.cells else None

    def named(self, prefix: str) -> list[str]:
        """How the columns with this prefix go on."""
        return [name.removeprefix(prefix) for name in self.cells if name.startswith(prefix)]


def checked_rows(table: Table) -> tuple[bool, list[Row]]:
    """Whether it is a table of pairs (else of scans), and its rows.

    Raises:
        InputError: a column that is missing, unknown or there twice; no row; a line with more cells
            than the header; an id that is missing or cannot be part of a file name.
    """
    pairs = "image" not in table.columns
    names = _checked_columns(table, pairs)
    rows = []
    for line, cells in table.rows:
        where = f"{table.path}, line {line}"
        if any(cell.strip() for cell in cells[len(names) :]):
            raise InputError(
                where, expected=f"{len(names)} cells, as in the header", found=str(len(cells))
            )
        filled = {n: c.strip() for n, c in zip(names, cells, strict=False) if c.strip()}
        _check_id(where, filled.get("id", ""))
        rows.append(Row(table.path, line, filled))
    if not rows:
        raise InputError(table.path, expected="a row a case", found="none below the header")
    return pairs, rows


def _checked_columns(table: Table, pairs: bool) -> list[str]:
    """The columns in lower case, what follows a prefix as it is written."""
    known = (*OF_CASES, *(OF_PAIRS if pairs else OF_SCANS))
    prefixes = () if pairs else (LANDMARKS, KEYPOINTS, STRUCTURE)
    names = []
    header = table.header
    while header and not header[-1]:  # spreadsheets leave commas behind
        header = header[:-1]
    for written in header:
        lower = written.lower()
        prefix = next((p for p in prefixes if lower.startswith(p)), None)
        if prefix is None and lower not in known:
            raise _unknown(table.path, written, known, pairs)
        names.append(lower if prefix is None else prefix + written[len(prefix) :])
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(table.path, expected="each column once", found=f"{twice[0]} twice")
    missing = [c for c in ("id", *(ROLES if pairs else ("image",))) if c not in names]
    if missing:
        raise InputError(
            table.path,
            expected="the columns id, fixed, moving (a row a pair) or id, image (a row a scan)",
            found=f"no {', '.join(missing)}",
        )
    return names


def _unknown(path: Path, written: str, known: tuple[str, ...], pairs: bool) -> InputError:
    near = difflib.get_close_matches(written.lower(), known, 1, 0.6)
    return InputError(
        path,
        expected=f"the columns of a table with a row a {'pair' if pairs else 'scan'}",
        found=f"{written!r}",
        do=f"is it {near[0]}?" if near else f"there are {', '.join(known)}",
    )


def _check_id(where: str, case: str) -> None:
    # a part of file names on every system
    if not re.fullmatch(r"[^\s./\\:*?\"<>|][^/\\:*?\"<>|\x00-\x1f]*", case):
        raise InputError(
            where,
            expected="an id that can be part of a file name",
            found=repr(case) if case else "none",
        )
