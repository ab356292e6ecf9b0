"""``lungmorph train``: from a config to weights."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import Progress

from .console import print_json, show_steps, stderr, stdout, table, use_threads
from .exit_codes import DEFECT
from .options import Threads, Verbose

if TYPE_CHECKING:
    from ..training import Status, Trained


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML; see configs/.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Changes to the config: stages.0.max_steps=100, device.precision=bf16-mixed.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the run; runs/NAME-OF-CONFIG if left out."),
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Refuse to go on with a run that is there already.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Stop after so long; the same command then goes on."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Look at config, weights and data, and do not train.")
    ] = False,
    threads: Threads = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result for machines, and nothing else.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Train a network, or go on training: stage by stage, with weights and curves in the run's folder.

    Ctrl-C ends it after the current step and keeps its state; the same command goes on.
    On several GPUs: device.devices=4, or torchrun --no-python --nproc-per-node 4 lungmorph train ...
    """
    use_threads(threads)
    show_steps(verbose)
    logging.getLogger("lungmorph.simulate").setLevel(logging.WARNING)  # a line for every pair
    from ..training import load_config
    from ..training import train as run

    settings = load_config(config, overrides or [])
    folder = output or Path("runs") / config.stem
    if check:
        _check(settings, folder, as_json, new)
        return
    with _stop_on_signal() as told, _shown(not as_json and not verbose) as (watch, progress):
        try:
            trained = run(
                settings,
                folder,
                not new,
                minutes=minutes,
                watch=watch,
                stop=told.asked,
                progress=progress,
            )
        except FloatingPointError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(DEFECT) from error
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            print(
                "error: a process that makes pairs was ended, probably for lack of memory: lower workers; the same command"
                " goes on from the last checkpoint",
                file=sys.stderr,
            )
            raise SystemExit(DEFECT) from error
    if trained.first:
        _tell(trained, as_json)
    if told.number:
        raise SystemExit(128 + told.number)


def _check(settings: Any, folder: Path, as_json: bool, new: bool) -> None:
    from ..training.checkpoint import check_folder
    from ..training.data import plan
    from ..training.data_config import Simulated
    from ..training.fabric import check_batch, processes_of
    from ..training.patients import check_patients
    from ..training.warm_start import first_network

    check_batch(settings, processes_of(settings.device)[0])
    network = first_network(settings, check_folder(folder, settings, not new))
    planned = plan(settings, folder)
    check_patients(folder, planned)
    simulated = [source for source in settings.data.sources if isinstance(source, Simulated)]
    facts: dict[str, Any] = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "stages": [stage.name for stage in settings.stages],
        "training_pairs": sum(map(len, planned.train)),
        "training_patients": len({p.case.patient for part in planned.train for p in part}),
        "validation_pairs": [pair.name for pair in planned.validation],
        "simulated": bool(simulated),
        "simulated_validation_pairs": sum(source.validation.pairs for source in simulated),
        "judged_pairs": {group.name: len(group.pairs) for group in planned.judged},
        "problems": list(planned.problems),
    }
    if as_json:
        print_json(facts)
        return
    console = stdout()
    console.print(f"{facts['parameters']:,} parameters; stages: {', '.join(facts['stages'])}")
    if planned.train:
        console.print(
            f"on disk: {facts['training_pairs']} pairs of {facts['training_patients']} patients to"
            f" train on, {_pairs(len(planned.validation))} to validate on"
        )
    if simulated:
        count = facts["simulated_validation_pairs"]
        console.print(f"simulated: pairs without end to train on, {count} to validate on")
    for name, count in facts["judged_pairs"].items():
        console.print(f"judged on {_pairs(count)}: {escape(name)}")
    for line in planned.problems:
        console.print(f"[red]problem[/] {escape(line)}")


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count} pairs"


