"""``lungmorph data``: look at a dataset before anything is computed on it, or write it in plain formats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import InputError
from .console import print_json, print_whole, progress_bar, stdout, table
from .exit_codes import BAD_INPUT

if TYPE_CHECKING:
    from ..datasets import Dataset
    from ..datasets.check import CaseReport

data = typer.Typer(
    name="data",
    help="Look at a dataset, or write it as NIfTI and CSV.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Root = Annotated[
    Path,
    typer.Argument(metavar="ROOT", help="Folder as its owner distributes it, or a table (.csv)."),
]
Kind = Annotated[
    str | None,
    typer.Option(help="Of dataset; seen from the files if left out (see docs/datasets.md)."),
]
Pattern = Annotated[
    str | None, typer.Option(help="Where the images of a folder are, as '{id}/{scan}.nii.gz'.")
]
Size = Annotated[
    str | None,
    typer.Option(help="Voxels of raw images that are not the original ones, 256x256x94."),
]
Spacing = Annotated[str | None, typer.Option(help="Their spacing in mm, 0.97x0.97x2.5.")]
Option = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="What else a kind can be told (docs/datasets.md); may be given several times.",
    ),
]
Cases = Annotated[list[str] | None, typer.Option(help="Only these: ids with commas between them.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines, and nothing else.")]


class Phases(StrEnum):
    """Which scans of a case."""

    all = "all"
    pair = "pair"


@data.command("check")
def check(
    root: Root,
    kind: Kind = None,
    pattern: Pattern = None,
    size: Size = None,
    spacing: Spacing = None,
    option: Option = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Headers and landmarks only; no voxel is read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a dataset is, what is wrong with it, and how far apart its landmarks are.

    The landmark error before registration is compared with the published one: another value means a
    wrong frame, or other data. Exit code 2 if a case has a problem.
    """
    dataset = opened(root, kind, pattern, size, spacing, option)
    from ..datasets import check as checks

    with progress_bar(not as_json and not quick) as progress:
        reports = checks.check(dataset, quick=quick, progress=progress)
    bad = sum(bool(report.problems) for report in reports)
    if as_json:
        print_json(checks.as_dict(dataset, reports))
    else:
        _show(stdout(), dataset, reports)
        verdict = f"{_count(len(reports), 'case')}, {len(reports) - bad} ready, {bad} with problems"
        if dataset.problems:
            verdict += f"; {_count(len(dataset.problems), 'problem')} of the dataset as a whole"
        stdout().print(f"[bold]{verdict}[/]")
    if bad or dataset.problems:
        raise typer.Exit(BAD_INPUT)


@data.command("convert")
def convert(
    root: Root,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write into; finished cases are kept.")
    ],
    cases: Cases = None,
    phases: Annotated[
        Phases, typer.Option(help="All scans, or the pair that is registered.")
    ] = Phases.all,
    kind: Kind = None,
    pattern: Pattern = None,
    size: Size = None,
    spacing: Spacing = None,
    option: Option = None,
    as_json: AsJson = False,
) -> None:
    """Write a dataset as NIfTI (int16 HU) and CSV (LPS mm), and a table that every verb reads.

    A case appears whole or not at all. Exit code 2 if one could not be written, or lacks something, or if
    a file of the dataset could not be used.
    """
    dataset = opened(root, kind, pattern, size, spacing, option)
    from ..datasets.convert import convert as converted

    with progress_bar(not as_json) as progress:
        done = converted(dataset, output, cases=ids(cases), phases=phases.value, progress=progress)
    states = [case.state for case in done]
    written, kept, failed = (states.count(s) for s in ("written", "kept", "failed"))
    if as_json:
        print_json(
            {
                "output": str(output),
                "cases": [
                    {"id": c.id, "state": c.state, "problems": list(c.problems)} for c in done
                ],
                "problems": list(dataset.problems),
            }
        )
    else:
        console = stdout()
        lines = [("the dataset", dataset.problems), *((c.id, c.problems) for c in done)]
        _print_lines(console, "red", "problem", lines)
        counts = f"{written} written, {kept} kept, {failed} failed"
        console.print(f"[bold]{_count(len(done), 'case')}, {counts}[/]: {escape(str(output))}")
    if dataset.problems or any(case.problems or case.state == "failed" for case in done):
        raise typer.Exit(BAD_INPUT)


