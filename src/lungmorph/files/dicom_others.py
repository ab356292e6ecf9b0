"""Files that are no DICOM image, beside the slices of a scan."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from .dicom_mark import dicom_mark


def check_others(others: Iterable[Path], slices: Iterable[Path]) -> list[InputError]:
    """What to say of other files where a slice should be: leaving them out shortens the scan.

    Args:
        others: files that are no DICOM image.
        slices: DICOM files; a file counts only if it is called like one of its folder.

    Returns:
        An error for every file that has no byte, only zeros, or something else than DICOM (a page of an
        archive's server, an archive), or that cannot be read.
    """
    names = {(path.parent, _alike(path)) for path in slices}
    errors = []
    for path in others:
        # hidden ones are notes of file systems, of DICOM there may be reports, contours, plans
        if (path.parent, _alike(path)) not in names or path.name.startswith("."):
            continue
        if dicom_mark(path):
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            found = error.strerror or str(error)
        else:
            found = _what_is_in(content)
        errors.append(InputError(path, expected="a DICOM slice", found=found, do="copy it again"))
    return errors


def _what_is_in(content: bytes) -> str:
    if any(content):
        return f"other content, which begins with {content[:16]!r}"
    return "zeros alone" if content else "an empty file"


def _alike(path: Path) -> str:
    """A file name as far as it is the same for all slices of a series."""
    ending = path.suffix.lower()
    return ending if ending in (".dcm", ".ima") else re.sub(r"\d+", "#", path.name)
