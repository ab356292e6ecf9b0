"""What went wrong with a method or a case, in one line for its record."""

from __future__ import annotations

import logging
from pathlib import Path

from ..errors import InputError
from .methods import Method
from .process import Measured

log = logging.getLogger(__name__)


class MethodError(Exception):
    """A method did not give a transform; the text says why, in one line."""


def failure(method: Method, found: Measured, log_file: Path) -> str:
    """Why a process that ended with another code than 0 did so."""
    if found.code < 0:
        why = " (out of memory?)" if found.code == -9 else ""
        return f"ended by signal {-found.code}{why}; see {log_file}"
    if method.own and found.last_line.startswith("error: "):
        return found.last_line.removeprefix("error: ")
    return f"exit code {found.code}: {found.last_line}; see {log_file}"


def one_line(error: Exception) -> str:
    """An error as one line; what is no bad input goes to the log with its traceback too."""
    if isinstance(error, InputError | MethodError):
        return " ".join(str(error).split())
    log.error("a defect, or a file that nobody expected", exc_info=error)
    return " ".join(f"{type(error).__name__}: {error}".split())
