"""What ITK repairs in silence in a MetaImage: spacing and place in the header, damage in compressed voxels."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError

_HEAD_BYTES = 8192
_CHUNK = 1 << 22
#: Bytes of a voxel, of the types that have the same everywhere.
_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip


@dataclass(frozen=True)
class _Head:
    """The fields of a header, the file of its voxels (None: lists and patterns of files), and where they begin."""

    fields: dict[str, str]
    data: Path | None
    start: int

    @property
    def size(self) -> list[str]:
        return re.findall(r"\d+", self.fields.get("DimSize", ""))

    @property
    def voxels(self) -> str:
        return f"{'x'.join(self.size)} voxels of {self.fields['ElementType']}"

    @property
    def bytes(self) -> int:
        """Of the voxels as they are unpacked; 0 where the header does not say."""
        channels = self.fields.get("ElementNumberOfChannels", "1")
        each = _BYTES.get(self.fields.get("ElementType", ""), 0)
        each *= int(channels) if channels.isdecimal() else 1
        return math.prod(int(n) for n in self.size) * each if self.size else 0

    @property
    def is_compressed(self) -> bool:
        return self.fields.get("CompressedData", "False").lower() in ("true", "1")


def check_meta_header(path: Path) -> None:
    """Refuse what ITK takes for another spacing, place or direction, without a word.

    Raises:
        InputError: no number of axes; a negative spacing, or none; a place that is not a number an axis; a file of voxels that
            is not there or, where they are not compressed, too short.
    """
    head = _head(path)
    if head is None:
        return  # ITK refuses it
    axes = head.fields.get("NDims", "")
    if not re.fullmatch(r"[1-9]|10", axes):  # ITK breaks down at others
        raise InputError(path, expected="a number of axes (NDims)", found=axes or "none")
    spacings = [head.fields[n] for n in ("ElementSpacing", "ElementSize") if n in head.fields]
    if not spacings:
        raise InputError(path, expected="a spacing in mm (ElementSpacing)", found="none")
    for line in spacings:
        if re.search(r"(^|\s)-", line):
            raise InputError(
                path, expected="a positive spacing in mm", found=line, do="correct the header"
            )
    for name in ("Offset", "Origin", "Position"):
        if name in head.fields and head.size:
            _check_place(path, name, head.fields[name], len(head.size))
    if head.data is None or head.data == path:
        return
    if not head.data.is_file():
        raise InputError(head.data, expected=f"the voxels of {path.name}", found="nothing there")
    found = head.data.stat().st_size
    if not head.is_compressed and found < head.bytes:
        raise InputError(
            head.data,
            expected=f"{head.bytes} bytes ({head.voxels})",
            found=str(found),
            do="it is truncated: copy it again",
        )


def check_meta_data(path: Path) -> None:
    """Unpack compressed voxels: where they end early or are damaged, ITK leaves in the image what was in memory.

    Raises:
        InputError: that, or a header that does not say how many compressed bytes there are.
    """
    head = _head(path)
    if head is None or head.data is None or not head.is_compressed or not head.bytes:
        return
    told = head.fields.get("CompressedDataSize", "")
    inside = head.data == path
    if inside and not told.isdecimal():
        raise InputError(
            path,
            expected="how many bytes the compressed voxels have (CompressedDataSize)",
            found=repr(told) if told else "nothing",
            do="write the image again",
        )
    count = int(told) if told.isdecimal() and int(told) else None
    with open(head.data, "rb") as stream:
        stream.seek(head.start)
        found, whole = _unpacked(_chunks(stream, count))
    if found < head.bytes or not whole:
        damage = "" if whole else ", where the compressed voxels break off or are damaged"
        raise InputError(
            head.data,
            expected=f"{head.bytes} bytes ({head.voxels}) when unpacked",
            found=f"{found}{damage}",
            do="copy it again",
        )


def _head(path: Path) -> _Head | None:
    with open(path, "rb") as stream:
        text, _, rest = stream.read(_HEAD_BYTES).partition(b"ElementDataFile")
    if b"NDims" not in text:
        return None
    fields = dict(re.findall(r"^(\w+)[ \t]*=[ \t]*(.*?)\s*$", text.decode("latin-1"), re.MULTILINE))
    line, newline, _ = rest.partition(b"\n")
    name = line.decode("utf-8", "replace").strip(" =\t\r")
    if name == "LOCAL":
        start = len(text) + len(b"ElementDataFile") + len(line) + len(newline)
        return _Head(fields, path, start)
    several = not name or name.startswith("LIST") or "%" in name  # left to ITK
    return _Head(fields, None if several else path.parent / name, 0)


def _check_place(path: Path, name: str, told: str, axes: int) -> None:
    parts = told.split()
    try:
        finite = all(math.isfinite(float(part)) for part in parts)
    except ValueError:
        finite = False
    if not finite or len(parts) != axes:
        raise InputError(
            path, expected=f"{axes} numbers in mm ({name})", found=told, do="correct the header"
        )


def _chunks(stream: BinaryIO, count: int | None) -> Iterator[bytes]:
    while count is None or count > 0:
        chunk = stream.read(_CHUNK if count is None else min(count, _CHUNK))
        if not chunk:
            return
        count = None if count is None else count - len(chunk)
        yield chunk


def _unpacked(chunks: Iterator[bytes]) -> tuple[int, bool]:
    """How many bytes come out, and whether they end as they should, with a checksum that fits."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # zlib or gzip, as its beginning says
    found = 0
    try:
        for chunk in chunks:
            while chunk and not unpacker.eof:
                found += len(unpacker.decompress(chunk, _CHUNK))
                chunk = unpacker.unconsumed_tail
        found += len(unpacker.flush())
    except zlib.error:
        return found, False
    return found, unpacker.eof
