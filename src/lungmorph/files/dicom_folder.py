"""The 4D CTs in a folder of DICOM files: which series, or which part of one, is which breathing phase.

Siemens, GE, Canon and exports of planning systems write a series a phase; Philips, and most scanners in
some setting, one series with every position ten times. The phase is in a description, a comment, a
standard tag or only a counter. Every file is looked at once, in its header; what is read is taken from
the most telling tag, said in the notes, and refused where tags contradict one another.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ..errors import InputError
from .breathing_ct import BreathingCT, Phase
from .dicom_header import (
    Header,
    check_whole,
    has_image,
    is_localizer,
    is_structure_set,
    name_of,
    numbers,
    path_of,
    patient_of,
    read_header,
    slices_of,
    text,
)
from .dicom_others import check_others
from .dicom_pixels import pixel_digest
from .phase_divide import Stack, divide, place_of
from .phase_notes import differences, only_timed, steps_of
from .phase_order import ordered
from .phase_sets import PhaseSet, sort_stacks
from .phase_tags import tag_name
from .phase_text import labels_of
from .slices import check_alike, stack_geometry
from .walk import files_below

CONE_BEAM = "cone-beam CT"


@dataclass
class DicomFolder:
    """What a folder of DICOM files holds.

    Attributes:
        ct: its 4D CTs, by patient, date and what tells them apart.
        structures: files of contours (RTSTRUCT).
        others: stacks of CT slices that are no phase.
        notes: what was left out and belongs to no 4D CT.
        problems: what could not be used, one line each.
    """

    ct: list[BreathingCT] = field(default_factory=list)
    structures: list[Path] = field(default_factory=list)
    others: list[Stack] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def find_phases(
    folder: str | os.PathLike[str], phase_tag: str | None = None, cone_beam: bool = False
) -> DicomFolder:
    """Find the 4D CTs below a folder, from headers alone.

    Args:
        folder: searched with its subfolders; other files are passed over.
        phase_tag: the tag to take the phase from: a keyword ("SeriesDescription", "AcquisitionNumber"),
            "folder" (its name), or a private tag ("(0045,1030)"); the most telling one if None.
        cone_beam: whether 4D cone-beam CTs count; their values are not HU.

    Raises:
        InputError: no such folder, or a tag that is not known to tell phases.
    """
    root = Path(folder)
    if phase_tag is not None:
        phase_tag = tag_name(phase_tag)
    if not root.is_dir():
        raise InputError(
            root, expected="a DICOM folder", found="a file" if root.exists() else "nothing there"
        )
    made = DicomFolder()
    headers: list[Header] = []
    others: list[Path] = []
    for path in (p for p in files_below(root) if p.name != "DICOMDIR"):
        try:
            header = read_header(path)
            if header is None:
                others.append(path)
                continue
            if is_structure_set(header):
                made.structures.append(path)
                continue
            check_whole(path, header)
        except InputError as error:
            made.problems.append(str(error))
            continue
        if has_image(header):
            headers.extend(slices_of(header))
    made.problems += map(str, check_others(others, map(path_of, headers)))
    arrange(made, headers, root, phase_tag, cone_beam)
    return made


def arrange(
    made: DicomFolder,
    headers: Iterable[Header],
    root: Path,
    phase_tag: str | None = None,
    cone_beam: bool = False,
) -> None:
    """Sort the headers of CT slices into 4D CTs and other scans, and add them to ``made``."""
    # some anonymisers give the same UIDs to every patient
    series: dict[tuple[str, str], list[Header]] = defaultdict(list)
    slices_of_ct = [h for h in headers if text(h, "Modality") == "CT"]
    _fill(slices_of_ct)
    kept, copies = _without_copies(slices_of_ct)
    for header in kept:
        series[name_of(header), str(header.SeriesInstanceUID)].append(header)
    days: dict[tuple[str, str], list[Stack]] = defaultdict(list)
    dated = {name_of(header) for header in kept if text(header, "StudyDate")}

    def add(stack: Stack) -> None:
        name = name_of(stack.first)
        # of a patient of whom no date is known, every study may be of one day
        days[name, _day(stack.first) if name in dated or not name else ""].append(stack)

    for members in series.values():
        scouts = [header for header in members if is_localizer(header)]
        slices = [header for header in members if not is_localizer(header)]
        if scouts:
            add(Stack(tuple(scouts)))
        if slices:
            divided = divide(slices, root, phase_tag)
            made.problems.extend(divided.problems)
            for stack in divided.stacks:
                add(stack)
    for stacks in days.values():
        beams = [stack for stack in stacks if stack.kind == CONE_BEAM]
        _arrange_day(made, [s for s in stacks if s not in beams], beams, root, phase_tag, copies)
        if cone_beam and beams:
            _arrange_day(made, beams, [], root, phase_tag, copies)
        else:
            made.others.extend(beams)
    used = {phase.series for ct in made.ct for phase in ct.phases}
    if twice := sum(n for uid, n in copies.items() if uid not in used):
        made.notes.append(_twice(twice))
    made.ct.sort(key=lambda ct: (ct.patient, ct.date, ct.apart))


def other_scans(stacks: Sequence[Stack]) -> list[str]:
    """Scans that are no phases, a line each; one line for many of one kind."""
    kinds: dict[str, list[Stack]] = defaultdict(list)
    for stack in stacks:
        kinds[stack.kind or "another scan"].append(stack)
    lines = []
    for kind, members in kinds.items():
        if kind == CONE_BEAM:
            lines.append(
                f"left out: {len(members)} of {kind} ({members[0]}, ...), whose values are no HU:"
                " the option cone_beam reads them"
            )
        else:
            lines.extend(f"left out: {kind}, {stack}" for stack in members)
    return lines


# ------------------------------------------------------------------ the scans of a day


def _arrange_day(
    made: DicomFolder,
    stacks: Sequence[Stack],
    beside: Sequence[Stack],
    root: Path,
    phase_tag: str | None,
    copies: Counter[str],
) -> None:
    done = sort_stacks(stacks, root, phase_tag, among=(CONE_BEAM,))
    made.problems.extend(done.problems)
    made.others.extend(done.others)
    for one in done.sets:
        notes = other_scans([*done.others, *beside])
        notes += [
            f"another 4D CT of the same day: {rival.apart or rival.stacks[0]}"
            for rival in done.sets
            if rival is not one
        ]
        made.ct.append(_breathing_ct(one, root, notes, copies))


def _breathing_ct(
    found: PhaseSet, root: Path, beside: Sequence[str], copies: Counter[str]
) -> BreathingCT:
    order = ordered([*found.labels, *(label for label, _ in found.refused)], found.tag)
    phases, problems = [], [line for _, line in found.refused]
    if found.timed:
        where = place_of(found.stacks[0].headers, root)
        line = only_timed(where, found.tag, f"with the option phase_tag={found.tag}")
        problems.append(str(line))
    for at, name, percent in zip(order.order, order.names, order.percents, strict=True):
        if at >= len(found.stacks):
            continue
        headers = found.stacks[at].headers
        what = f"{place_of(headers, root)}, phase {name}"
        try:
            check_alike(what, headers)
            along, grid = stack_geometry(what, headers)
        except InputError as error:
            problems.append(str(error))
            continue
        phases.append(Phase(name, percent, tuple(headers[i] for i in along), grid))
    first = found.stacks[0].first
    notes = [f"phases from {found.tag}", *found.notes, *order.notes, *differences(phases)]
    steps, missing = steps_of(order)
    notes += steps
    about = ", ".join(filter(None, (name_of(first), _date(first), found.apart)))
    if not name_of(first):
        notes.append(
            "no PatientID and no PatientName: its study stands for the patient, and no other day is"
            " taken for the same patient's"
        )
    problems += [f"{root}, 4D CT ({about}): {line}" for line in missing]
    divided = [stack for stack in found.stacks if stack.tags]
    if divided:
        tags = " and ".join(tag.name for tag in divided[0].tags)
        notes.insert(1, f"one series held several phases: divided by {tags}")
    if twice := sum(copies[uid] for uid in {stack.uid for stack in found.stacks}):
        notes.append(_twice(twice))
    return BreathingCT(
        patient_of(first),
        _date(first),
        text(first, "StudyInstanceUID"),
        tuple(phases),
        order.names[order.inhale],
        order.names[order.exhale],
        found.apart,
        tuple(problems),
        (*notes, *beside),
        found.tag if found.timed else "",
    )


def _twice(count: int) -> str:
    slices = "1 slice is" if count == 1 else f"{count} slices are"
    return f"{slices} there twice, the same by SOPInstanceUID: one of each is read"


# ------------------------------------------------------------------ who and when


#: Two slices of one UID are copies only if none of these differs, nor their voxels: some anonymisers
#: repeat UIDs.
_TELL_PHASES = (
    "NominalPercentageOfRespiratoryPhase",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "TriggerTime",
    "AcquisitionTime",
)


@lru_cache(maxsize=1024)
def _phase_in(words: str) -> str:
    return str(labels_of([words])[0])


def _without_copies(headers: Sequence[Header]) -> tuple[list[Header], Counter[str]]:
    """The headers without second copies of a file, and how many were left out, by series."""
    alike: dict[tuple[object, ...], list[Header]] = defaultdict(list)
    for header in headers:
        if uid := text(header, "SOPInstanceUID"):
            alike[_facts(uid, header)].append(header)
    by_series: dict[str, list[list[Header]]] = defaultdict(list)
    for members in alike.values():
        if len(members) > 1:
            by_series[str(members[0].SeriesInstanceUID)].append(members)
    lost: set[int] = set()
    copies = Counter[str]()
    for series, groups in by_series.items():
        extra = [_second_ones(members) for members in groups]
        whole = [len(own) == len(members) - 1 for own, members in zip(extra, groups, strict=True)]
        if sum(whole) < len(groups) / 2:
            continue  # the UIDs are repeated: slices that look the same are phases where nothing moves
        lost.update(id(header) for own in extra for header in own)
        copies[series] = sum(map(len, extra))
    return [header for header in headers if id(header) not in lost], copies


def _facts(uid: str, header: Header) -> tuple[object, ...]:
    return (
        uid,
        name_of(header),
        header.frame_index,
        text(header, "SeriesInstanceUID"),
        tuple(round(v, 2) for v in numbers(header, "ImagePositionPatient")),
        *(_phase_in(text(header, tag)) for tag in ("SeriesDescription", "ImageComments")),
        *(text(header, tag) for tag in _TELL_PHASES),
    )


def _second_ones(headers: Sequence[Header]) -> list[Header]:
    """Those whose voxels are the same as of one before."""
    digests = [pixel_digest(path_of(header)) for header in headers]
    return [header for i, header in enumerate(headers) if digests[i] in digests[:i]]


def _fill(headers: Sequence[Header]) -> None:
    """Give slices without date or patient those of their study."""
    known: dict[tuple[str, str], str] = {}
    for tag in ("StudyDate", "PatientID"):
        for header in headers:
            if said := text(header, tag):
                known.setdefault((text(header, "StudyInstanceUID"), tag), said)
        for header in headers:
            said = known.get((text(header, "StudyInstanceUID"), tag), "")
            if said and not header.get(tag):
                header[tag] = said


def _day(header: Header) -> str:
    """Scans of one day may be of one 4D CT, whatever their study: exports make studies as they like."""
    return text(header, "StudyDate") or text(header, "StudyInstanceUID")


def _date(header: Header) -> str:
    dates = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate")
    return next((said for tag in dates if (said := text(header, tag))), "")
