"""What is learned from is never validated or judged on, whichever source it comes from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ..datasets import Case
from ..errors import InputError
from ..simulate.real_motion import motion_points
from ..space.grid import Float
from .data_config import Simulated
from .split import PARTS, Parts


class Apart:
    """The files of all sources of a run, each of which may be for one thing only.

    A split keeps the patients of one source apart. This is for what no split can see: a dataset that
    is named twice, by its folder and by its table, or a patient's CT that the simulation moves.
    """

    def __init__(self) -> None:
        self._part_of: dict[tuple[Path, str], str] = {}
        self._points: dict[str, tuple[str, str]] = {}
        self._motions: dict[str, tuple[str, Path]] = {}

    def put(self, part: str, file: Path, within: str = "", who: str = "") -> None:
        """Use a file.

        Args:
            part: what for, one of ``PARTS``.
            file: or folder, if it holds a single scan, or several that ``within`` tells apart.
            who: it is of, for the message.

        Raises:
            InputError: it is used for something else already.
        """
        before = self._part_of.setdefault((file.resolve(), within), part)
        if before != part:
            raise _mixed(file, who, before, part)

    def put_cases(self, part: str, cases: tuple[Case, ...]) -> None:
        """Use all scans of these cases; as :meth:`put`."""
        for case in cases:
            for scan in case.scans:
                self.put(part, scan.source, scan.part, f"case {case.id}")
            for marked in case.landmark_sets:
                for points in marked.points.values():
                    self._points.setdefault(digest(points.points), (part, f"case {case.id}"))
        self._check_motions()

    def put_split(self, parts: Parts, learned: bool) -> None:
        """Use the parts of a dataset, its training part only if anything is ``learned`` from it."""
        for part in PARTS:
            if part != "train" or learned:
                self.put_cases(part, getattr(parts, part))

    def put_simulated(self, source: Simulated) -> None:
        """Use what simulated pairs are made of."""
        held = source.validation
        for part, of in (("train", source), ("validation", held)):
            for file in (*of.anatomies, *of.motions):
                self.put(part, file)
            for file in of.motions:
                for points in motion_points(file):
                    self._motions.setdefault(digest(points), (part, file))
        self._check_motions()

    def _check_motions(self) -> None:
        """No simulated pair moves as a patient who is kept for something else."""
        for points, (part, file) in self._motions.items():
            of, case = self._points.get(points, (part, ""))
            if of != part:
                raise _mixed(file, f"the motion of {case}", of, part)


def _mixed(file: Path, who: str, before: str, part: str) -> InputError:
    return InputError(
        file,
        expected="what is trained on, validated on and judged on (test) to be different patients",
        found=f"{who + ' ' if who else ''}in {before} and in {part}",
        do="put its patient into the same part wherever there are files of it",
    )


def digest(points: Float) -> str:
    """Of points (N, 3), mm, to a tenth: the same motion is known in another file."""
    return hashlib.sha256((np.round(points, 1) + 0.0).tobytes()).hexdigest()
