"""A process and its children, measured from outside."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lungmorph.evaluation.process import measured

PYTHON = sys.executable


def test_seconds_and_memory_are_those_of_the_command(tmp_path: Path) -> None:
    kept = np.ones(40_000_000)  # 320 MB of ours: not to be counted
    code = "import time; held = bytearray(150_000_000); time.sleep(0.5)"
    found = measured([PYTHON, "-c", code], tmp_path / "log", threads=1)
    assert found.code == 0
    assert 0.5 <= found.seconds < 20
    assert 150 < found.peak_mb < 250
    assert kept.nbytes == 320_000_000


def test_memory_of_a_child_counts(tmp_path: Path) -> None:
    child = "held = bytearray(150_000_000)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert 150 < measured([PYTHON, "-c", code], tmp_path / "log", threads=1).peak_mb < 250


def test_what_is_said_goes_to_the_log_and_its_last_line_is_told(tmp_path: Path) -> None:
    code = "import sys; print('one'); sys.stdout.flush(); print('two\\n\\n  ', file=sys.stderr); sys.exit(3)"
    found = measured([PYTHON, "-c", code], tmp_path / "log", threads=1)
    assert (found.code, found.last_line) == (3, "two")
    assert "one" in (tmp_path / "log").read_text()
    killed = measured(
        [PYTHON, "-c", "import os; os.kill(os.getpid(), 9)"], tmp_path / "l", threads=1
    )
    assert (killed.code, killed.last_line) == (-9, "nothing was printed")


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    found = measured([str(tmp_path / "nothing")], tmp_path / "log", threads=1)
    assert found.code != 0
    assert "nothing" in found.last_line


def test_threads_are_told_to_the_libraries(tmp_path: Path) -> None:
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS'])"
    assert measured([PYTHON, "-c", code], tmp_path / "log", threads=3).last_line == "3 3"


def test_an_interruption_ends_the_command_too(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    def interrupt() -> None:
        while not mark.exists() or not mark.read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)  # a real signal: it ends a blocking wait

    # a shell starts what runs in its background with interruptions ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            measured([PYTHON, "-c", code], tmp_path / "log", threads=1)
    finally:
        signal.signal(signal.SIGINT, before)
    for _ in range(100):
        if not _alive(int(mark.read_text())):
            return
        time.sleep(0.05)
    pytest.fail("the command still runs")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and ") Z " in stat.read_text())
