"""One DICOM series into stacks of slices, each with every position once.

Some scanners write all phases of a 4D CT, or two reconstructions, into one series, so that every position
is there several times. The tag that divides such a series into whole stacks is found; which it was is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dicom_header import Header, number, numbers, path_of, text
from .phase_tags import FOLDER, LAST, STACKED, TAGS, TIMES, Tag, is_called, is_private, private_tags
from .phase_text import kind_of, without_phase

#: Where it may be written what slices are that have no phase.
_WORDS = ("SeriesDescription", "ImageComments", "DerivationDescription")
#: Slices nearer to one another along the normal are at one position: tables shake by a tenth of a mm.
SAME_POSITION_MM = 0.2


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices that should be one 3D image.

    Attributes:
        headers: of the slices, in no order.
        tags: those that divided its series into stacks; empty if it is the whole series.
        said: what kind it is, where only the tag that divided the series says so.
    """

    headers: tuple[Header, ...]
    tags: tuple[Tag, ...] = ()
    said: str = ""

    @property
    def first(self) -> Header:
        """Any of the headers."""
        return self.headers[0]

    @property
    def uid(self) -> str:
        """Its SeriesInstanceUID."""
        return str(self.first.SeriesInstanceUID)

    @cached_property
    def kind(self) -> str:
        """What it is that is no phase ("average", "localizer", ...), or empty."""
        if self.said:
            return self.said
        words = " ".join((description(self.headers), text(self.first, "ManufacturerModelName")))
        return kind_of(words, text(self.first, "ImageType"))

    @cached_property
    def size(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        return int(self.first.Columns), int(self.first.Rows), len(self.headers)

    def __str__(self) -> str:
        words = description(self.headers) or "no description"
        size = "x".join(str(n) for n in self.size)
        return f"series {text(self.first, 'SeriesNumber') or '-'} '{words}' ({size}, UID ..{self.uid[-12:]})"


@dataclass
class Divided:
    """The stacks of a series, and why it could not be divided if it could not."""

    stacks: list[Stack] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def description(headers: Sequence[Header]) -> str:
    """The SeriesDescription, which may be missing in some of the slices."""
    return next((words for h in headers if (words := text(h, "SeriesDescription"))), "")


def divide(headers: Sequence[Header], root: Path, tag: str | None = None) -> Divided:
    """Divide the slices of one series where positions are there more than once.

    Args:
        headers: of one series.
        root: for messages.
        tag: name of the tag to divide by; the most telling one that works if None.
    """
    lost = [h for h in headers if not _has_place(h)]
    if 0 < len(lost) < len(headers) / 2:
        rest = divide([h for h in headers if _has_place(h)], root, tag)
        rest.problems[:0] = [_without(lost, "a position and an orientation")]
        return rest
    spots = positions(headers)
    if spots is None or spots.max() < 2:  # no volume: a scout, or the slices that watch a bolus
        return Divided([Stack(tuple(headers))])
    told: Sequence[Tag] = TAGS
    if tag:
        some = private_tags(headers) if is_private(tag) else (*TAGS, FOLDER, *TIMES, LAST, STACKED)
        told = [t for t in some if is_called(t, tag)]
    ways = _ways(told, headers, spots)
    if ways:
        return _divided(ways, headers, root)
    if np.bincount(spots).max() == 1:
        return Divided([Stack(tuple(headers))])
    return (
        _by_attribute(headers, spots, root, tag)
        or _by_most(told, headers, spots, root)
        or _by_less(headers, spots, root, tag)
    )


def _by_attribute(
    headers: Sequence[Header], spots: NDArray[np.int64], root: Path, tag: str | None
) -> Divided | None:
    """Two reconstructions in one series: each of them divided by itself."""
    for attribute in ATTRIBUTES.values():
        parts = _groups([attribute(header) for header in headers])
        if len(parts) > 1 and all(_is_whole(spots, part) for part in parts):
            both = [divide([headers[i] for i in part], root, tag) for part in parts]
            return Divided(
                [stack for one in both for stack in one.stacks],
                [line for one in both for line in one.problems],
            )
    return None


def _by_most(
    tags: Sequence[Tag], headers: Sequence[Header], spots: NDArray[np.int64], root: Path
) -> Divided | None:
    """By a tag that a few of the slices lack, but for those of an average or a projection beside the phases."""
    for tag in tags:
        has = [label is not None for label in tag.read(headers)]
        labelled = [h for h, there in zip(headers, has, strict=True) if there]
        others: dict[str, list[Header]] = defaultdict(list)
        for header, there in zip(headers, has, strict=True):
            if not there:
                words = " ".join(text(header, name) for name in _WORDS)
                others[kind_of(words, text(header, "ImageType"))].append(header)
        bare = others.pop("", [])
        if len(labelled) < len(headers) / 2 or len(bare) > 0.1 * len(headers):
            continue
        if (bare or others) and (ways := _ways([tag], labelled, spots[has])):
            made = _divided(ways, labelled, root)
            made.stacks += [Stack(tuple(part), (tag,), kind) for kind, part in others.items()]
            if bare:
                made.problems[:0] = [_without(bare, f"a phase in {tag.name}")]
            return made
    return None


def _by_less(
    headers: Sequence[Header], spots: NDArray[np.int64], root: Path, tag: str | None
) -> Divided:
    """By what is asked last: names of folders, private tags, the order of time."""
    steps: tuple[Callable[[], Sequence[Tag]], ...] = (
        lambda: [FOLDER],
        lambda: private_tags(headers),
        lambda: TIMES,
        lambda: [LAST],
        lambda: [STACKED],
    )
    for tags in steps if tag is None else ():
        if ways := _ways(tags(), headers, spots):
            return _divided(ways, headers, root)
    if np.mean(np.bincount(spots) > 1) < 0.5:  # some doubled slices, no second stack
        return Divided([Stack(tuple(headers))])
    return Divided(problems=[_undivided(headers, spots, root)])


def _has_place(header: Header) -> bool:
    return (
        len(numbers(header, "ImageOrientationPatient")) == 6
        and len(numbers(header, "ImagePositionPatient")) == 3
    )


def _without(headers: Sequence[Header], what: str) -> str:
    more = f" and in {len(headers) - 1} more slices" if len(headers) > 1 else ""
    error = InputError(
        path_of(headers[0]), expected=f"{what}, as in the other slices", found=f"none{more}"
    )
    return f"{error}; left out"


def positions(headers: Sequence[Header]) -> NDArray[np.int64] | None:
    """For every slice the number of its position along the normal; None without geometry."""
    if not headers or not all(map(_has_place, headers)):
        return None
    axes = numbers(headers[0], "ImageOrientationPatient")
    where = [numbers(h, "ImagePositionPatient") for h in headers]
    along = np.asarray(where) @ np.cross(axes[:3], axes[3:])
    order = np.argsort(along)
    number_of = np.empty(len(along), dtype=np.int64)
    number_of[order] = np.concatenate([[0], np.cumsum(np.diff(along[order]) > SAME_POSITION_MM)])
    return number_of


def is_volume(headers: Sequence[Header]) -> bool:
    """Whether slices lie at three positions or more; those without a position do not count."""
    spots = positions([header for header in headers if _has_place(header)])
    return spots is not None and spots.max(initial=0) >= 2


# ------------------------------------------------------------------ what tells stacks apart

Way = tuple[Tag, list[list[int]], int]


def _ways(tags: Sequence[Tag], headers: Sequence[Header], spots: NDArray[np.int64]) -> list[Way]:
    """The tags that divide slices into whole stacks, with as few doubled positions as can be."""
    ways = []
    for tag in tags:
        labels = tag.read(headers)
        if any(label is None for label in labels):
            continue
        parts = _groups([str(label) for label in labels])
        if len(parts) < 2 or not all(_is_whole(spots, part) for part in parts):
            continue
        doubled = sum(len(part) - len(np.unique(spots[part])) for part in parts)
        if doubled <= 0.1 * len(headers):
            ways.append((tag, parts, doubled))
    least = min((doubled for *_, doubled in ways), default=0)
    return [way for way in ways if way[2] == least]


def _is_whole(spots: NDArray[np.int64], part: Sequence[int]) -> bool:
    """Whether some slices reach over at least half of the region that all of them cover.

    Phases may lie between one another, so a part need not have a slice at every position.
    """
    mine, every = np.unique(spots[list(part)]), int(spots.max()) + 1
    return len(mine) > 1 and bool(mine[-1] - mine[0] + 1 >= 0.5 * every)


def _divided(ways: Sequence[Way], headers: Sequence[Header], root: Path) -> Divided:
    tag, parts, _ = ways[0]
    for other, its_parts, _ in ways[1:]:
        if {frozenset(p) for p in parts} != {frozenset(p) for p in its_parts}:
            line = InputError(
                place_of(headers, root),
                expected="one way to divide the series into phases",
                found=f"{tag.name} ({len(parts)} phases) and {other.name} ({len(its_parts)}), which"
                " put slices together differently",
                do="choose one with phase_tag, or correct the other",
            )
            return Divided(problems=[str(line)])
    tags = tuple(way[0] for way in ways)
    return Divided([Stack(tuple(headers[i] for i in part), tags) for part in parts])


def _groups(keys: Sequence[Hashable]) -> list[list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[key].append(i)
    return list(groups.values())


def _undivided(headers: Sequence[Header], spots: NDArray[np.int64], root: Path) -> str:
    values = []
    for tag in (*TAGS, *TIMES, LAST):
        labels = {str(label) for label in tag.read(headers) if label is not None}
        if labels:
            shown = ", ".join(sorted(labels)[:3]) + (", ..." if len(labels) > 3 else "")
            values.append(f"{tag.name} {len(labels)} ({shown})")
    counts = np.bincount(spots)
    found = (
        f"{len(headers)} slices at {len(counts)} positions ({counts.min()} to {counts.max()} each)"
    )
    return str(
        InputError(
            place_of(headers, root),
            expected="slices that a tag divides into phases",
            found=f"{found}; different values: {'; '.join(values) or 'of no tag that is known'}",
            do="export each phase as a series of its own, or name the phase in SeriesDescription",
        )
    )


def place_of(headers: Sequence[Header], root: Path) -> str:
    """Folder and series, for messages."""
    folder = path_of(headers[0]).parent
    where = folder if folder.is_relative_to(root) else root
    return f"{where}, {Stack(tuple(headers))}"


#: What differs between two reconstructions or two scans, and not between phases of one.
ATTRIBUTES: dict[str, Callable[[Header], Hashable]] = {
    "study": lambda h: text(h, "StudyInstanceUID"),
    "orientation": lambda h: tuple(round(v, 2) for v in numbers(h, "ImageOrientationPatient")),
    "kernel": lambda h: text(h, "ConvolutionKernel"),
    "slice thickness": lambda h: round(number(h, "SliceThickness") or 0.0, 2),
    "image type": lambda h: without_phase(text(h, "ImageType")),
    "scanner": lambda h: text(h, "Manufacturer") + text(h, "ManufacturerModelName"),
    "protocol": lambda h: without_phase(text(h, "ProtocolName")),
    "frame of reference": lambda h: text(h, "FrameOfReferenceUID"),
    "matrix": lambda h: (
        int(h.Columns),
        int(h.Rows),
        *(round(v, 3) for v in numbers(h, "PixelSpacing")),
    ),
    "description": lambda h: without_phase(text(h, "SeriesDescription"), blur=True),
    "whole description": lambda h: without_phase(text(h, "SeriesDescription")),
}
