"""``lungmorph evaluate``: how good and how fast on a whole dataset, beside other tools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ..errors import InputError
from .console import print_json, print_whole, show_steps, stderr, stdout, use_threads
from .data import Cases, Kind, Option, Pattern, Size, Spacing, ids, opened
from .exit_codes import BAD_INPUT, INTERRUPTED
from .given import check_device
from .options import Device, Levels, Model, Verbose
from .register import PresetName

if TYPE_CHECKING:
    from ..datasets import Case, Dataset
    from ..evaluation.run import Progress

FILES = {
    "report.md": "every table, with what it was measured on",
    "results.csv": "one line a case and method",
    "results.json": "everything",
    "figures/": "error by case, against the displacement, and cumulative",
    "records/": "one file a case and method: what is there is not done again",
}


class Masks(StrEnum):
    """Which lung masks LungMorph is given."""

    auto = "auto"
    given = "given"


def evaluate(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET", help="Folder as its owner distributes it, or a table (.csv)."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the evaluation; one that is there goes on."),
    ],
    kind: Kind = None,
    pattern: Pattern = None,
    size: Size = None,
    spacing: Spacing = None,
    option: Option = None,
    preset: Annotated[
        list[PresetName] | None,
        typer.Option(help="Of LungMorph; may be given several times. default if left out."),
    ] = None,
    model: Model = None,
    levels: Levels = None,
    masks: Annotated[
        Masks,
        typer.Option(
            help="auto: LungMorph gets the two scans alone. given: the dataset's masks too."
        ),
    ] = Masks.auto,
    device: Device = "cpu",
    rival: Annotated[
        list[str] | None,
        typer.Option(
            help="Another tool on the same cases: greedy, convexadam, niftyreg, ants, plastimatch, elastix, "
            "all, or a Python file (docs/evaluation.md). May be given several times."
        ),
    ] = None,
    rivals_python: Annotated[
        str | None,
        typer.Option(help="Python of the environment that has them; this one if left out."),
    ] = None,
    cases: Cases = None,
    group: Annotated[str | None, typer.Option(help="Only cases of this group.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Only cases of this split: train, validation, test.")
    ] = None,
    backward: Annotated[
        bool | None,
        typer.Option(
            "--backward/--no-backward",
            help="Register backwards too, for the inverse consistency. If left out: where there are no landmarks.",
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Times are medians of so many registrations.")
    ] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of each registration; all if left out.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Folder of another evaluation, for a paired test.")
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(help="Folder for LungMorph's fields as the Learn2Reg challenge takes them."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep input files and transforms in OUTPUT/work.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print results.json and nothing else.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Register every case of a dataset and judge the results, LungMorph's and those of other tools.

    Finished cases are not repeated when it is run again. Exit code 2 if LungMorph failed on a case or a case has a problem.
    """
    use_threads(threads)
    show_steps(verbose)
    from ..evaluation import machine, methods, results, rivals, run

    check_device(device)
    data = opened(dataset, kind, pattern, size, spacing, option)
    if submission and data.kind != "learn2reg":
        found_kind = f"{dataset}, {data.title}"
        raise InputError("--submission", expected="a dataset of Learn2Reg", found=found_kind)
    chosen = select(data, ids(cases), group, split)
    presets = [name.value for name in preset or [PresetName.default]]
    tools = [t for name in rival or [] for t in (rivals.NAMES if name == "all" else (name,))]
    picked = methods.lungmorph_methods(
        presets, model=model, levels=levels, device=device, masks=masks.value
    ) + methods.rival_methods(tools, rivals_python or sys.executable)
    names = [method.name for method in picked]
    other = results.earlier(compare, names, [case.id for case in chosen]) if compare else []
    results.claim(output, data)
    problems = results.problems_of(data, chosen)
    if not as_json:
        _print_lines("problem", problems)
    count = threads or machine.cores()
    options = run.Options(backward, repeats, count, keep, submission)
    try:
        with _shown(as_json) as progress:
            records = run.evaluate(chosen, picked, output, options, progress)
    except KeyboardInterrupt:
        print(f"interrupted: what is finished is kept in {output}", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    found = results.write_results(
        output, data, chosen, records, machine.machine(count, device),
        results.comparisons(records, other, str(compare)), masks_given=masks is Masks.given,
    )  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _print_results(found, output)
    failed = [record for record in records if record["status"] == "failed"]
    _print_lines("failed", _by_message(failed, with_case=True))
    _print_lines("skipped", _by_message([r for r in records if r["status"] == "skipped"]))
    own = {method.name for method in picked if method.own}
    if problems or any(record["method"] in own for record in failed):
        raise typer.Exit(BAD_INPUT)


def select(
    dataset: Dataset, ids: Sequence[str], group: str | None, split: str | None
) -> list[Case]:
    """The cases that are asked for.

    Raises:
        InputError: an id, group or split that is not there, or nothing left.
    """
    there = {
        "--cases": list(dict.fromkeys(case.id for case in dataset.cases)),
        "--group": list(dict.fromkeys(case.group for case in dataset.cases if case.group)),
        "--split": list(dict.fromkeys(case.split for case in dataset.cases if case.split)),
    }
    for option, wanted in (("--cases", ids), ("--group", [group]), ("--split", [split])):
        for name in wanted:
            if name is not None and name not in there[option]:
                known = ", ".join(map(str, there[option])) or "none in this dataset"
                raise InputError(option, expected=f"of: {known}", found=repr(name))
    found = [
        case
        for case in dataset.cases
        if (not ids or case.id in ids)
        and (group is None or case.group == group)
        and (split is None or case.split == split)
    ]
    if not found:
        raise InputError(dataset.root, expected="cases that fit all options", found="none")
    return found


@contextmanager
def _shown(as_json: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A bar on a terminal, otherwise a line for everything that is finished; nothing with --json."""
    console = stderr()
    if as_json:
        yield None
        return
    if not console.is_terminal:
        yield lambda state: console.print(_line(state)) if _worth_a_line(state) else None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description:<32}"), BarColumn(bar_width=30), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("[dim]{task.fields[left]}"),
    )  # fmt: skip
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None, left="")

        def show(state: Progress) -> None:
            if _worth_a_line(state):
                console.print(_line(state))
            now = escape(f"{state.case}  {state.method}")
            left = _left(state.seconds_left)
            bar.update(task, description=now, completed=state.done, total=state.total, left=left)

        yield show


def _worth_a_line(state: Progress) -> bool:
    return state.finished is not None and state.finished["status"] != "skipped"


def _line(state: Progress) -> str:
    record: dict[str, Any] = state.finished or {}
    said = escape(record["message"])
    if record["status"] == "done":
        marks = record["judged"]["landmarks"]
        said = f"{record['seconds']:.1f} s"
        if marks:
            mean = marks["after"]["continuous"]["mean"]
            said += f", {marks['before']['continuous']['mean']:.2f} -> {mean:.2f} mm"
    style = {"done": "green", "failed": "red"}.get(record["status"], "yellow")
    who = escape(f"{state.case}, {state.method}")
    return f"[dim]{state.done}/{state.total}[/] {who}: [{style}]{record['status']}[/] {said}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return (
        f"about {seconds / 60:.0f} min left"
        if seconds < 5400
        else f"about {seconds / 3600:.1f} h left"
    )


def _print_results(found: dict[str, Any], output: Path) -> None:
    from ..evaluation import tables
    from ..evaluation.beside import published_sheet
    from ..evaluation.results import in_brief

    console, summary = stdout(), found["summary"]
    # totals by group, and comparisons at length, are in the report
    whole = [s for s in tables.total_sheets(summary) if not s.title.startswith("Group ")]
    beside = published_sheet(found["dataset"]["kind"], summary)
    sheets = [tables.case_sheet(summary), *whole, beside, *in_brief(found)]
    for sheet in sheets:
        if sheet is not None:
            print_whole(sheet.rich())
    console.print(f"written to [bold]{escape(str(output))}[/]:")
    for name, what in FILES.items():
        console.print(f"  {name:<14} [dim]{what}[/]")


def _by_message(records: Sequence[dict[str, Any]], with_case: bool = False) -> list[str]:
    """One line for everything that was said, with the methods that it is about."""
    who: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        key = (record["case"] if with_case else "", record["message"])
        who.setdefault(key, {})[record["title"]] = None
    return [
        f"{f'{case}, ' if with_case else ''}{', '.join(titles)}: {message}"
        for (case, message), titles in who.items()
    ]


def _print_lines(what: str, lines: Sequence[str]) -> None:
    for line in lines:
        print(f"{what}: {line}", file=sys.stderr)
