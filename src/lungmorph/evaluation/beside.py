"""Our figures beside published ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .published import TRAP, Published, published
from .sheet import Sheet


def published_sheet(kind: str, summary: Mapping[str, Any]) -> Sheet | None:
    """Our figures and published ones on the same landmarks; None where none are known for ``kind``.

    Published methods whose cases are known are averaged over our cases too, so that the two means
    are of the same patients.
    """
    known = published(kind)
    if known is None:
        return None
    total = len(known.before.cases_mm or ()) or 10
    ours = _our_rows(summary, total)
    numbers = sorted({number for row in ours for number in row.cases}) or list(range(1, total + 1))
    partly = len(numbers) < total
    rows = []
    for row in ours:
        cells = [_mm(row.cases.get(number)) for number in numbers]
        fewer = f" (n = {len(row.cases)})" if len(row.cases) < len(numbers) else ""
        means = [_mm(row.mean) + fewer, *(("-",) if partly else ())]
        rows.append((row.title, row.definition, *cells, *means, ""))
    sources: dict[str, int] = {}
    for other in (known.before, *known.rows):
        source = sources.setdefault(_source(other), len(sources) + 1)
        cells = [_mm(other.cases_mm[n - 1] if other.cases_mm else None) for n in numbers]
        means = [*((_mm(other.mean_of(numbers)),) if partly else ()), _mm(other.mean_mm)]
        rows.append((other.method, other.definition, *cells, *means, f"[{source}]"))
    means = [*(("mean of these",) if partly else ()), f"mean of {total}"]
    heads = ("method", "definition", *map(str, numbers), *means, "source")
    notes = [TRAP, *(f"[{number}] {source}" for source, number in sources.items())]
    notes += [f"{row.method}: {_remark(row)}." for row in known.rows if _remark(row)]
    return Sheet(f"{known.title}: {known.what}", heads, tuple(rows), tuple(notes), left=2)


@dataclass(frozen=True)
class _OurRow:
    title: str
    definition: str
    cases: Mapping[int, float]

    @property
    def mean(self) -> float | None:
        return sum(self.cases.values()) / len(self.cases) if self.cases else None


def _our_rows(summary: Mapping[str, Any], total: int) -> list[_OurRow]:
    """Before, and every method in both definitions, by the numbers in the names of the cases."""
    found: list[_OurRow] = []
    wanted = [("lde_before_mm", "before registration, here", "continuous", None)]
    for method in summary["methods"]:
        title = summary["titles"][method]
        wanted += [
            ("lde_mm", title, "continuous", method),
            ("lde_snapped_mm", title, "snapped", method),
        ]
    for key, title, definition, method in wanted:
        cases = {}
        for row in summary["cases"]:
            number = _number_of(str(row["case"]), total)
            if number and row[key] is not None and method in (None, row["method"]):
                cases[number] = float(row[key])
        found.append(_OurRow(title, definition, cases))
    return [row for row in found if row.cases]


def _number_of(case: str, most: int) -> int | None:
    """7 of "case7" or "copd07"; None of anything without one number in range."""
    numbers = [int(digits) for digits in re.findall(r"\d+", case)]
    return numbers[-1] if numbers and 1 <= numbers[-1] <= most else None


def _mm(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _source(row: Published) -> str:
    return row.source + ("" if row.checked else " (not read at the source itself)")


def _remark(row: Published) -> str:
    seconds = "" if row.seconds is None else f"{row.seconds:g} s a case"
    return "; ".join(part for part in (row.note, seconds) if part)
