"""Voxels without a header: little endian 16-bit integers, mapped from the disk and not read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Size = tuple[int, int, int]
Stored = NDArray[np.int16]

#: How files begin that are taken for raw voxels by mistake: (offset, bytes, what it is, remedy).
_BEGINNINGS = (
    (0, b"\x1f\x8b", "a gzip file", "unpack it"),
    (0, b"PK\x03\x04", "a zip file", "unpack it"),
    (0, b"BZh", "a bzip2 file", "unpack it"),
    (0, b"\xfd7zXZ", "an xz file", "unpack it"),
    (0, b"\\\x01\x00\x00", "a NIfTI or Analyze file", "read it as a folder of pairs"),
    (0, b"NRRD", "an NRRD file", "read it as a folder of pairs"),
    (0, b"ObjectType", "a MetaImage header", "read it as a folder of pairs"),
    (128, b"DICM", "a DICOM file", "read it as a folder of pairs"),
    (0, b"<", "a web page or other text with tags", "download the file again"),
)


def check_bytes(path: Path, size: Size, known: Mapping[str, Size] | None = None) -> None:
    """See that a file has as many bytes as the voxels need; no voxel is read.

    Args:
        path: the file.
        size: voxels along (x, y, z).
        known: sizes of other images by name, to say which of them the file would fit.

    Raises:
        InputError: missing, or other bytes; says what the file may be instead.
    """
    try:
        found = path.stat().st_size
    except OSError as error:
        reason = error.strerror or "nothing there"
        raise InputError(path, expected="an image", found=reason) from error
    needed = _bytes(size)
    if found == needed:
        return
    what, remedy = _other(path, found, needed, known or {})
    voxels = "x".join(str(n) for n in size)
    raise InputError(
        path,
        expected=f"{needed} bytes ({voxels} voxels of 16 bits)",
        found=f"{found}{what}",
        do=remedy,
    )


def map_raw(path: Path, size: Size) -> Stored:
    """The stored values, array (z, y, x) in the order of the file, mapped read-only.

    Raises:
        InputError: as :func:`check_bytes`, or the file cannot be read.
    """
    check_bytes(path, size)
    width, height, depth = size
    try:
        return np.memmap(path, dtype="<i2", mode="r", shape=(depth, height, width))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(path, expected="an image", found=reason) from error


def _bytes(size: Size) -> int:
    return 2 * size[0] * size[1] * size[2]


def _other(path: Path, found: int, needed: int, known: Mapping[str, Size]) -> tuple[str, str]:
    """What a file of the wrong length probably is, and what to do about it."""
    fits = [name for name, size in known.items() if _bytes(size) == found]
    if fits:
        return f", the size of {' or '.join(fits)}", "is it in the right folder?"
    begins = _begins(path)
    for offset, mark, what, remedy in _BEGINNINGS:
        if begins[offset:].startswith(mark):
            return f": {what}", remedy
    if found == 2 * needed:
        return ", twice as many: 32 bits a voxel?", "write 16-bit integers"
    if 2 * found == needed:
        return ", half as many: 8 bits a voxel?", "write 16-bit integers"
    if found < needed:
        return "", "is the file whole? of another size: give size and spacing"
    return "", "has it a header? of another size: give size and spacing"


def _begins(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(132)
    except OSError:
        return b""
