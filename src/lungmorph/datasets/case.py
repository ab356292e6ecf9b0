"""What every dataset is read into: cases of scans, with masks and landmarks, and what is wrong with them.

Opening a dataset reads names, headers and landmark files, never voxels: those come when a scan is
asked for. A defect of one case does not stop the others: it is kept, as the line that the user is to
read, in :attr:`Case.problems`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ..errors import InputError
from ..space import Grid, Landmarks, Volume

T = TypeVar("T")


@dataclass(frozen=True)
class Scan:
    """One 3D image of a case, its voxels still on the disk.

    Attributes:
        name: unique in its case ("T00", "exhale", "baseline").
        grid: of the image, LPS mm, from its header.
        load: reads the image, float32 HU, on ``grid``. Raises InputError.
        source: file or folder it comes from, for messages.
        percent: breathing phase, 0 to below 100 (0: end of inhale); None where it is no phase.
        lungs: reads the lung mask, bool, on ``grid``; None where the dataset has none.
        structures: further masks by name (targets, organs), read the same way.
        files: every file that image and masks are read from; those of ``source`` if None.
        part: which series or phase of ``source`` it is, where that holds several and it was chosen.
        notes: what was assumed or left aside when it was looked for, one line each; not defects.
    """

    name: str
    grid: Grid
    load: Callable[[], Volume]
    source: Path
    percent: float | None = None
    lungs: Callable[[], Volume] | None = None
    structures: Mapping[str, Callable[[], Volume]] = field(default_factory=dict)
    files: Callable[[], Iterable[Path]] | None = None
    part: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LandmarkSet:
    """The same anatomical points marked in several scans of a case.

    Attributes:
        name: as its owner calls it ("ExtremePhases", "Sampled4D", "keypoints").
        points: by the name of the scan, LPS mm, in the frame of that scan (``frame`` is its name);
            all of one length, row i being the same point of the body everywhere.
        expert: set by people; False for points that an algorithm found.

    Raises:
        ValueError: lengths that differ.
    """

    name: str
    points: Mapping[str, Landmarks]
    expert: bool = True

    def __post_init__(self) -> None:
        counts = {scan: len(points) for scan, points in self.points.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"landmarks {self.name!r} differ in number: {counts}")

    def __len__(self) -> int:
        return max((len(points) for points in self.points.values()), default=0)


@dataclass(frozen=True)
class Case:
    """One patient at one time: two scans or more, of which one pair is registered by default.

    Attributes:
        id: unique in its dataset; may be part of a file name.
        patient: cases of one patient never go to both sides of a split.
        scans: phases in order, or the two images of a pair.
        fixed, moving: names of the default pair.
        landmark_sets: best first.
        group: a part of the dataset that is summed up on its own ("easy", "thick slices").
        split: "train", "validation" or "test" where the owner says so.
        published_before_mm: mean landmark error before registration as its owner prints it.
        published_decimals: to how many decimals that is printed.
        problems: what makes the case or a part of it unusable, one line each: file, expected, found.
        notes: what was assumed or is unusual, one line each; not defects.
    """

    id: str
    patient: str
    scans: tuple[Scan, ...]
    fixed: str
    moving: str
    landmark_sets: tuple[LandmarkSet, ...] = ()
    group: str = ""
    split: str | None = None
    published_before_mm: float | None = None
    published_decimals: int = 2
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def scan(self, name: str) -> Scan:
        """The scan of that name.

        Raises:
            InputError: there is none (its file may be missing: see ``problems``).
        """
        for scan in self.scans:
            if scan.name == name:
                return scan
        raise InputError(
            f"case {self.id}",
            expected=f"a scan {name!r}",
            found=", ".join(scan.name for scan in self.scans) or "no scan",
            do=self.problems[0] if self.problems else "",
        )

    @property
    def complete(self) -> bool:
        """Whether both scans of the default pair are there."""
        return {self.fixed, self.moving} <= {scan.name for scan in self.scans}

    def landmarks(self, fixed: str, moving: str) -> tuple[Landmarks, Landmarks] | None:
        """Matching points of two scans, in the frames "fixed" and "moving"; the best set that has both."""
        for marked in self.landmark_sets:
            if fixed in marked.points and moving in marked.points:
                return (
                    Landmarks(marked.points[fixed].points, "fixed"),
                    Landmarks(marked.points[moving].points, "moving"),
                )
        return None

    def pairs(self) -> list[tuple[str, str]]:
        """Every ordered pair of different scans, for training."""
        names = [scan.name for scan in self.scans]
        return [(a, b) for a in names for b in names if a != b]


@dataclass(frozen=True)
class Dataset:
    """Cases of one kind below one folder.

    Attributes:
        kind: name of its reader ("dirlab-4dct").
        title: for people ("DIR-Lab 4DCT").
        root: folder or file it was opened from.
        cases: sorted by id (numbers in them by value).
        problems: of the dataset as a whole, one line each.
        notes: what was assumed or left aside, one line each; not defects.
    """

    kind: str
    title: str
    root: Path
    cases: tuple[Case, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def natural_order(name: str) -> list[tuple[int, str]]:
    """Key to sort names with numbers in them by value: case2 before case10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def noted(problems: list[str], make: Callable[[], T]) -> T | None:
    """What ``make`` gives; None where the input is bad, and a line on it then joins ``problems``."""
    try:
        return make()
    except (InputError, OSError) as error:
        problems.append(str(error))
        return None
