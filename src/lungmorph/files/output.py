"""The folder of a result: it appears whole or not at all, and nobody's folder is lost."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import NO_ROOM, InputError, of_the_system
from .quiet import itk_name

#: Every result folder of LungMorph contains one of these.
RESULT_MARKS = ("metrics.json", "quality.json")


@contextmanager
def output_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder to write into, renamed to ``path`` when the block ends without error.

    Missing parent folders are made; after an exception all is as before. With ``overwrite`` an
    existing folder is replaced at the end, as long as it is empty or a result of LungMorph (it
    contains one of ``RESULT_MARKS``).

    Raises:
        InputError: on entry, when ``path`` exists (and may not be overwritten), cannot be made, or has a
            name that ITK cannot take; later, when something in it cannot be written (a full disk, a folder that was made read-only).
    """
    target = Path(path).resolve()
    itk_name(target)  # most of what is written goes through ITK
    _check_target(target, overwrite)
    made = _make_parents(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        with _named(temporary, target):
            temporary.mkdir()
            yield temporary
            _put_in_place(temporary, target, overwrite)
    except BaseException:  # also an interruption: nothing half-written stays
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in made:
            _remove_if_empty(folder)
        raise


@contextmanager
def _named(temporary: Path, target: Path) -> Iterator[None]:
    """Tell what cannot be written by the name that it was to have."""
    try:
        yield
    except InputError as error:
        if not error.what.startswith(f"{temporary}{os.sep}"):
            raise
        name = error.what.replace(str(temporary), str(target), 1)
        raise InputError(name, expected=error.expected, found=error.found, do=error.do) from error
    except OSError as error:
        if _is_of_writing(error, temporary):
            raise _cannot_write(target, error) from error
        raise


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(target, expected="a folder to write", found="a file of that name")
    if not overwrite:
        raise InputError(
            target,
            expected="a new output folder",
            found="one that exists",
            do="choose another name or pass --overwrite",
        )
    if any(target.iterdir()) and not any((target / mark).is_file() for mark in RESULT_MARKS):
        raise InputError(
            target,
            expected="an earlier result to overwrite",
            found=f"a folder with other things (no {RESULT_MARKS[0]})",
            do="choose another name",
        )


def _make_parents(folder: Path) -> list[Path]:
    """Create a folder; returns what was created, innermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    try:
        for level in reversed(missing):
            level.mkdir()
    except OSError as error:
        for level in missing:
            _remove_if_empty(level)
        raise _cannot_write(missing[0], error) from error
    return missing


def _put_in_place(temporary: Path, target: Path, overwrite: bool) -> None:
    _check_target(target, overwrite)  # it may have appeared while the work was going on
    if not target.exists():
        os.rename(temporary, target)
        return
    old = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    os.rename(target, old)
    try:
        os.rename(temporary, target)
    except OSError:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _is_of_writing(error: OSError, temporary: Path) -> bool:
    """Whether an error that came out of the block is about its folder, not about what was read for it."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    # where no name is given, it came from an open file
    return any(name.startswith(str(temporary)) for name in names) or (
        not names and error.errno in NO_ROOM
    )


def _cannot_write(target: Path, error: OSError) -> InputError:
    return of_the_system(error, target, expected="a place to write to")
