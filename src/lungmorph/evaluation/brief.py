"""The answer in a few lines: methods by group, and the main method against each other one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .quantities import BY_KEY
from .sheet import Sheet

#: What a method is judged by, the first that is known: the error, else what stands in for it.
MAIN_KEYS = ("lde_mm", "both_ways_mm", "dice")


def group_sheets(summary: Mapping[str, Any]) -> list[Sheet]:
    """A row a group and one for all, a column a method: error and time."""
    return [
        _group_sheet(summary, key)
        for key in (main_key(summary), "seconds")
        if _known(summary["totals"], key)
    ]


def main_key(summary: Mapping[str, Any]) -> str:
    """The quantity that methods are judged by here."""
    return next((key for key in MAIN_KEYS if _known(summary["totals"], key)), MAIN_KEYS[-1])


def against_sheet(
    summary: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]
) -> Sheet | None:
    """A row a comparison: difference of the main quantity with its interval and p, and the ratio of times.

    None where nothing was compared.
    """
    quantity = BY_KEY[main_key(summary)]
    rows = []
    for comparison in comparisons:
        found = comparison["quantities"].get(quantity.key)
        times = comparison["quantities"].get("seconds")
        if found is None:
            continue
        p = "-" if found["p"] is None else f"{found['p']:.3g}"
        low, high = (quantity.text(found[end]) for end in ("low", "high"))
        cells = [
            f"{_title(summary, comparison['a'])} against {_title(summary, comparison['b'])}",
            quantity.text(found["difference"]),
            "-" if found["low"] is None else f"{low} to {high}",
            p,
            f"{found['wins_a']} : {found['wins_b']}",
            "-" if times is None else f"{times['mean_b'] / times['mean_a']:.1f}",
            str(found["n"]),
        ]
        rows.append(tuple(cells))
    heads = ("", "difference", "95 % interval", "p", "better", "times as fast", "cases")
    note = f"{quantity.label}, mean over cases; p of Wilcoxon's signed-rank test over patients."
    return Sheet("Compared, case by case", heads, tuple(rows), (note,)) if rows else None


def _group_sheet(summary: Mapping[str, Any], key: str) -> Sheet:
    quantity = BY_KEY[key]
    rows = []
    for group in dict.fromkeys(total["group"] for total in summary["totals"]):
        totals = [total for total in summary["totals"] if total["group"] == group]
        cases = max(total["cases"] for total in totals)
        name = "all" if group is None else group or "(no group)"
        cells = []
        for total in totals:
            figure = total["figures"][key]
            missing = "" if figure["n"] == cases or not figure["n"] else f" (n = {figure['n']})"
            cells.append(quantity.text(figure["value"]) + missing)
        rows.append((name, str(cases), *cells))
    titles = [summary["titles"][method] for method in summary["methods"]]
    return Sheet(f"{quantity.label}, {quantity.total}", ("", "cases", *titles), tuple(rows))


def _known(totals: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(total["figures"][key]["value"] is not None for total in totals)


def _title(summary: Mapping[str, Any], name: str) -> str:
    return str(summary["titles"].get(name, name))
