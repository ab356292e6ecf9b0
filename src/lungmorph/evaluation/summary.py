"""Many cases in few numbers: by group and in total, with intervals, and with who failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..measures import percent_over
from ..measures.landmark_error import Spread
from .bootstrap import interval
from .quantities import QUANTITIES, Quantity, Record, checked, is_done, methods_of, titles_of


def summarize(records: Iterable[Record]) -> dict[str, Any]:
    """Sum up the records (see :mod:`.quantities`) of one dataset.

    Returns:
        JSON-ready::

            {"methods", "titles": {method: title}, "groups": names,
             "cases": [{"case", "group", "patient", "method", "status", "message", <key>: value}],
             "totals": [one a method and group; "group": None is the total:
                        {"group", "method", "cases", "done", "patients", "failed": [...],
                         "figures": {<key>: {"value", "low", "high", "n", "statistic"}},
                         "pooled": over all landmarks, or None, "steps": {name: median seconds}}],
             "common": None, or {"cases", "totals"} over the cases that every method finished, where
                       some did not,
             "failed": [{"case", "group", "method", "status", "message"}]}

        ``figures`` are means over cases of the figures of the cases ("seconds": median, "peak_mb":
        maximum) with 95 % bootstrap intervals over patients (None of a single patient). ``pooled``
        counts every landmark alike, so that cases with many landmarks weigh more.

    Raises:
        InputError: a case twice for one method.
    """
    found = checked(records)
    methods = methods_of(found)
    groups = list(dict.fromkeys(str(record.get("group") or "") for record in found))
    totals = []
    for group in groups if len(groups) > 1 else ():
        of_group = [record for record in found if str(record.get("group") or "") == group]
        totals += [_total(of_group, method, group) for method in methods]
    totals += [_total(found, method, None) for method in methods]
    return {
        "methods": methods,
        "titles": titles_of(found),
        "groups": groups,
        "cases": [_row(record) for record in sorted(found, key=_in_order(groups, methods))],
        "totals": totals,
        "common": _common(found, methods),
        "failed": [_failure(record) for record in found if not is_done(record)],
    }


def _in_order(groups: Sequence[str], methods: Sequence[str]) -> Callable[[Record], Any]:
    """Sorts by group, then by case (numbers in names by value), then by method."""

    def key(record: Record) -> Any:
        group = groups.index(str(record.get("group") or ""))
        return group, natural(str(record["case"])), methods.index(str(record["method"]))

    return key


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts "case2" before "case10"."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _row(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: record.get(name)
        for name in ("case", "group", "patient", "method", "status", "message")
    }
    return row | {quantity.key: quantity.of(record) for quantity in QUANTITIES}


def _failure(record: Record) -> dict[str, Any]:
    return {name: record.get(name) for name in ("case", "group", "method", "status", "message")}


def _total(records: Sequence[Record], method: str, group: str | None) -> dict[str, Any]:
    own = [record for record in records if record["method"] == method]
    done = [record for record in own if is_done(record)]
    return {
        "group": group,
        "method": method,
        "cases": len(own),
        "done": len(done),
        "patients": len({patient_of(record) for record in done}),
        "failed": [_failure(record) for record in own if not is_done(record)],
        "figures": {quantity.key: _figure(done, quantity) for quantity in QUANTITIES},
        "pooled": _pooled(done),
        "steps": _steps(done),
    }


def patient_of(record: Record) -> str:
    """The patient of a record; its case where no patient is named."""
    return str(record.get("patient") or record["case"])


def _figure(records: Sequence[Record], quantity: Quantity) -> dict[str, Any]:
    known = [(value, patient_of(r)) for r in records if (value := quantity.of(r)) is not None]
    figure: dict[str, Any] = {
        "value": None, "low": None, "high": None, "n": len(known), "statistic": quantity.total,
    }  # fmt: skip
    if not known:
        return figure
    values = np.array([value for value, _ in known])
    figure["value"] = float(getattr(np, quantity.total)(values))
    if quantity.total != "max":
        ends = interval(values, [patient for _, patient in known], quantity.total)
        figure["low"], figure["high"] = ends or (None, None)
    return figure


def _pooled(records: Sequence[Record]) -> dict[str, Any] | None:
    marked = [record for record in records if record["judged"].get("landmarks")]
    if not marked:
        return None
    errors = [np.array(r["judged"]["landmarks"]["after"]["errors_mm"], float) for r in marked]
    counts = [len(part) for part in errors]
    together = np.concatenate(errors)
    ends = interval(
        [float(part.mean()) for part in errors],
        [patient_of(record) for record in marked],
        weights=np.array(counts, float),
    )
    spread = Spread.of(together)
    return {
        "count": len(together),
        "mean": spread.mean,
        "low": ends[0] if ends else None,
        "high": ends[1] if ends else None,
        "sd": spread.sd,
        "median": spread.median,
        "p95": spread.p95,
        "max": spread.max,
        "over_2mm_percent": percent_over(together, 2.0),
        "over_5mm_percent": percent_over(together, 5.0),
    }


def _steps(records: Sequence[Record]) -> dict[str, float]:
    """Median seconds of every step over the cases that have it."""
    steps = [record.get("steps") or {} for record in records]
    names = dict.fromkeys(name for part in steps for name in part)
    return {
        name: float(
            np.median([part[name] for part in steps if part.get(name) is not None] or [0.0])
        )
        for name in names
    }


def _common(records: Sequence[Record], methods: Sequence[str]) -> dict[str, Any] | None:
    """Totals over the cases that all methods finished, if these are not all cases of all."""
    finished = {
        method: [str(r["case"]) for r in records if r["method"] == method and is_done(r)]
        for method in methods
    }
    if len({frozenset(cases) for cases in finished.values()}) < 2:
        return None
    shared = set.intersection(*(set(cases) for cases in finished.values()))
    kept = [record for record in records if str(record["case"]) in shared]
    return {
        "cases": list(dict.fromkeys(str(record["case"]) for record in kept)),
        "totals": [_total(kept, method, None) for method in methods],
    }