def _tell(trained: Trained, as_json: bool) -> None:
    result = trained.result
    found = vars(result.outcome) if result.outcome else None
    if as_json:
        print_json(
            {
                "finished": result.finished,
                "steps": result.steps,
                "weights": str(result.weights),
                "validation": found,
                "judged": trained.judged,
            }
        )
        return
    console = stdout()
    state = "all stages done" if result.finished else "stopped; the same command goes on"
    console.print(f"{result.steps} steps, {state}.")
    if result.outcome is not None:
        console.print(f"validation: {_outcome(result.outcome)}")
    if trained.judged:
        lines = [
            (
                escape(str(row["dataset"])),
                str(row["pairs"]),
                *(_number(row[k], 2) for k in ("start_mm", "error_mm")),
                _number(row["lncc"], 3),
                _number(100 * row["folded"], 4),
            )
            for row in trained.judged
        ]
        heads = ("network alone", "pairs", "before, mm", "after, mm", "LNCC", "folded, %")
        console.print(table(lines, heads))
    console.print(
        f"weights: [bold]{escape(str(result.weights))}[/], curves: curves.png beside them"
    )
    console.print(f"  lungmorph register FIXED MOVING --model {escape(str(result.weights))} -o OUT")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _outcome(outcome: Any) -> str:
    if outcome.error_mm is None:
        return f"LNCC {outcome.lncc:.3f}"
    return f"error {outcome.error_mm:.2f} mm (before {outcome.start_mm:.2f})"


# ---------------------------------------------------------------- signals


class _Told:
    """Whether a signal asked for an end; once the loop runs, that is left to the loop."""

    def __init__(self) -> None:
        self.number = 0
        self._in_the_loop = False

    def asked(self) -> bool:
        self._in_the_loop = True
        return self.number != 0

    def hear(self, number: int, frame: FrameType | None) -> None:
        again, self.number = self.number != 0, number
        if again or not self._in_the_loop:
            # Python swallows what is raised while a worker is forked; the loop then asks
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + number)
        print("ending after this step; once more to end at once", file=sys.stderr)


@contextmanager
def _stop_on_signal() -> Iterator[_Told]:
    told = _Told()
    before = {n: signal.signal(n, told.hear) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------- progress


@contextmanager
def _shown(
    shown: bool,
) -> Iterator[tuple[Callable[[Status], None] | None, Callable[[str, float], None] | None]]:
    """A bar on a terminal; elsewhere a line a minute; nothing for machines."""
    console = stderr()
    if not shown:
        yield None, None
    elif not console.is_terminal:
        step, before = _now_and_then(at_once=True), _now_and_then(at_once=False)
        yield (
            lambda status: step(f"{status.stage}: {_facts(status)}"),
            lambda what, share: before(f"{what} ({share:.0%} of it)"),
        )
    else:
        from rich.progress import BarColumn, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}"),
        )
        with Progress(*columns, console=console, transient=True, expand=True) as bar:
            task = bar.add_task("starting", total=1.0, facts="")

            def watch(status: Status) -> None:
                share = status.stage_step / status.stage_steps
                bar.update(task, description=status.stage, completed=share, facts=_brief(status))

            def progress(what: str, share: float) -> None:
                bar.update(task, description=what, completed=share, facts="")

            yield watch, progress


def _now_and_then(at_once: bool, every_s: float = 60.0) -> Callable[[str], None]:
    import time

    last = time.monotonic() - (every_s if at_once else 0)

    def line(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= every_s:
            last = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    return line


def _facts(status: Status) -> str:
    parts = [f"step {status.stage_step}/{status.stage_steps}", f"loss {status.loss:.4f}"]
    if status.outcome is not None:
        parts.append(_outcome(status.outcome))
    parts.append(f"{status.pairs_per_second:.2f} pairs/s")
    after = f", {status.stages_left} more after it" if status.stages_left else ""
    parts.append(f"at most {_hours(status.seconds_left)} left of this stage{after}")
    return ", ".join(parts)


def _brief(status: Status) -> str:
    """The same for a terminal of 80 columns, beside the bar."""
    parts = [f"{status.stage_step}/{status.stage_steps}", f"loss {status.loss:.4f}"]
    if status.outcome is not None:
        parts.append(_outcome(status.outcome).split(" (")[0])
    after = f" + {status.stages_left} stages" if status.stages_left else ""
    parts += [
        f"{status.pairs_per_second:.1f} pairs/s",
        f"{_hours(status.seconds_left)} left{after}",
    ]
    return "  ".join(parts)


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"