def opened(
    root: Path,
    kind: str | None,
    pattern: str | None,
    size: str | None,
    spacing: str | None,
    more: Sequence[str] | None = None,
) -> Dataset:
    """The dataset that the options of a verb name; ``more`` are texts such as "points=world".

    Raises:
        InputError: as :func:`lungmorph.datasets.open_dataset`; a size, spacing or option that is none.
    """
    options: dict[str, Any] = dict(_named(text) for text in more or ())
    own = {"pattern": pattern, "size": size, "spacing": spacing}
    options |= {name: value for name, value in own.items() if value is not None}
    for name in ("size", "spacing"):
        if name in options:
            how = "--option " if own[name] is None else "--"
            options[name] = _three(how + name, options[name], whole=name == "size")
    from ..datasets import open_dataset

    return open_dataset(root, kind, **options)


def ids(several: Sequence[str] | None) -> list[str]:
    """What was given to ``--cases``, once or several times."""
    return [name.strip() for part in several or () for name in part.split(",") if name.strip()]


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise InputError("--option", expected="NAME=VALUE", found=repr(text))
    return name.strip().replace("-", "_"), value


def _three(option: str, text: str, whole: bool) -> list[float]:
    try:
        values = [float(int(part) if whole else part) for part in text.lower().split("x")]
    except ValueError:
        values = []
    if len(values) != 3 or not all(0 < value < 1e5 for value in values):
        what = "whole numbers, as 256x256x94" if whole else "numbers of mm, as 0.97x0.97x2.5"
        raise InputError(option, expected=f"three {what}", found=repr(text))
    return values


# ------------------------------------------------------------------ for people


def _show(console: Console, dataset: Dataset, reports: Sequence[CaseReport]) -> None:
    heads = (
        "case",
        "scans",
        "fixed, moving",
        "voxels",
        "mm",
        "points",
        "in lungs",
        "before, mm",
        "",
    )
    title = escape(f"{dataset.title}: {dataset.root}")
    print_whole(table([_row(report) for report in reports], heads, title))
    whole = "the dataset"
    lines = [(whole, dataset.problems), *((report.id, report.problems) for report in reports)]
    _print_lines(console, "red", "problem", lines)
    _print_lines(console, "yellow", "warning", [(r.id, r.warnings) for r in reports])
    lines = [(whole, dataset.notes), *((report.id, report.notes) for report in reports)]
    _print_lines(console, "dim", "note", lines, len(reports))


def _row(report: CaseReport) -> tuple[str, ...]:
    there = {scan.name: scan.grid for scan in report.scans}
    grids = [there[name] for name in report.pair if name in there]
    sizes = dict.fromkeys("x".join(str(n) for n in grid.size) for grid in grids)
    steps = dict.fromkeys("x".join(f"{s:.4g}" for s in grid.spacing) for grid in grids)
    before = ""
    if report.before is not None:
        before = f"{report.before.mean:.2f} ± {report.before.sd:.2f}"
        if report.published is not None:
            before += f"\n(published {report.published:.2f})"
    return (
        escape(report.id),
        str(len(report.scans)),
        escape(", ".join(filter(None, report.pair))),
        "\n".join(sizes),
        "\n".join(steps),
        str(report.landmarks or ""),
        "" if report.in_lungs is None else f"{100 * report.in_lungs:.0f} %",
        before,
        f"[red]{_count(len(report.problems), 'problem')}[/]" if report.problems else "ready",
    )


def _print_lines(
    console: Console,
    style: str,
    what: str,
    said: Iterable[tuple[str, Sequence[str]]],
    every: int = 0,
) -> None:
    """A line for every text, after the cases that it is about; ``every`` is how many there are."""
    cases: dict[str, list[str]] = defaultdict(list)
    for case, texts in said:
        for text in texts:
            cases[text].append(case)
    for text, ids in cases.items():
        who = "all cases" if 1 < every == len(ids) else ", ".join(ids)
        console.print(f"[{style}]{what}[/] {escape(who)}: {escape(text)}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
