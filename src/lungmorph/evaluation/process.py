"""A command measured as a whole process: wall seconds, peak memory, and what it said last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


@dataclass(frozen=True)
class Measured:
    """A process that has ended.

    Attributes:
        code: exit code; negative when a signal ended it.
        seconds: wall time, from before it was started to its end.
        peak_mb: largest resident set of any one process among it and its children, MB (10^6 bytes).
        last_line: the last line it printed that says anything.
    """

    code: int
    seconds: float
    peak_mb: float
    last_line: str


def measured(command: Sequence[str], log: Path, *, threads: int) -> Measured:
    """Run a command to its end, all it prints going to ``log``.

    It gets a session of its own, so that an interruption of this process (which ends the command and its
    children) is told once and by this process. ``threads`` is passed on as the environment variables
    that OpenMP, MKL and ITK read.
    """
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    with open(log, "wb") as stream:
        middle = subprocess.Popen(
            [sys.executable, "-S", "-c", _MEASURE, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=environment,
            start_new_session=True,
        )
        try:
            told, _ = middle.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(middle.pid, signal.SIGKILL)
            middle.wait()
            raise
    if middle.returncode != 0:  # not even started
        return Measured(middle.returncode, 0.0, 0.0, _last_line(log))
    code, seconds, peak = told.split()
    unit = 1.0 if sys.platform == "darwin" else 1024.0  # ru_maxrss: bytes there, KiB on Linux
    return Measured(int(code), float(seconds), int(peak) * unit / 1e6, _last_line(log))


#: A small process between us and the command: what a process forks starts with its peak memory.
_MEASURE = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=2)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), time.perf_counter() - start, usage.ru_maxrss)
"""


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "nothing was printed"
