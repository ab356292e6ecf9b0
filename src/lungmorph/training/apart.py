"""What is learned from is never validated or judged on, whichever source it comes from."""

from __future__ import annotations

from pathlib import Path

from ..datasets import Case
from ..errors import InputError
from .data_config import Simulated
from .split import PARTS, Parts


class Apart:
    """The files of all sources of a run, each of which may be for one thing only.

    A split keeps the patients of one source apart. This is for what no split can see: a dataset that
    is named twice, by its folder and by its table, or a patient's CT that the simulation moves.
    """

    def __init__(self) -> None:
        self._part_of: dict[tuple[Path, str], str] = {}

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
            raise InputError(
                file,
                expected="what is trained on, validated on and judged on (test) to be different patients",
                found=f"{who + ' ' if who else ''}in {before} and in {part}",
                do="put its patient into the same part wherever there are files of it",
            )

    def put_cases(self, part: str, cases: tuple[Case, ...]) -> None:
        """Use all scans of these cases; as :meth:`put`."""
        for case in cases:
            for scan in case.scans:
                self.put(part, scan.source, scan.part, f"case {case.id}")

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
