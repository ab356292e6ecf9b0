"""How ITK is called: without its writing on the user's terminal, and with names that it can take."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import SimpleITK as sitk

from ..errors import InputError

_LOCK = threading.Lock()
#: How many threads are in ITK, and what to do when the last of them has left.
_inside = 0
_undo = ExitStack()


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Silence standard error while ITK works: MetaIO, niftilib and GDCM print there by themselves.

    File descriptor 2 belongs to the whole process, so what another thread prints there meanwhile is lost too: only around
    single calls, please. What matters in those messages comes back as an exception or is found by the checks of this package.
    """
    global _inside
    with _LOCK:
        if _inside == 0:
            _silence()
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _undo.close()


def _silence() -> None:
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no standard error to protect
        return
    _undo.callback(os.close, kept)
    _undo.callback(os.dup2, kept, 2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    _undo.callback(os.close, nowhere)
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    _undo.callback(sitk.ProcessObject.SetGlobalWarningDisplay, shown)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    os.dup2(nowhere, 2)


def itk_name(path: str | os.PathLike[str]) -> str:
    """A path as ITK takes it.

    Raises:
        InputError: a name with bytes that are no UTF-8, as old archives unpack them: given one, SimpleITK
            ends the whole process.
    """
    name = os.fspath(path)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="backslashreplace").decode()
        raise InputError(
            shown, expected="a name in UTF-8", found="one in another encoding", do="rename it"
        ) from error
    return name


def itk_reason(error: Exception) -> str:
    """The telling part of ITK's many-line exception text, as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Exception thrown in")] or ["unknown"]
    text = told[0]
    for noise in ("sitk::ERROR: ", "ITK ERROR: "):
        text = text.removeprefix(noise)
    # where ITK's object lay in memory tells nobody anything
    return re.sub(r"\(0x[0-9a-f]+\)", "", text)[:160]
