"""Rows of numbers, appended to a CSV file as a run goes on."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path


class CsvLog:
    """A CSV with fixed columns, the first of which are ``step`` and ``stage``.

    Args:
        path: of the file; created with its header if it is not there.
        columns: names.
        keep_to: a resumed run drops the rows after this step, which it is going to write again.
        again: and that of this stage at that step, if it is going to write it again.
    """

    def __init__(
        self, path: Path, columns: tuple[str, ...], keep_to: int, again: str | None = None
    ) -> None:
        self.path, self.columns = path, columns
        kept: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="") as file:
                kept = [
                    row
                    for row in csv.DictReader(file)
                    if int(row["step"]) < keep_to
                    or (int(row["step"]) == keep_to and row["stage"] != again)
                ]
        temporary = path.with_name(f".{path.name}.part")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(kept)
        os.replace(temporary, path)

    def add(self, row: Mapping[str, object]) -> None:
        """Append one row; columns that it lacks stay empty."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(dict(row))
