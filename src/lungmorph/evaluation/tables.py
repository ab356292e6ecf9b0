"""Results as tables: for the terminal, for Markdown, as CSV and JSON, all from the same rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import replacing
from .beside import published_sheet
from .quantities import BY_KEY, QUANTITIES
from .sheet import Sheet

Summary = Mapping[str, Any]

#: Columns of the table of cases, and rows of the table of totals. Everything else is in CSV and JSON.
_CASE_HEADS = {
    "lde_before_mm": "before", "lde_mm": "error ± SD", "lde_p95_mm": "p95",
    "lde_snapped_mm": "snapped", "over_2mm_percent": "> 2 mm %", "folded_percent": "folded %",
    "dice": "Dice", "surface_mm": "surface", "both_ways_mm": "both ways", "seconds": "s",
}  # fmt: skip
_TOTAL_KEYS = (
    "lde_before_mm", "lde_mm", "lde_sd_mm", "lde_median_mm", "lde_p95_mm", "lde_max_mm",
    "lde_before_snapped_mm", "lde_snapped_mm", "over_2mm_percent", "over_5mm_percent",
    "landmarks_outside_field", "lungs_outside_field_percent", "folded_percent", "sd_log_jacobian",
    "sd_log_jacobian_learn2reg", "dice_before", "dice", "surface_mm", "surface_p95_mm",
    "both_ways_mm", "both_ways_counted_percent", "ncc", "lncc", "seconds", "peak_mb",
)  # fmt: skip
#: Said only where it is not what it should be.
_UNREMARKABLE = {
    "landmarks_outside_field": 0.0,
    "lungs_outside_field_percent": 0.0,
    "both_ways_counted_percent": 100.0,
}


# ---------------------------------------------------------------- sheets


def case_sheet(summary: Summary) -> Sheet:
    """One row a case and method; columns that no case has are left out."""
    rows = summary["cases"]
    keys = [key for key in _CASE_HEADS if any(row[key] is not None for row in rows)] or ["seconds"]
    several = len(summary["methods"]) > 1
    filled = []
    for row in rows:
        cells = [str(row["case"]), *((summary["titles"][row["method"]],) if several else ())]
        if row["status"] == "done":
            cells += [_case_cell(row, key) for key in keys]
        else:
            cells += [str(row["status"])] + ["-"] * (len(keys) - 1)
        filled.append(tuple(cells))
    heads = ("case", *(("method",) if several else ()), *(_CASE_HEADS[key] for key in keys))
    notes = []
    if "lde_mm" in keys:
        notes.append("Landmark errors in mm, continuous but for the column that says snapped.")
    if "surface_mm" in keys:
        notes.append("Surface: mean distance of the lung surfaces, mm.")
    if "both_ways_mm" in keys:
        notes.append("Both ways: mean inverse consistency, mm.")
    return Sheet("Cases", heads, tuple(filled), tuple(notes), left=2 if several else 1)


def _case_cell(row: Mapping[str, Any], key: str) -> str:
    said = BY_KEY[key].text(row[key])
    if key == "lde_mm" and row[key] is not None:
        said += f" ± {BY_KEY['lde_sd_mm'].text(row['lde_sd_mm'])}"
    return said


def total_sheets(summary: Summary) -> list[Sheet]:
    """Totals with the methods side by side: of every group, of all cases, and of the common ones."""
    sheets = []
    for group in dict.fromkeys(total["group"] for total in summary["totals"]):
        totals = [total for total in summary["totals"] if total["group"] == group]
        name = "All cases" if group is None else f"Group {group or '(none)'}"
        sheets.append(_total_sheet(summary, totals, name))
    common = summary["common"]
    if common and common["cases"]:
        name = f"The {len(common['cases'])} cases that every method finished"
        sheets.append(_total_sheet(summary, common["totals"], name))
    return sheets


def _total_sheet(summary: Summary, totals: Sequence[Mapping[str, Any]], name: str) -> Sheet:
    rows = [("cases done", *(f"{total['done']} of {total['cases']}" for total in totals))]
    for key in _TOTAL_KEYS:
        figures = [total["figures"][key] for total in totals]
        if {figure["value"] for figure in figures} <= {None, _UNREMARKABLE.get(key)}:
            continue
        quantity = BY_KEY[key]
        said = "" if quantity.total == "mean" else f", {quantity.total}"
        cells = []
        for total, figure in zip(totals, figures, strict=True):
            fewer = figure["n"] not in (0, total["done"])
            cell = _with_interval(quantity.text, figure)
            cells.append(f"{cell}, n = {figure['n']}" if fewer else cell)
        rows.append((quantity.label + said, *cells))
    if any(total["pooled"] for total in totals):
        rows += _pooled_rows(totals)
    titles = [summary["titles"][total["method"]] for total in totals]
    notes = (
        "Means over cases of the figures of each case (SD, median, percentile and maximum too), with 95 %"
        " bootstrap intervals over patients in brackets; none of a single patient.",
    )
    return Sheet(name, ("", *titles), tuple(rows), notes)


def _pooled_rows(totals: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    text = BY_KEY["lde_mm"].text
    rows = []
    for name, title in (
        ("count", "all landmarks together"), ("mean", "- mean [mm]"), ("sd", "- SD [mm]"),
        ("median", "- median [mm]"), ("p95", "- 95th percentile [mm]"), ("max", "- max [mm]"),
    ):  # fmt: skip
        cells = []
        for total in totals:
            pooled = total["pooled"]
            if pooled is None:
                cells.append("-")
            elif name == "count":
                cells.append(str(pooled["count"]))
            elif name == "mean":
                cells.append(_with_interval(text, pooled | {"value": pooled["mean"]}))
            else:
                cells.append(text(pooled[name]))
        rows.append((title, *cells))
    return rows


def _with_interval(text: Any, figure: Mapping[str, Any]) -> str:
    value: str = text(figure["value"])
    if figure["value"] is None or figure["low"] is None:
        return value
    return f"{value} [{text(figure['low'])}, {text(figure['high'])}]"


def failed_sheet(summary: Summary) -> Sheet | None:
    """Who did not finish what, and why; None where all did."""
    rows = tuple(
        (str(f["case"]), summary["titles"][f["method"]], str(f["status"]), str(f["message"] or ""))
        for f in summary["failed"]
    )
    return Sheet("Not finished", ("case", "method", "", "why"), rows, left=4) if rows else None


def comparison_sheet(comparison: Mapping[str, Any]) -> Sheet:
    """One row a quantity: both means, the difference with its interval, p, and who won how often."""
    a, b = comparison["a"], comparison["b"]
    rows = []
    reasons: dict[str, None] = {}
    for key, found in comparison["quantities"].items():
        quantity = BY_KEY[key]
        difference = _with_interval(quantity.text, found | {"value": found["difference"]})
        p = (
            "-"
            if found["p"] is None
            else ("< 0.001" if found["p"] < 0.001 else f"{found['p']:.3f}")
        )
        wins = (
            "" if found["wins_a"] is None
            else f"{found['wins_a']} : {found['wins_b']}" + (f" ({found['ties']} equal)" if found["ties"] else "")
        )  # fmt: skip
        rows.append(
            (quantity.label, quantity.text(found["mean_a"]), quantity.text(found["mean_b"]), difference, p, wins, str(found["n"]))
        )  # fmt: skip
        if found["p"] is None:
            reasons[found["test"]] = None
    notes = [
        "p: Wilcoxon's signed-rank test over patients, two-sided, not corrected for many quantities."
    ]
    notes += [f"Without p: {reason}." for reason in reasons]
    for side, name in (("only_a", a), ("only_b", b)):
        if comparison[side]:
            notes.append(f"Left out, finished by {name} alone: {', '.join(comparison[side])}.")
    heads = ("mean over cases", a, b, "difference (95 % interval)", "p", "better", "n")
    return Sheet(f"{a} against {b}", heads, tuple(rows), tuple(notes))


# ---------------------------------------------------------------- files


def markdown(
    summary: Summary,
    *,
    title: str,
    about: Sequence[str] = (),
    kind: str | None = None,
    comparisons: Iterable[Mapping[str, Any]] = (),
) -> str:
    """The whole result as one section.

    Args:
        about: lines above the tables: date, machine, command.
        kind: of the dataset, for published figures.
        comparisons: of :func:`lungmorph.evaluation.compare.compare`.
    """
    sheets: list[Sheet | None] = [*total_sheets(summary), failed_sheet(summary)]
    sheets += [comparison_sheet(comparison) for comparison in comparisons]
    sheets += [published_sheet(kind, summary) if kind else None, case_sheet(summary)]
    parts = [f"## {title}\n", *(f"{line}\n" for line in about)]
    return "\n".join(parts + [sheet.markdown() for sheet in sheets if sheet])


def write_cases_csv(summary: Summary, path: str | Path) -> None:
    """One line a case and method, every quantity, full precision; units are in the column names.

    Raises:
        InputError: it cannot be written there.
    """
    names = ["case", "group", "patient", "method", "status", "message"]
    names += [quantity.key for quantity in QUANTITIES]
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for row in summary["cases"]:
            writer.writerow(["" if row[name] is None else row[name] for name in names])


def write_json(path: str | Path, **parts: Any) -> None:
    """Everything: records, summary, comparisons, and what made them.

    Raises:
        InputError: it cannot be written there.
    """
    with replacing(path) as part:
        part.write_text(json.dumps(parts, indent=1, allow_nan=False) + "\n", encoding="utf-8")
