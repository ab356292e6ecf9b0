"""What the verbs print with: a console for people on stderr, progress, tables, plain JSON on stdout."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..plain_json import json_text
from .allocator import keep_freed_memory

if TYPE_CHECKING:
    from ..quality.checks import Verdict

#: How verdicts are coloured.
TONES = {"pass": "green", "review": "yellow", "fail": "red", "not computed": "dim"}


def stderr() -> Console:
    """For messages and progress. Made anew, so that it follows a redirected ``sys.stderr``."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout() -> Console:
    """For results."""
    return Console(highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """A result for machines: JSON alone, without colours or folding of lines."""
    print(json_text(value))


def print_verdict(verdict: Verdict) -> None:
    """Pass, review or fail, and why, a reason a line."""
    console = stdout()
    console.print(f"verdict: [bold {TONES[verdict.verdict]}]{verdict.verdict}[/]")
    for line in verdict.why:
        console.print(f"  {escape(line)}")


def show_steps(verbose: bool) -> None:
    """With ``--verbose``, let the library's log through to stderr."""
    if not verbose:
        return
    from rich.logging import RichHandler

    logging.basicConfig(
        level=logging.DEBUG,
        format="%(message)s",
        handlers=[RichHandler(console=stderr(), show_path=False)],
    )
    for noisy in ("matplotlib", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def use_threads(count: int | None) -> None:
    """Limit every library to so many threads, if a number is given; before torch is imported, where it still can be."""
    if count is not None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
            os.environ[name] = str(count)
    if "torch" not in sys.modules:
        _import_torch()
    if count is None:
        return
    import SimpleITK as sitk
    import torch

    torch.set_num_threads(count)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)


def _import_torch() -> None:
    """As ever, but nobody looks for garbage among the objects that come, of which none is any: a fifth of a second."""
    keep_freed_memory()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def progress_bar(shown: bool) -> Iterator[Callable[[str, float], None] | None]:
    """A bar on stderr, driven by (what, share done); None where nobody is looking."""
    console = stderr()
    if not shown or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=36),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=1.0)
        yield lambda what, share: progress.update(task, description=what, completed=share)


def table(rows: Sequence[Sequence[str]], heads: Sequence[str], title: str | None = None) -> Table:
    """First column to the left, all others to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, head in enumerate(heads):
        made.add_column(head, justify="left" if number == 0 else "right")
    for row in rows:
        made.add_row(*row)
    return made


def print_whole(made: Table) -> None:
    """A table as a result, every cell whole, wider than the terminal if it has to be."""
    console = stdout()
    needed = console.measure(made, options=console.options.update(width=10_000)).maximum
    console.width = max(console.width, needed)
    console.print(made)


def facts(pairs: Sequence[tuple[str, str]], title: str | None = None) -> Table:
    """Names and values, without lines."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    made.add_column(style="dim")
    made.add_column()
    for name, value in pairs:
        made.add_row(name, value)
    return made
