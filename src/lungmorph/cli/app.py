"""The program ``lungmorph``: its verbs, and what becomes of errors."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Annotated, NoReturn

import typer

from .. import __version__
from ..errors import InputError, of_the_system
from . import apply, data, demo, evaluate, info, quality, register, report, simulate, train
from .exit_codes import BAD_INPUT, INTERRUPTED, OK, TERMINATED

#: What an interruption leaves, of the verbs that leave something.
KEPT = {
    "train": "the same command goes on from the last checkpoint, if there is one",
    "convert": "cases that were finished are kept",
}
#: what Typer raises for a wrong option; its home has moved between versions
UsageError: type[Exception] = typer.BadParameter.__base__  # type: ignore[assignment]

_log = logging.getLogger(__name__)

app = typer.Typer(
    name="lungmorph",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("register")(register.register)
app.command("apply")(apply.apply)
app.command("info")(info.info)
app.command("demo")(demo.demo)
app.command("quality")(quality.quality)
app.command("report")(report.report)
app.command("evaluate")(evaluate.evaluate)
app.command("train")(train.train)
app.command("simulate")(simulate.simulate)
app.add_typer(data.data)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"lungmorph {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Register lung CT: where is every point of one scan in the other?

    For research; not a medical device.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program and leave with its exit code.

    Args:
        arguments: as after the program's name; those of the process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminate)
    # a process that ends need not look for garbage among torch's objects, which takes half a second
    atexit.register(gc.freeze)
    code = _run(given)
    try:
        sys.stdout.flush()
    except OSError as error:  # what was printed is refused as late as here
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python fails at its exit as well
        code = code or _refuse_system(error, ())
    sys.exit(code)


def _run(given: list[str]) -> int:
    try:
        code = app(args=given or ["--help"], prog_name="lungmorph", standalone_mode=False)
    except OSError as error:
        if error.errno is None:  # not of the system: a library's own, and a defect
            raise
        _log.debug("refused by the system", exc_info=True)
        return _refuse_system(error, given)
    except InputError as error:
        return _refuse(str(error), given)
    except UsageError as error:
        said = error.format_message().replace("Value error, ", "")  # type: ignore[attr-defined]
        return _refuse(f"{said} See --help.", given)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED  # newer versions of Typer return it
    if code == INTERRUPTED:
        kept = next((KEPT[word] for word in given[:2] if word in KEPT), "nothing was written")
        print(f"interrupted: {kept}", file=sys.stderr)
    return code if isinstance(code, int) else OK


def _refuse(line: str, given: Sequence[str]) -> int:
    line = " ".join(line.split())  # a file name may hold a line break
    if "--json" in given:
        with suppress(OSError):  # which may be what is refused
            print(json.dumps({"error": line}))
    print(f"error: {line}", file=sys.stderr)
    return BAD_INPUT


def _refuse_system(error: OSError, given: Sequence[str]) -> int:
    # without a name, it comes from something that was open already
    what = error.filename or "a file or the output"
    return _refuse(str(of_the_system(error, what, expected="to be read or written")), given)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    # as an exception, so that what is half-written is removed on the way out
    sys.exit(TERMINATED)
