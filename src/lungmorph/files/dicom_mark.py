"""Whether a file is DICOM, by its first bytes: asked of every file, so without pydicom, which takes long to import."""

from __future__ import annotations

import os


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file carries the DICOM mark, or begins like DICOM written without its preamble."""
    return dicom_mark(path) != ""


def dicom_mark(path: str | os.PathLike[str]) -> str:
    """ "mark", "bare" (a first element of group 0002 or 0008, as without preamble), or nothing."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(132)
    except OSError:
        return ""
    if head[128:] == b"DICM":
        return "mark"
    if len(head) == 132 and head[:2] in (b"\x02\x00", b"\x08\x00") and head[3] == 0:
        return "bare"
    return ""
