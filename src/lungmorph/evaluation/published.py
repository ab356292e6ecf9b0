"""What others published on the same landmarks, with source and definition, to print beside a result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from ..datasets import dirlab_tables

_TABLES = {"dirlab-4dct": dirlab_tables.DIRLAB_4DCT, "dirlab-copd": dirlab_tables.DIRLAB_COPD}

#: To be printed wherever published figures stand beside one's own.
TRAP = (
    "Published tables mix two definitions: the error of landmarks snapped to voxel centres is lower "
    "than the continuous error of the same fields (VROC on DIR-Lab 4DCT: 1.26 and 1.36 mm). "
    "Compare only within one definition, and rank nothing by less than about 0.2 mm between papers."
)


@dataclass(frozen=True)
class Published:
    """One method on one dataset, as printed by its source.

    Attributes:
        definition: of the landmark error; "not stated" where the source does not say.
        mean_mm: mean over cases.
        cases_mm: of cases 1, 2, ... of the dataset; None where only the mean is known.
        seconds: a case, on the hardware of the source; None where unknown.
        source: where the figures are printed.
        checked: whether they were read at the source itself, rather than in a table that cites it.
        note: what else to know.
    """

    method: str
    definition: Literal["continuous", "snapped", "not stated"]
    mean_mm: float
    cases_mm: tuple[float, ...] | None
    seconds: float | None
    source: str
    checked: bool
    note: str = ""

    def mean_of(self, cases: Sequence[int]) -> float | None:
        """Mean over some cases (numbers from 1); None where they are not known one by one."""
        if self.cases_mm is None or not cases:
            return None
        return sum(self.cases_mm[number - 1] for number in cases) / len(cases)


@dataclass(frozen=True)
class PublishedSet:
    """All figures on one dataset.

    Attributes:
        title: of the dataset.
        what: is counted, and in which unit.
        before: the error before registration.
        rows: methods.
    """

    title: str
    what: str
    before: Published
    rows: tuple[Published, ...]


def published(kind: str) -> PublishedSet | None:
    """The figures on a dataset by its kind ("dirlab-4dct", "dirlab-copd"); None where none are known."""
    return _all().get(kind)


@cache
def _all() -> dict[str, PublishedSet]:
    text = (files("lungmorph.evaluation") / "published.json").read_text(encoding="utf-8")
    return {
        kind: PublishedSet(
            title=part["title"],
            what=part["what"],
            before=_before(_TABLES[kind]),
            rows=tuple(_row(row) for row in part["rows"]),
        )
        for kind, part in json.loads(text).items()
    }


def _before(table: Mapping[int, dirlab_tables.Published]) -> Published:
    cases = tuple(table[number].before_mm for number in sorted(table))
    return Published(
        method="before registration",
        definition="continuous",  # landmarks are whole voxels: the same when snapped
        mean_mm=sum(cases) / len(cases),
        cases_mm=cases,
        seconds=None,
        source="DIR-Lab's landmark pairs as issued; read where lungmorph.datasets.dirlab_tables says",
        checked=False,
    )


def _row(row: dict[str, Any]) -> Published:
    cases = row["cases_mm"]
    return Published(**{**row, "cases_mm": tuple(cases) if cases else None})
