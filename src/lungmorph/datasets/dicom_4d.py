"""4D CT in DICOM: TCIA 4D-Lung, and what any scanner or planning system exports.

A case is one 4D CT. Several of one patient are several cases, in the order of their dates, and every
later one makes a pair with the first: the same phase before and after treatment (group "follow-up").
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..files.breathing_ct import BreathingCT, Phase
from ..files.dicom_folder import find_phases, other_scans
from ..files.dicom_header import Header, has_image, patient_of, read_header, slices_of, text
from ..files.phase_tags import TAGS
from ..files.walk import folders_below
from . import folder
from .case import Case, Dataset, Scan, natural_order
from .dicom_structures import Structures, attach_structures
from .phases import EXHALE, INHALE, phase_name

FOLLOW_UP = "follow-up"
#: DICOM files that are looked at before a folder is said to have no CT, and of how many in one folder at least.
_LOOK_AT, _A_FOLDER = 300, 20
#: As many of other files, of which only the first bytes are read.
_LOOK_AT_OTHERS = 20_000
#: Scans that are named where there is no 4D CT.
_SHOWN = 4


def recognises(root: Path) -> bool:
    """Whether there is a CT in DICOM below a folder, which is no pair of single scans by its names."""
    if not root.is_dir():
        return False
    looked_at = _some_slices(root)
    first = next(looked_at, None)
    if first is None or not folder.recognises(root):
        return first is not None
    slices = [*first, *(header for slices in looked_at for header in slices)]
    return any(label for tag in TAGS for label in tag.read(slices))


def open_dataset(
    root: Path,
    *,
    phase_tag: str | None = None,
    cone_beam: bool = False,
    follow_up: bool = True,
) -> Dataset:
    """Open the 4D CTs below a folder.

    Args:
        root: searched with its subfolders.
        phase_tag: keyword of the DICOM tag to take the phase from, where two contradict one another.
        cone_beam: whether 4D cone-beam CTs count; their values are not HU.
        follow_up: whether to make pairs of a patient's first and later 4D CTs.

    Raises:
        InputError: no such folder.
    """
    found = find_phases(root, phase_tag, cone_beam)
    structures = attach_structures(found)
    by_patient: dict[str, list[BreathingCT]] = defaultdict(list)
    for ct in found.ct:
        by_patient[ct.patient].append(ct)
    cases: list[Case] = []
    taken: Counter[str] = Counter()
    unnamed = [ct for ct in found.ct if not ct.is_named]
    for members in by_patient.values():
        named = members[0].is_named
        alike = members if named else unnamed
        own = [_case(ct, _id(ct, alike, taken), structures) for ct in members]
        cases += own
        if follow_up and named:
            cases += _follow_ups(list(zip(members, own, strict=True)), taken)
    lost = [
        n for patient, said in structures.notes.items() if patient not in by_patient for n in said
    ]
    beside = [stack for stack in found.others if patient_of(stack.first) not in by_patient]
    notes = [*other_scans(beside), *found.notes, *lost]
    problems = [*found.problems, *structures.problems]
    if not cases and not problems and notes:
        problems = [_nothing(root, other_scans(beside) or notes[:1], found.notes)]
    return Dataset(
        "dicom-4d",
        "4D CT in DICOM",
        root,
        tuple(sorted(cases, key=lambda case: natural_order(case.id))),
        tuple(problems),
        tuple(notes),
    )


def _nothing(root: Path, scans: Sequence[str], notes: Sequence[str]) -> str:
    """That there is no 4D CT, and which scans there are instead."""
    more = [f"and {len(scans) - _SHOWN} more"] if len(scans) > _SHOWN else []
    hint = (
        "if they are phases: say so in SeriesDescription (50 %), in names of folders, or in a table"
    )
    return "; ".join((f"{root}: no 4D CT", *scans[:_SHOWN], *more, *notes, hint))


def _case(ct: BreathingCT, name: str, structures: Structures) -> Case:
    scans, problems, notes = [], list(ct.problems), list(ct.notes)
    for phase in ct.phases:
        drawn = structures.by_phase[id(phase)]
        scans.append(
            Scan(
                _scan_name(phase.name, phase.percent),
                phase.grid,
                phase.load,
                _source(phase),
                phase.percent,
                drawn.lungs,
                drawn.structures,
                partial(_files, phase, drawn.files),
            )
        )
        problems += drawn.problems
        notes += drawn.notes
    percents = {phase.name: phase.percent for phase in ct.phases}
    fixed, moving = (_scan_name(n, percents.get(n, _percent(n))) for n in (ct.inhale, ct.exhale))
    for said, wanted in ((ct.inhale, INHALE), (ct.exhale, EXHALE)):
        percent = _percent(said)
        if percent is not None and percent != wanted:
            notes.append(
                f"no phase {wanted:g} %: {said}, the nearest, stands for it in the default pair"
            )
    return Case(
        name,
        ct.patient,
        tuple(scans),
        fixed,
        moving,
        problems=tuple(problems),
        notes=(*notes, *structures.notes.get(ct.patient, ())),
    )


def _follow_ups(members: Sequence[tuple[BreathingCT, Case]], taken: Counter[str]) -> Iterator[Case]:
    """Pairs of the first 4D CT of a patient with the first of every later day."""
    if not members:
        return
    first_ct, first = members[0]
    days = {first_ct.date or first_ct.study}
    for ct, case in members[1:]:
        day = ct.date or ct.study
        if day in days:
            continue
        days.add(day)
        yield _follow_up(first_ct, first, ct, case, taken)


def _follow_up(
    first_ct: BreathingCT, first: Case, ct: BreathingCT, case: Case, taken: Counter[str]
) -> Case:
    fixed = next((scan for scan in first.scans if scan.name == first.fixed), None)
    moving = next((scan for scan in case.scans if scan.name == first.fixed), None)
    notes, problems = [], []
    if moving is None and fixed is not None and fixed.percent is not None:
        known = [
            (_turn(scan.percent - fixed.percent), scan.name, scan)
            for scan in case.scans
            if scan.percent is not None
        ]
        moving = min(known, key=lambda one: one[:2])[2] if known else None
    for scan, where in ((fixed, first), (moving, case)):
        if scan is None:
            line = where.problems[0] if where.problems else "it is not there"
            problems.append(f"no phase {first.fixed} of {where.id}: {line}")
        else:
            notes.append(f"{'fixed' if scan is fixed else 'moving'}: {scan.name} of {where.id}")
    if not (first_ct.date and ct.date):
        notes.append("no study dates: which is the earlier one is not known")
    pair = (("first", fixed), ("later", moving))
    return Case(
        _unique(f"{_safe(ct.patient)}_{first_ct.date or 'first'}_to_{ct.date or 'later'}", taken),
        ct.patient,
        tuple(replace(scan, name=name) for name, scan in pair if scan is not None),
        "first",
        "later",
        group=FOLLOW_UP,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _turn(percent: float) -> float:
    return min(percent % 100, -percent % 100)


# ------------------------------------------------------------------ names


def _id(ct: BreathingCT, members: Sequence[BreathingCT], taken: Counter[str]) -> str:
    parts = [ct.patient if ct.is_named else "patient"]
    if len({other.date or other.study for other in members}) > 1:
        parts.append(ct.date or ct.study[-12:])
    if sum((other.date or other.study) == (ct.date or ct.study) for other in members) > 1:
        parts.append(ct.apart or ct.phases[0].series[-12:])
    return _unique("_".join(map(_safe, parts)), taken)


def _unique(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}_{taken[name]}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "patient"


def _scan_name(name: str, percent: float | None) -> str:
    if percent is None and _percent(name) is None:
        return re.sub(r"[\s%]+", "", name)  # "20In", "amp0"
    return phase_name(percent if percent is not None else float(_percent(name) or 0.0))


def _percent(name: str) -> float | None:
    match = re.fullmatch(r"([\d.]+) %", name)
    return float(match[1]) if match else None


def _files(phase: Phase, drawn: Sequence[Path]) -> list[Path]:
    return [*phase.files, *drawn]


def _source(phase: Phase) -> Path:
    """The folder, if nothing else is in it; else the first slice, by which the phase is known."""
    places = {path.parent for path in phase.files}
    if len(places) == 1:
        place = places.pop()
        if {path.name for path in phase.files} >= {entry.name for entry in os.scandir(place)}:
            return place
    return phase.files[0]


# ------------------------------------------------------------------ what a folder looks like


def _some_slices(root: Path) -> Iterator[list[Header]]:
    """The slices of every CT among some files of every folder; none of what carries the mark of DICOM and cannot be read.

    Objects of other kinds do not count as looked at.
    """
    seen = others = 0
    for place, _, names in folders_below(root):
        for name in names[:: max(1, len(names) // _A_FOLDER)]:
            if seen > _LOOK_AT or others > _LOOK_AT_OTHERS:
                return
            try:
                header = read_header(place / name)
            except InputError:
                seen += 1
                yield []
                continue
            is_ct = header is not None and text(header, "Modality") == "CT"
            seen += is_ct
            others += header is None
            if header is not None and is_ct and has_image(header):
                yield slices_of(header)
