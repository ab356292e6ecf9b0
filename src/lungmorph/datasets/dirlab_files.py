"""Find the files of DIR-Lab's packages, whatever they and their folders are called.

The packages differ from case to case (``case1_T00_s.img``, ``case2_T00-ssm.img``, ``case6_T00.img``;
``ExtremePhases/Case1_300_T00_xyz.txt``, ``extremePhases/case6_dirLab300_T00_xyz.txt``;
``Case8Deploy``), people unpack them one or two levels deep, or all into one folder, and rename. What
stays is that the *file* names the case, the scan and what it is. Folders are not looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .dirlab_tables import Published

#: Levels of folders below the root that are searched: 4DCT/Case1Pack/Case1Pack/Images/ and one to spare.
_DEPTH = 5
_NOT_AN_IMAGE = r"(?![^.]*(?:mask|lung|seg|label))"


@dataclass(frozen=True)
class Marks:
    """A set of landmarks: its name, the pattern of its files (groups ``case`` and ``scan``), the scans
    that have one, and how many points there are."""

    name: str
    files: re.Pattern[str]
    scans: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Layout:
    """How one collection names its files and what belongs to a case.

    Attributes:
        kind, title: as its reader.
        case: begins the name of a case, before its number.
        scans: by the name in a file, in order: name of the scan and its phase in percent.
        pair: fixed and moving scan.
        image: pattern of an image file, with the groups ``case`` and ``scan``.
        landmarks: the sets, best first.
        archive: pattern of a package as it is downloaded, with the group ``case``.
        table: what is published, by number of the case.
        example: of a file, for messages.
    """

    kind: str
    title: str
    case: str
    scans: Mapping[str, tuple[str, float | None]]
    pair: tuple[str, str]
    image: re.Pattern[str]
    landmarks: tuple[Marks, ...]
    archive: re.Pattern[str]
    table: Mapping[int, Published]
    example: str


@dataclass
class CaseFiles:
    """Files of one case: by scan, every one that claims to be it."""

    images: dict[str, list[Path]] = field(default_factory=dict)
    landmarks: dict[str, dict[str, list[Path]]] = field(default_factory=dict)

    def kinds(self) -> list[list[Path]]:
        """Files that claim to be the same thing, thing by thing."""
        marked = [paths for scans in self.landmarks.values() for paths in scans.values()]
        return [*self.images.values(), *marked]

    @property
    def folder(self) -> Path:
        """The folder that has all of them."""
        return Path(os.path.commonpath([path.parent for paths in self.kinds() for path in paths]))


def name_pattern(text: str) -> re.Pattern[str]:
    """A pattern of a whole file name, in any case of letters; a blank stands for any separators."""
    return re.compile(text.replace(" ", r"[\W_]*"), re.IGNORECASE)


def image_pattern(text: str) -> re.Pattern[str]:
    """As :func:`name_pattern`, of a raw image with any ending of its name that speaks of no mask."""
    return name_pattern(rf"{text}{_NOT_AN_IMAGE}[^.]*\.img(?:\.gz)?")


def find_cases(root: Path, layout: Layout) -> dict[int, CaseFiles]:
    """The files of every case below ``root``, by number."""
    cases: dict[int, CaseFiles] = {}
    for path in walk(root):
        if match := layout.image.fullmatch(path.name):
            images = cases.setdefault(int(match["case"]), CaseFiles()).images
            images.setdefault(layout.scans[match["scan"].lower()][0], []).append(path)
            continue
        for marks in layout.landmarks:
            if match := marks.files.fullmatch(path.name):
                sets = cases.setdefault(int(match["case"]), CaseFiles()).landmarks
                scan = layout.scans[match["scan"].lower()][0]
                sets.setdefault(marks.name, {}).setdefault(scan, []).append(path)
    return dict(sorted(cases.items()))


def find_archives(root: Path, layout: Layout) -> dict[int, Path]:
    """Packages in ``root`` itself as they were downloaded, by number of the case."""
    matches = [(layout.archive.fullmatch(path.name), path) for path in walk(root, depth=0)]
    return {int(match["case"]): path for match, path in matches if match}


def belongs(root: Path, layout: Layout) -> bool:
    """Whether anything below ``root`` is named like an image or a package of this collection."""
    if any(layout.image.fullmatch(path.name) for path in walk(root)):
        return True
    return bool(find_archives(root, layout))


def walk(root: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Files below a folder, in order; neither hidden ones nor the shadows that macOS puts in archives."""
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return
    folders = []
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            folders.append(Path(entry.path))
        else:
            yield Path(entry.path)
    if depth > 0:
        for folder in folders:
            yield from walk(folder, depth - 1)
