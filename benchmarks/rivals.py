"""Other registration tools behind one call, each in a process of its own.

`run(tool, fixed, moving, fixed_mask, moving_mask, out)` writes `displacement.mha` into `out`: float32,
millimetres, LPS, on the fixed grid, fixed -> moving. Wall time and peak memory are those of the whole
process: start of Python, imports, reading and writing included.

The tools may live in another environment than LungMorph: `python=` names its interpreter, which needs
numpy, SimpleITK and the tools.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from adapters import NOT_INSTALLED, TOOLS


@dataclass(frozen=True)
class Outcome:
    """`displacement` is None when the tool was skipped or failed; then `message` says why, in one line."""

    tool: str
    displacement: Path | None
    seconds: float = 0.0
    peak_mb: float = 0.0
    message: str = ""


def run(
    tool: str,
    fixed: str | Path,
    moving: str | Path,
    fixed_mask: str | Path,
    moving_mask: str | Path,
    out_folder: str | Path,
    *,
    threads: int = 2,
    python: str = sys.executable,
) -> Outcome:
    """Register with `tool` in a new process.

    Returns seconds (wall) and peak_mb (the largest resident set of any process it started). The tool's own
    output goes to `log.txt` in `out_folder`.
    """
    out = Path(out_folder)
    out.mkdir(parents=True, exist_ok=True)
    files = [str(Path(p).resolve()) for p in (fixed, moving, fixed_mask, moving_mask, out)]
    command = [
        python,
        str(Path(__file__).with_name("adapters.py").resolve()),
        tool,
        *files,
        "--threads",
        str(threads),
    ]
    code, seconds, peak_mb = timed(command, out / "log.txt", threads=threads)
    if code == NOT_INSTALLED:
        message = f"skipped: {TOOLS[tool].needs} is not installed ({TOOLS[tool].install})"
        return Outcome(tool, None, message=message)
    if code != 0:
        log = out / "log.txt"
        message = f"failed with code {code}: {last_line(log)} ({log})"
        return Outcome(tool, None, seconds, peak_mb, message)
    return Outcome(tool, out / "displacement.mha", seconds, peak_mb)


def timed(command: list[str], log: Path, *, threads: int) -> tuple[int, float, float]:
    """Run a command to its end: exit code, wall seconds, peak resident memory in MB (10^6 bytes)."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    with open(log, "wb") as stream:
        middle = subprocess.run(
            [sys.executable, "-S", "-c", _MEASURE, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stream, env=environment,
            check=True,
        )  # fmt: skip
    code, seconds, peak = middle.stdout.split()
    unit = 1.0 if sys.platform == "darwin" else 1024.0  # ru_maxrss: bytes there, KiB on Linux
    return int(code), float(seconds), int(peak) * unit / 1e6


#: A small process between us and the command: what a process forks starts with its peak memory.
_MEASURE = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=2)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), time.perf_counter() - start, usage.ru_maxrss)
"""


def last_line(log: Path) -> str:
    """The last line of a log that says anything."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "nothing was printed"
