"""Accuracy, time and memory of LungMorph's presets beside other tools, as a dated section of Markdown.

    python benchmarks/accuracy.py --work bench --rivals-python rivals/bin/python --save bench/section.md

Cases are those of `cases.py`; they are measured as `lungmorph evaluate` measures any dataset, and what is finished in
the work folder is not done again. Cases with landmarks are summed up by group. The real pair has none: it is judged by
overlap and by registering it back, in a table of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cases import write_dataset
from lungmorph.datasets import Dataset, open_dataset
from lungmorph.errors import InputError
from lungmorph.evaluation import methods, results, rivals
from lungmorph.evaluation.brief import against_sheet
from lungmorph.evaluation.machine import cores, machine
from lungmorph.evaluation.quantities import BY_KEY
from lungmorph.evaluation.records import DONE, FAILED, SKIPPED, Record
from lungmorph.evaluation.run import Options, Progress, evaluate
from lungmorph.evaluation.sheet import Sheet
from lungmorph.evaluation.summary import summarize
from lungmorph.evaluation.tables import case_sheet, failed_sheet
from lungmorph.files import replacing
from recipes import SPLITS

MARKED = {
    "lde_before_mm": "before", "lde_mm": "error mm", "lde_median_mm": "median", "lde_p95_mm": "p95",
    "lde_max_mm": "max", "over_2mm_percent": "> 2 mm %", "folded_percent": "folded %", "dice": "Dice",
    "seconds": "s", "peak_mb": "MB",
}  # fmt: skip
UNMARKED = {
    "both_ways_mm": "both ways mm", "both_ways_p95_mm": "p95", "dice_before": "Dice before", "dice": "Dice",
    "surface_mm": "surface mm", "lncc": "local NCC", "folded_percent": "folded %", "seconds": "s",
    "peak_mb": "MB",
}  # fmt: skip
MARKED_NOTES = (
    "Landmark errors are continuous, before registration and after it. Mean, median, 95th percentile and maximum are "
    "those of each case, and their means over the cases of the group; seconds are the median over cases, MB the largest.",
)
UNMARKED_NOTES = (
    "Without landmarks there is no error. Both ways: by how much points of the lung miss themselves after registering "
    "there and, independently, back. Overlap and grey values can be good where displacements are wrong.",
)


def main() -> None:
    given = _arguments()
    try:
        section = measure(given)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(section)
    if given.save:
        with replacing(given.save) as part:
            part.write_text(section, encoding="utf-8")


def measure(given: argparse.Namespace) -> str:
    """Make the cases, register and judge what is not done yet; the section of Markdown."""
    tools = rivals.NAMES if given.rivals == ["all"] else given.rivals
    picked = methods.lungmorph_methods(given.presets, model=given.model, device=given.device)
    picked += methods.rival_methods(tools, given.rivals_python)
    dataset = open_dataset(
        write_dataset(given.work / given.split, given.split, given.quick, given.each)
    )
    out = given.work / f"{given.split}{'-quick' if given.quick else ''}-results"
    results.claim(out, dataset)
    options = Options(repeats=given.repeats, threads=given.threads, keep=given.keep)
    records = evaluate(dataset.cases, picked, out, options, _say)
    compared = results.comparisons(records)
    facts = machine(given.threads, given.device)
    found = results.write_results(out, dataset, dataset.cases, records, facts, compared)
    return section_of(found, dataset, given)


def section_of(found: dict[str, Any], dataset: Dataset, given: argparse.Namespace) -> str:
    """What was found as Markdown, cases with landmarks and those without apart."""
    run = [record for record in found["records"] if record["status"] != SKIPPED]
    marked = {case.id for case in dataset.cases if case.landmarks(case.fixed, case.moving)}
    kept = [[r for r in run if (r["case"] in marked) == wanted] for wanted in (True, False)]
    simulated, real = (summarize(records) for records in kept)
    sheets = [
        group_sheet(simulated, "By group", MARKED, MARKED_NOTES) if kept[0] else None,
        against_sheet(simulated, results.comparisons(kept[0])) if kept[0] else None,
        group_sheet(real, "Without landmarks", UNMARKED, UNMARKED_NOTES) if kept[1] else None,
        case_sheet(simulated) if kept[0] else None,
        failed_sheet(summarize(run)),
    ]
    command = f"python benchmarks/accuracy.py --split {given.split}{' --quick' * given.quick}"
    command += f" --each {given.each}" if given.each else ""
    lines = [
        f"## Accuracy, time and memory beside other tools, {found['date']}",
        f"`{command}`: one run on one machine, methods in turn on every case, seconds the median of {given.repeats}.",
        *results.about(found, masks_given=False),
        *_skipped(found["records"]),
        *(sheet.markdown() for sheet in sheets if sheet),
    ]
    return "\n\n".join(line.strip("\n") for line in lines) + "\n"


def group_sheet(
    summary: dict[str, Any], title: str, columns: dict[str, str], notes: tuple[str, ...]
) -> Sheet:
    """A row a group and method, the last ones over all groups."""
    rows = []
    for total in summary["totals"]:
        group = "all" if total["group"] is None else total["group"]
        cells = [BY_KEY[key].text(total["figures"][key]["value"]) for key in columns]
        done = str(total["done"])
        if total["done"] < total["cases"]:
            done += f" of {total['cases']}"
        rows.append((group, summary["titles"][total["method"]], done, *cells))
    heads = ("group", "method", "cases", *columns.values())
    return Sheet(title, heads, tuple(rows), notes, left=2)


def _skipped(records: Sequence[Record]) -> list[str]:
    skipped = {r["title"]: r["message"] for r in records if r["status"] == SKIPPED}
    return [f"- Not run: {title}, {message}" for title, message in skipped.items()]


def _say(state: Progress) -> None:
    record = state.finished
    if record is None or record["status"] == SKIPPED:
        return
    said = record["message"] if record["status"] == FAILED else f"{record['seconds']:.1f} s"
    marks = record["judged"]["landmarks"] if record["status"] == DONE else None
    if marks:
        said += f", {marks['after']['continuous']['mean']:.3f} mm"
    print(f"{state.done}/{state.total} {state.case}, {state.method}: {said}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("bench"), help="cases and results")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--quick", action="store_true", help="a case or two, for a trial")
    parser.add_argument("--each", type=int, help="only the first so many cases of every group")
    parser.add_argument(
        "--keep", action="store_true", help="leave the transforms in the work folder"
    )
    parser.add_argument("--presets", type=_names, default=["fast", "default", "accurate"])
    parser.add_argument("--model", help="weights; the shipped ones if left out")
    parser.add_argument("--device", default="cpu", help="for the network")
    parser.add_argument("--rivals", type=_names, default=["all"], help="names, all, or none")
    parser.add_argument("--rivals-python", default=sys.executable, help="of their environment")
    parser.add_argument("--threads", type=int, default=cores(), help="for every method")
    parser.add_argument("--repeats", type=int, default=1, help="seconds are the median of so many")
    parser.add_argument("--save", type=Path, help="file for the section of Markdown")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]


if __name__ == "__main__":
    main()
