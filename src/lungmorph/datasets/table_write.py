"""Tables of scans, written: that of one converted case, and that of all of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from ..files import replacing
from ..files.tables import Table, read_table
from .case import natural_order
from .made_from import Facts, from_lines
from .table_rows import KEYPOINTS, LANDMARKS, STRUCTURE, TABLE_NAME

#: How the first line of every table begins that a conversion writes.
MARK = "written by lungmorph data convert"
_FILES = ("image", "mask", LANDMARKS, KEYPOINTS, STRUCTURE)


def write_table(path: Path, said: str, rows: Sequence[Mapping[str, str]], more: str = "") -> None:
    """Write rows by column, whole or not at all, below a comment, and another line of it if given."""
    columns = _merged([list(row) for row in rows])
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path) as temporary:
        comments = "".join(f"# {line}\n" for line in (said, more) if line)
        temporary.write_text(comments + text.getvalue(), encoding="utf-8")


def source_of(path: Path) -> str:
    """What the conversion that wrote a table said about itself.

    Raises:
        InputError: no conversion wrote it.
    """
    said = read_table(path).comments if path.is_file() else ()
    if not said or not said[0].startswith(MARK):
        raise InputError(
            path,
            expected="nothing, or the table of an earlier conversion",
            found="another table" if path.is_file() else "a folder without one",
            do="choose another output folder",
        )
    return said[0]


def facts_in(path: Path) -> Facts:
    """What the scans of a converted case were made from; empty if the table does not say."""
    return from_lines(read_table(path).comments)


def scans_in(path: Path) -> set[str]:
    """Names of the scans that a converted case has."""
    return {row["scan"] for row in _rows(read_table(path))}


def merge_tables(out: Path) -> None:
    """Make the table of a folder from those of the converted cases in it."""
    rows = []
    tables = out.glob(f"*/{TABLE_NAME}")
    for path in sorted(tables, key=lambda table: natural_order(table.parent.name)):
        table = read_table(path)
        if table.comments and table.comments[0].startswith(MARK):
            rows += [_moved(row, path.parent.name) for row in _rows(table)]
    if rows:
        write_table(out / TABLE_NAME, MARK, rows)


def _rows(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, cells, strict=False)) for _, cells in table.rows]


def _moved(row: Mapping[str, str], folder: str) -> dict[str, str]:
    """A row whose files are seen from the folder above."""
    return {
        column: f"{folder}/{cell}" if cell and column.startswith(_FILES) else cell
        for column, cell in row.items()
    }


def _merged(lists: Iterable[Sequence[str]]) -> list[str]:
    """All columns once, in an order that agrees with every list: the best landmarks come first."""
    merged: list[str] = []
    for columns in lists:
        at = len(merged)
        for column in reversed(columns):
            if column in merged:
                at = merged.index(column)
            else:
                merged.insert(at, column)
    return merged
