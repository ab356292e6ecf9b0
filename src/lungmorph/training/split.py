"""Which patients are trained on, validated on, and kept for the end: never one in two parts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from ..datasets import Case, Dataset
from ..errors import InputError
from ..simulate import Draw
from .data_config import Split

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Parts:
    """Cases of a dataset, by what they are for."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]


def split_cases(dataset: Dataset, split: Split, learned: bool = True) -> Parts:
    """Deal the cases out, patient by patient.

    Args:
        dataset: of the cases.
        split: how.
        learned: whether anything is learned from the dataset: somebody must then be there to train on.

    Raises:
        InputError: a name that is no patient and no case; a patient in two parts; nobody left to
            train on, or for a share above 0.
    """
    patients = list(dict.fromkeys(case.patient for case in dataset.cases))
    part_of: dict[str, str] = {}

    def put(patient: str, part: str) -> None:
        if part_of.setdefault(patient, part) != part:
            raise InputError(
                dataset.root,
                expected="every patient in one part of the split",
                found=f"{patient!r} in {part_of[patient]} and in {part}",
            )

    for part in PARTS:
        named = getattr(split, part)
        for name in named if isinstance(named, tuple) else ():
            put(_patient(dataset, name, f"split.{part}"), part)
    if split.by_owner:
        for case in dataset.cases:
            if case.split is not None and case.patient not in part_of:
                part_of[case.patient] = case.split
        _check_owner(dataset, part_of)
    _deal(split, [p for p in patients if p not in part_of], part_of)
    parts = {
        part: tuple(c for c in dataset.cases if part_of.get(c.patient) == part) for part in PARTS
    }
    for part in PARTS:
        wanted = (part == "train" and learned) or isinstance(getattr(split, part), float)
        if wanted and getattr(split, part) != 0.0 and not parts[part]:
            raise InputError(
                dataset.root,
                expected=f"at least one patient in the part {part!r} of the split",
                found=f"none of {len(patients)}",
                do="leave fewer to the other parts: a share takes at least one",
            )
    return Parts(**parts)


def _deal(split: Split, free: list[str], part_of: dict[str, str]) -> None:
    """Shares of those who are in no list; everybody else is trained on, unless a list says who is."""
    order = [free[i] for i in Draw(split.seed, 31).permutation(len(free)).tolist()]
    shares = {p: s for p in ("validation", "test") if isinstance(s := getattr(split, p), float)}
    for part, share in shares.items():
        for _ in range(ceil(share * len(free) - 1e-9)):
            if order:
                part_of[order.pop()] = part
    if split.train is None:
        part_of.update((patient, "train") for patient in order)


def _check_owner(dataset: Dataset, part_of: dict[str, str]) -> None:
    for case in dataset.cases:
        if case.split is not None and part_of[case.patient] != case.split:
            raise InputError(
                dataset.root,
                expected="every patient in one part of the split",
                found=f"{case.patient!r} in {part_of[case.patient]} and, by its owner, in {case.split}",
                do="leave out by_owner, or name the patient in the part its owner gives",
            )


def _patient(dataset: Dataset, name: str, where: str) -> str:
    for case in dataset.cases:
        if name in (case.patient, case.id):
            return case.patient
    known = sorted({case.patient for case in dataset.cases} | {case.id for case in dataset.cases})
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    raise InputError(
        f"{where} of {dataset.root}",
        expected="its patients or cases",
        found=repr(name),
        do=f"did you mean {near[0]!r}?" if near else f"there are {_some(known)}",
    )


def _some(names: Iterable[str], most: int = 12) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
