"""Which files of a folder are scans of which case, from their names alone."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files.dicom_mark import is_dicom
from ..files.headers import READABLE
from ..files.replace import file_suffix
from .phases import percent_of
from .scan_names import ScanName, taken_apart

#: Folders below the root that are looked into.
DEPTH = 4
#: Files of a folder that are looked at for DICOM: notes and licences lie among slices.
_LOOK_AT = 20
#: Folders above one with slices whose names may be that of the scan ("baseline/DICOM/series1").
_ABOVE = 2
FIELDS = {
    "id": r"[^/]+",
    "scan": r"[^/]+",
    "patient": r"[^/]+",
    "phase": r"[Tt]?\d+(?:\.\d+)?%?",
}


@dataclass(frozen=True)
class Found:
    """An image of a case.

    Attributes:
        path: file, or folder of DICOM slices.
        named: the path, or a folder above it, whose name says the scan; masks and landmarks lie beside it.
        key: the same for all scans of a case: what tells it apart, the general part first.
        scan: name of the scan.
        words: what that name says.
        percent: breathing phase.
        patient: where a pattern says so.
    """

    path: Path
    named: Path
    key: tuple[str, ...]
    scan: str
    words: ScanName
    percent: float | None
    patient: str = ""


def stem_of(path: Path) -> str:
    """The name of an image without its suffix; a DICOM folder has none."""
    suffix = file_suffix(path)
    return path.name[: -len(suffix)] if suffix in READABLE else path.name


def images_below(root: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Image files and folders with DICOM slices in them, in the order of their names."""
    with os.scandir(root) as entries:
        inside = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    files = [Path(e.path) for e in inside if e.is_file()]
    images = [path for path in files if file_suffix(path) in READABLE]
    if not images and any(map(is_dicom, files[:_LOOK_AT])):
        yield root
        return
    yield from images
    for entry in inside if depth else ():
        if entry.is_dir():
            yield from images_below(Path(entry.path), depth - 1)


def by_words(root: Path, images: Sequence[Path]) -> list[Found]:
    """The images whose names say which scan they are."""
    found = []
    for path in images:
        named = _named(root, path)
        words = taken_apart(stem_of(named))
        if words.scan and path != root:
            key = (*named.parent.relative_to(root).parts, words.rest)
            found.append(Found(path, named, key, words.scan, words, words.percent))
    return found


def _named(root: Path, path: Path) -> Path:
    """What has the name of the scan: the path itself, or, for a folder of slices, the nearest above that has one."""
    for place in (path, *path.parents[:_ABOVE]) if path.is_dir() else ():
        if place == root:
            break
        if taken_apart(stem_of(place)).scan:
            return place
    return path


def by_pattern(root: Path, images: Sequence[Path], pattern: str) -> list[Found]:
    """The images whose path below the root fits a pattern such as ``{id}/{scan}.nii.gz``.

    Raises:
        InputError: a field that is none, or no field that tells scans apart; nothing fits.
    """
    expression = re.compile(_expression(pattern))
    found = []
    for path in images:
        match = expression.fullmatch(path.relative_to(root).as_posix())
        if match is None:
            continue
        said = match.groupdict()
        words = taken_apart(said.get("scan", ""))
        percent = percent_of(said["phase"], path) if "phase" in said else words.percent
        name = said.get("scan") or f"T{percent:02.0f}"
        patient = said.get("patient", "")
        key = (patient, said.get("id", ""))
        found.append(Found(path, path, key, name, words, percent, patient))
    if not found:
        seen = ", ".join(p.relative_to(root).as_posix() for p in images[:3])
        raise InputError(
            root,
            expected=f"images that fit {pattern!r}",
            found=f"none of {len(images)}" + (f" ({seen} ...)" if seen else ""),
        )
    return found


def _expression(pattern: str) -> str:
    parts, named = [], set()
    for part in re.split(r"(\{[^{}]*\}|\*)", pattern):
        field = part[1:-1] if part.startswith("{") else None
        if part == "*":
            parts.append("[^/]*")
        elif field is None:
            parts.append(re.escape(part))
        elif field not in FIELDS:
            near = difflib.get_close_matches(field, FIELDS, 1, 0.5)
            raise InputError(
                f"pattern {pattern!r}",
                expected=f"the fields {', '.join(f'{{{name}}}' for name in FIELDS)}",
                found=part,
                do=f"is it {{{near[0]}}}?" if near else "",
            )
        else:
            parts.append(f"(?P={field})" if field in named else f"(?P<{field}>{FIELDS[field]})")
            named.add(field)
    if not named & {"scan", "phase"}:
        raise InputError(
            f"pattern {pattern!r}", expected="{scan} or {phase} in it", found="neither"
        )
    return "".join(parts)
