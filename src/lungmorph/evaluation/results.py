"""The folder of an evaluation: whose it is, and what is written into it at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ..datasets import Case, Dataset
from ..errors import InputError
from ..files import replacing
from .brief import against_sheet, group_sheets
from .compare import compare, compare_methods
from .figures import draw_all
from .quantities import methods_of, titles_of
from .records import DONE, Record, read_records
from .sheet import Sheet
from .summary import summarize
from .tables import markdown, write_cases_csv, write_json

#: Says of which dataset the records in a folder are.
MARK = "evaluation.json"
HOW = (
    "Every registration is a process of its own on the same files; seconds and memory are those of the whole process, "
    "reading the scans and writing the transform included. Rivals get the lung masks and start from the shift of the two mask centres.",
    "Masks for rivals and for the figures are the dataset's own where it has them, else automatic. LungMorph gets {gets}.",
)


def claim(out: Path, dataset: Dataset) -> None:
    """Make the folder of an evaluation, or make sure that it is one of the same dataset.

    Raises:
        InputError: the folder holds other things, or the evaluation of another dataset, or cannot be made.
    """
    mark = out / MARK
    about = {"kind": dataset.kind, "title": dataset.title, "root": str(dataset.root.resolve())}
    if out.exists() and not out.is_dir():
        raise InputError(out, expected="a folder to write", found="a file of that name")
    if mark.is_file():
        found = json.loads(mark.read_text(encoding="utf-8"))
        if (found.get("kind"), found.get("root")) != (about["kind"], about["root"]):
            raise InputError(
                out,
                expected=f"an evaluation of {about['root']}, to go on with",
                found=f"one of {found.get('root')}",
                do="choose another folder",
            )
        return
    if out.exists() and any(out.iterdir()):
        raise InputError(
            out,
            expected="a new folder, or an evaluation to go on with",
            found=f"a folder with other things (no {MARK})",
            do="choose another name",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            out, expected="a place to write to", found=error.strerror or str(error)
        ) from error
    with replacing(mark) as part:
        part.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def earlier(out: Path, methods: Sequence[str], cases: Sequence[str]) -> list[Record]:
    """The records of an evaluation to compare with.

    Args:
        methods: names, of this run.
        cases: ids, of this run.

    Raises:
        InputError: there are none that are done, or none with which this run could be compared.
    """
    found = [record for record in read_records(out) if record["status"] == DONE]
    if not found:
        raise InputError(
            out, expected="the folder of an evaluation", found="no finished record in it"
        )
    there = methods_of(found)
    if not _matched(methods, there):
        raise InputError(
            out,
            expected=f"an evaluation of {', '.join(methods)} too, or one method on either side",
            found=", ".join(there),
        )
    if not {record["case"] for record in found} & set(cases):
        raise InputError(
            out,
            expected=f"finished cases of this run ({_some(cases)})",
            found=_some(list(dict.fromkeys(record["case"] for record in found))),
        )
    return found


def comparisons(
    records: Sequence[Record], other: Sequence[Record] = (), other_name: str = ""
) -> list[dict[str, Any]]:
    """Paired tests: the main method with every other of this run, and each with itself in another run.

    The main method is LungMorph's default if it is there, else the first. Of an ``other`` run, methods of the same name
    are compared, or its only one with the only one here.
    """
    found = compare_methods(records, main_method(records)) if len(methods_of(records)) > 1 else []
    titles = titles_of(records)
    for ours, theirs in _matched(methods_of(records), methods_of(other)):
        pair = (
            [r for r in records if r["method"] == ours],
            [r for r in other if r["method"] == theirs],
        )
        if _finished(pair[0]) & _finished(pair[1]):
            there = titles_of(other)[theirs]
            found.append(compare(*pair, names=(titles[ours], f"{there} in {other_name}")))
    return found


def main_method(records: Sequence[Record]) -> str:
    """Which method the others are compared with."""
    methods = methods_of(records)
    return "lungmorph-default" if "lungmorph-default" in methods else methods[0]


def write_results(
    out: Path,
    dataset: Dataset,
    cases: Sequence[Case],
    records: Sequence[Record],
    machine: dict[str, Any],
    compared: Sequence[dict[str, Any]],
    *,
    masks_given: bool = False,
) -> dict[str, Any]:
    """Write ``results.csv``, ``results.json``, ``report.md`` and ``figures/`` into ``out``.

    Returns:
        What ``results.json`` holds: dataset, machine, date, records, summary, comparisons, problems.

    Raises:
        InputError: nothing can be written there.
    """
    summary = summarize(records)
    problems = problems_of(dataset, cases)
    found: dict[str, Any] = {
        "date": date.today().isoformat(),
        "dataset": {"kind": dataset.kind, "title": dataset.title, "root": str(dataset.root)},
        "machine": machine,
        "problems": problems,
        "summary": summary,
        "comparisons": list(compared),
        "records": list(records),
    }
    write_json(out / "results.json", **found)
    write_cases_csv(summary, out / "results.csv")
    _draw(records, out / "figures")
    text = markdown(
        summary,
        title=f"{dataset.title}, {found['date']}",
        about=[*about(found, masks_given=masks_given), *(s.markdown() for s in in_brief(found))],
        kind=dataset.kind,
        comparisons=compared,
    )
    with replacing(out / "report.md") as part:
        part.write_text(text, encoding="utf-8")
    return found


def in_brief(results: dict[str, Any]) -> list[Sheet]:
    """Methods by group, and the main one against each other."""
    against = against_sheet(results["summary"], results["comparisons"])
    return [*group_sheets(results["summary"]), *([against] if against else [])]


def about(results: dict[str, Any], *, masks_given: bool) -> list[str]:
    """What ran where and how, and what is wrong with the data: lines of Markdown."""
    machine = results["machine"]
    versions = dict(machine["versions"])
    for record in results["records"]:
        versions |= {name: v for name, v in record["versions"].items() if v}
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    where = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads a registration, "
        f"{machine['memory_gb']} GB{gpu}, {machine['system']}."
    )
    settings = {
        record["title"]: record["settings"]["settings"]
        for record in results["records"]
        if record["settings"].get("settings")
    }
    gets = "them too" if masks_given else "the two scans alone and finds the lungs itself"
    lines = [where, ", ".join(f"{name} {v}" for name, v in versions.items()) + "."]
    lines += [part.format(gets=gets) for part in HOW]
    lines += [f"- {title}: {told}" for title, told in settings.items()]
    return lines + [f"- **Problem:** {line}" for line in results["problems"]]


def problems_of(dataset: Dataset, cases: Sequence[Case]) -> list[str]:
    """What is wrong with the data, a line each."""
    return [*dataset.problems, *(f"{case.id}: {line}" for case in cases for line in case.problems)]


def _draw(records: Sequence[Record], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    drawn = draw_all(records, folder)
    for old in set(folder.glob("*.png")) - set(drawn):
        old.unlink()  # of an earlier choice of cases


def _matched(here: Sequence[str], there: Sequence[str]) -> list[tuple[str, str]]:
    same = [(method, method) for method in here if method in there]
    if not same and len(here) == len(there) == 1:
        return [(here[0], there[0])]
    return same


def _finished(records: Sequence[Record]) -> set[str]:
    return {record["case"] for record in records if record["status"] == DONE}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
