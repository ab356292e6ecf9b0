"""Which structure set was drawn on which phase, and its regions as masks of that phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..files.breathing_ct import Phase
from ..files.contour_mask import covers_voxel
from ..files.dicom_folder import DicomFolder
from ..files.dicom_header import Header, text
from ..files.phase_divide import Stack
from ..files.rtstruct import Image, StructureSet, read_structures, region_mask
from ..space import Volume
from .lung_names import lung_regions

Loader = Callable[[], Volume]


@dataclass
class Drawn:
    """The masks of one phase, the files they are read from, and what there is to say of them."""

    lungs: Loader | None = None
    structures: dict[str, Loader] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Structures:
    """The structure sets of a folder.

    Attributes:
        by_phase: by the ``id`` of a :class:`Phase`.
        problems: sets that could not be read.
        notes: by patient, sets that belong to no phase.
    """

    by_phase: dict[int, Drawn] = field(default_factory=lambda: defaultdict(Drawn))
    problems: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def attach_structures(found: DicomFolder) -> Structures:
    """Give every structure set to the phase whose slices it was drawn on.

    By the slices that its contours name; else by those that the set names; else by its series, and last
    by its frame of reference, where only one phase has it. Otherwise it is given to none, and noted.
    """
    made = Structures()
    sets = []
    for path in found.structures:
        try:
            sets.append(read_structures(path))
        except InputError as error:
            made.problems.append(str(error))
    phases = [phase for ct in found.ct for phase in ct.phases]
    of_patient: dict[str, list[Phase]] = defaultdict(list)
    for ct in found.ct:
        of_patient[ct.patient].extend(ct.phases)
    for one in sorted(sets, key=lambda s: (s.time, s.path), reverse=True):  # the newest first
        if not one.regions:
            made.notes[one.patient].append(f"{one.path}: not used, no region in it has contours")
            continue
        # first those of its patient: some anonymisers give the same UIDs to every patient
        targets, why = _targets(one, of_patient.get(one.patient, phases), found.others)
        if not targets and one.patient in of_patient:
            targets, _ = _targets(one, phases, found.others)
        if not targets:
            made.notes[one.patient].append(f"{one.path}: not used, {why}")
        for phase, images in targets:
            _add(made.by_phase[id(phase)], one, phase, images)
    return made


def drawn_on(path: Path, image: Phase) -> Drawn:
    """The regions of a structure set that is said to be of one scan.

    Raises:
        InputError: as :func:`lungmorph.files.rtstruct.read_structures`; it was drawn on other slices.
    """
    one = read_structures(path)
    own = frozenset(map(_image, image.headers))
    named = one.drawn_on | one.images
    targets, why = _targets(one, [image], ()) if not named or named & own else ([], "")
    if not targets:
        where = f"the slices of {image.files[0].parent}"
        found = why or "one that was drawn on other slices"
        raise InputError(path, expected=f"a structure set of {where}", found=found)
    made = Drawn()
    _add(made, one, image, own if one.drawn_on & own and one.drawn_on - own else None)
    return made


# ------------------------------------------------------------------ whose it is


def _targets(
    one: StructureSet, phases: Sequence[Phase], others: Sequence[Stack]
) -> tuple[list[tuple[Phase, frozenset[Image] | None]], str]:
    """The phases that a set was drawn on, with their slices where it was drawn on several."""
    own = {id(phase): frozenset(map(_image, phase.headers)) for phase in phases}
    drawn = one.drawn_on
    for refers in (drawn, one.images):
        hits = [phase for phase in phases if own[id(phase)] & refers]
        if len(hits) == 1:
            return [(hits[0], None)], ""
        if hits and refers is drawn:
            return [(phase, own[id(phase)]) for phase in hits], ""
        if hits:
            return [], f"it refers to slices of the phases {_names(hits)}"
        for stack in others:
            if refers & frozenset(map(_image, stack.headers)):
                return [], f"it was drawn on {stack}, which is no phase"
    for what, mine, key in (
        ("series", one.series, lambda phase: phase.series),
        ("frame of reference", one.frames, lambda phase: phase.frame_of_reference),
    ):
        hits = [phase for phase in phases if key(phase) in mine]
        if len(hits) == 1:
            return [(hits[0], None)], ""
        if hits:
            return [], f"it names no slice, and its {what} is that of the phases {_names(hits)}"
        if what == "series" and (other := next((s for s in others if s.uid in mine), None)):
            return [], f"it was drawn on {other}, which is no phase"
    return [], "the scan it was drawn on is not here"


def _image(header: Header) -> Image:
    frame = header.frame_index
    return text(header, "SOPInstanceUID"), None if frame is None else frame + 1


def _names(phases: Sequence[Phase]) -> str:
    return ", ".join(phase.name for phase in phases)


# ------------------------------------------------------------------ its masks


def _add(drawn: Drawn, one: StructureSet, phase: Phase, images: frozenset[Image] | None) -> None:
    usable = []
    for region in one.regions:
        placed = region.placed(phase.grid, images)
        where = f"{one.path}, {region.name}, phase {phase.name}"
        if placed.between:
            drawn.problems.append(
                f"{where}: {len(placed.between)} contours lie between slices (up to"
                f" {max(placed.between):.2f} mm from the nearest) and are left out"
            )
        if placed.tilted:
            drawn.problems.append(
                f"{where}: {placed.tilted} contours are not in the plane of the slices and are left out"
            )
        if placed.outside:
            drawn.notes.append(f"{where}: {placed.outside} contours lie beyond the image")
        if placed.skipped_slices:
            drawn.notes.append(
                f"{where}: no contour on {placed.skipped_slices} slices in its midst"
            )
        if region.open:
            drawn.notes.append(
                f"{where}: {region.open} points or open lines, which enclose nothing"
            )
        if placed.by_slice and covers_voxel(placed, phase.grid):
            usable.append(region.name)
        elif placed.by_slice:
            drawn.notes.append(f"{where}: left out, no centre of a voxel lies inside it")
    if usable:
        drawn.files.append(one.path)
    for name in usable:
        loader = partial(region_mask, one.path, (name,), phase.grid, images)
        if name in drawn.structures:
            name = f"{name} ({one.label or one.path.stem})"
        drawn.structures.setdefault(name, loader)
    lungs, remark = lung_regions(usable, phase.percent)
    if remark:
        drawn.notes.append(f"{one.path}, phase {phase.name}: {remark}")
    if lungs and drawn.lungs is None:
        drawn.lungs = partial(region_mask, one.path, tuple(lungs), phase.grid, images)
        drawn.notes.append(f"lungs of phase {phase.name}: {', '.join(lungs)} of {one.path}")
    elif lungs:
        drawn.notes.append(
            f"{one.path}, phase {phase.name}: an older set with lungs, not used for them"
        )
