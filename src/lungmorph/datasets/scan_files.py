"""The files that a scan is made from, and what shows that they have changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..files.dicom_mark import is_dicom
from .case import Scan


def ages(scan: Scan) -> list[str]:
    """Path, size in bytes and time of change in ns of every file of a scan, a line each; first which part of them it is.

    Raises:
        OSError: one cannot be looked at.
    """
    files = set(files_at(scan.source) if scan.files is None else scan.files())
    seen = [(path.resolve(), path.stat()) for path in sorted(files)]
    return [scan.part, *(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in seen)]


def files_at(*sources: Path) -> Iterator[Path]:
    """Of each folder all files, of each file those with the same stem too (header and voxels).

    A DICOM file stands for its series, which is looked for in its folder.
    """
    for source in sources:
        if source.is_file() and is_dicom(source):
            source = source.parent
        if source.is_dir():
            yield from (p for p in source.rglob("*") if p.is_file())
            continue
        stem = source.name.split(".")[0]
        if not source.is_file():
            continue
        yield from (
            p for p in source.parent.iterdir() if p.name.split(".")[0] == stem and p.is_file()
        )
