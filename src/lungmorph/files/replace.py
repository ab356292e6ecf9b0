"""Write a file so that it appears whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ..errors import InputError, of_the_system

#: What writers raise that do not leave it to Python: torch, ITK and HDF5; and safetensors.
_OWN_ERRORS = (RuntimeError, SafetensorError)
#: More than the smallest piece in which any usual file system hands out its space.
_PROBE_BYTES = 1 << 16


def file_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix in lower case, with both parts of ``.nii.gz`` and ``.mrk.json``."""
    name = Path(path).name.lower()
    for double in (".nii.gz", ".mrk.json"):
        if name.endswith(double):
            return double
    return Path(name).suffix


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path`` with the same suffix, put in its place when all went well.

    Raises:
        InputError: the folder does not exist, or ``path`` is a folder, or nothing can be written, or the disk
            is full.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(
            target, expected="a folder to write into", found="none", do="create it first"
        )
    if target.is_dir():
        raise InputError(target, expected="the name of a file", found="a folder")
    temporary = target.with_name(f".{secrets.token_hex(6)}{file_suffix(target)}")
    try:
        try:
            yield temporary
        except _OWN_ERRORS:
            _check_room(temporary)
            raise
        _check_room(temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise of_the_system(error, target, expected="a file that can be written") from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what a kill has left of files that :func:`replacing` was writing in a folder; nobody may be writing now."""
    for path in folder.iterdir():
        if re.fullmatch(r"\.[0-9a-f]{12}(\.[\w.]+)?", path.name):
            path.unlink(missing_ok=True)


def _check_room(written: Path) -> None:
    """Raise OSError if the disk takes nothing more.

    Most of ITK's writers (NIfTI, NRRD, text, MATLAB) do not look whether the disk took what they wrote:
    a file that was cut off looks like any other. A write that fails has filled the disk, so that the
    next one fails as well, and Python tells.
    """
    size = written.stat().st_size if written.exists() else 0
    with open(written, "ab") as stream:
        stream.write(bytes(_PROBE_BYTES))
        stream.flush()
        stream.truncate(size)
