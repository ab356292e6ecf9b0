"""How ITK is called: without its writing on the user's terminal, and with names that it can take."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk

from ..errors import InputError

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Silence standard error while ITK works: MetaIO, niftilib and GDCM print there by themselves.

    File descriptor 2 belongs to the whole process, so one thread at a time does this, and only
    around a single call. What matters in those messages comes back as an exception or is found by
    the checks of this package.
    """
    with _ONE_AT_A_TIME:
        try:
            sys.stderr.flush()
            kept = os.dup(2)
        except (OSError, ValueError, AttributeError):  # no standard error to protect
            yield
            return
        shown = sitk.ProcessObject.GetGlobalWarningDisplay()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
            sitk.ProcessObject.SetGlobalWarningDisplay(shown)


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
