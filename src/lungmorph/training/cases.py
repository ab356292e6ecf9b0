"""Training pairs from datasets on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..datasets import Case, Dataset, open_dataset
from ..errors import InputError
from ..simulate import Draw
from .augment import augmented, crop_to_lung
from .data_config import Augmentation, Cases, Judged
from .prepared import CasePair, case_pair, load_pair


def opened(of: Cases | Judged) -> Dataset:
    """The dataset of a config's entry.

    Raises:
        InputError: a wrong path, an unknown kind, no case, or a case without a partner.
    """
    dataset = open_dataset(of.path, of.reader, **of.options)
    unknown = set(of.leave_out) - {case.id for case in dataset.cases}
    if unknown:
        raise InputError(
            of.path, expected="cases to leave out", found=f"none called {min(unknown)!r}"
        )
    cases = tuple(case for case in dataset.cases if case.id not in of.leave_out)
    for case in cases:
        if not case.complete:
            raise _unpaired(case, of.path)
    if not cases:
        raise InputError(of.path, expected="cases", found="none that is not left out")
    return replace(dataset, cases=cases)


def _unpaired(case: Case, where: Path) -> InputError:
    """What to say of a case without a partner."""
    names = [name for name in (case.fixed, case.moving) if name]
    missing = [name for name in names if name not in {scan.name for scan in case.scans}]
    why = case.problems[0] if case.problems else ""
    if not names and why:
        # it names the case itself
        do = "mend it, or name it in leave_out"
        return InputError(where, expected="two scans in each case", found=why, do=do)
    found = " and ".join(f"no {name}" for name in missing)
    return InputError(
        f"case {case.id} of {where}",
        expected="two scans" + (f", {' and '.join(names)}" if len(names) == 2 else ""),
        found=f"{found} ({why})" if found and why else found or why or "not both",
        do="mend it, or name it in leave_out",
    )


def pairs_of(cases: Iterable[Case], which: str, spacing_mm: float, cache: Path) -> list[CasePair]:
    """Pairs of scans: "all" ordered pairs of each case, its default pair in "both" directions, or "one"."""
    out = []
    for case in cases:
        names = case.pairs() if which == "all" else [(case.fixed, case.moving)]
        if which == "both":
            names.append((case.moving, case.fixed))
        out += [case_pair(case, *pair, spacing_mm, cache) for pair in names]
    return out


class CasePairs:
    """An endless row of real pairs: every patient as often as any other, in any of the case's pairs.

    Args:
        pairs: prepared.
        seed: of the choice and the augmentation.
        spacing_mm: of the lattice.
        augmentation: None for none.
        patch: most voxels along an axis; None for whole pairs.
    """

    def __init__(
        self,
        pairs: Sequence[CasePair],
        seed: int,
        spacing_mm: float,
        augmentation: Augmentation | None,
        patch: int | None,
    ) -> None:
        self.seed, self.spacing_mm = seed, spacing_mm
        self.augmentation, self.patch = augmentation, patch
        self._files: dict[str, list[Path]] = {}
        for pair in pairs:
            # only what a worker process needs: scans hold functions that cannot be sent to it
            self._files.setdefault(pair.case.patient, []).append(pair.path)

    def pair(self, step: int) -> dict[str, Tensor]:
        """As :meth:`PairSource.pair`."""
        draw = Draw(self.seed, step, 22)
        patients = list(self._files)
        files = self._files[patients[draw.integer(0, len(patients))]]
        pair = load_pair(files[draw.integer(0, len(files))])
        # of the pair as it is on the disk; nothing is measured on what is learned from but its volume
        pair["stretch"] = pair.pop("to_moving").det().abs()
        if self.augmentation is not None:
            pair = augmented(pair, self.augmentation, draw, self.spacing_mm)
        return pair if self.patch is None else crop_to_lung(pair, self.patch, draw)
