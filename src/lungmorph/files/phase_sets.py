"""Which stacks of slices are the phases of one 4D CT, and which stand beside it.

Works within one patient and day. The phase is taken from the most telling tag that differs from stack to
stack; where another tag that tells as much contradicts it, nothing is decided.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from .dicom_header import Header, numbers, path_of, text
from .phase_agreement import contradiction, otherwise
from .phase_divide import ATTRIBUTES, Stack, description, place_of
from .phase_notes import steps_of
from .phase_order import keys_of, ordered, unevenness
from .phase_tags import (
    COUNTED,
    FOLDER,
    LAST,
    SAID,
    STACKED,
    TAGS,
    TIMED,
    TIMES,
    Tag,
    is_called,
    private_tags,
)
from .phase_text import AVERAGE, PROJECTIONS, Label, kind_of, without_phase

#: So many phases in even steps round the breath are a whole 4D CT.
WHOLE = 4
#: Into at least so many phases scanners divide a breath.
USUAL_PHASES = 8


@dataclass
class PhaseSet:
    """Stacks with their phases, all different.

    Attributes:
        stacks, labels: of the phases, in no order.
        refused: phases that cannot be used, and why.
        tag: where the labels were written.
        apart: what tells it from another set of the same day ("kernel B30f"), or empty.
        timed: whether an order of time that nobody has confirmed is all that makes them phases.
        notes: what other tags say of the phases, where it is not the same.
    """

    stacks: list[Stack]
    labels: list[Label]
    tag: str
    apart: str = ""
    refused: list[tuple[Label, str]] = field(default_factory=list)
    timed: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass
class Sorted:
    """What became of the stacks of one patient and day."""

    sets: list[PhaseSet] = field(default_factory=list)
    others: list[Stack] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def sort_stacks(
    stacks: Sequence[Stack], root: Path, tag: str | None = None, among: Sequence[str] = ()
) -> Sorted:
    """Find the 4D CTs among stacks.

    Args:
        stacks: of one patient and day.
        root: for messages.
        tag: name of the one to go by.
        among: kinds of stack (:func:`lungmorph.files.phase_text.kind_of`) that may be phases all the same.
    """
    made = Sorted()
    for stack in stacks:
        if (stack.kind and stack.kind not in among) or stack.size[2] < 2:
            made.others.append(stack)
    open_ones = [stack for stack in stacks if stack not in made.others]
    told = [t for t in TAGS if is_called(t, tag)]
    open_ones = _said(made, open_ones, [t for t in told if t.strength == SAID], told, root)
    families: dict[Hashable, list[Stack]] = defaultdict(list)
    for stack in open_ones:
        families[_family(stack)].append(stack)
    for family in families.values():
        _counted(made, family, root, tag)
    if not made.sets and not made.problems:
        _miscalled(made, told, root)
    return made


def _miscalled(made: Sorted, told: Sequence[Tag], root: Path) -> None:
    """Phases that are called averages or projections: by a workstation that makes slices of several thin
    ones, or after a protocol that has the words in its name.

    Only where there are no others, and these are said to be a whole breath.
    """
    trial = Sorted()
    slabs = [stack for stack in made.others if stack.size[2] > 1 and _may_be_miscalled(stack)]
    _said(trial, slabs, [t for t in told if t.strength == SAID], told, root)
    for one in trial.sets:
        if len(one.labels) >= WHOLE and not any(steps_of(ordered(one.labels, one.tag))):
            kinds = " and ".join(sorted({stack.kind for stack in one.stacks}))
            one.notes.append(
                f"all phases are called {kinds}: taken as phases, for there are no others"
            )
            made.sets.append(one)
            made.others = [stack for stack in made.others if stack not in one.stacks]


def _may_be_miscalled(stack: Stack) -> bool:
    """ImageType is the scanner's own word for a projection over slices, whose values are no HU of the lung."""
    by_type = kind_of("", text(stack.first, "ImageType"))
    return stack.kind == AVERAGE or (stack.kind in PROJECTIONS and not by_type)


# ------------------------------------------------------------------ the phase is said


def _said(
    made: Sorted, stacks: Sequence[Stack], tags: Sequence[Tag], rivals: Sequence[Tag], root: Path
) -> list[Stack]:
    """Move the stacks whose phase is said into sets; returns the others."""
    read = {tag.name: _labels(tag, stacks) for tag in rivals}
    variety = {tag.name: len({str(label) for label in read[tag.name] if label}) for tag in tags}
    best = max(tags, key=lambda tag: variety[tag.name], default=None)
    if best is None or variety[best.name] < 2:
        return list(stacks)
    labels = read[best.name]
    chosen, strangers = _without_strangers(
        [(stack, label) for stack, label in zip(stacks, labels, strict=True) if label]
    )
    made.others.extend(strangers)
    for part, apart in _settled(chosen, root):
        at = [i for i, stack in enumerate(stacks) if any(stack is one for one, _ in part)]
        lines = (
            contradiction(best, other, [(labels[i], read[other.name][i]) for i in at])
            for other in rivals
            if other is not best
        )
        if line := next(filter(None, lines), ""):
            error = InputError(
                place_of(part[0][0].headers, root),
                expected="tags that agree on the phases",
                found=line,
                do="choose one with the option phase_tag, or correct the other",
            )
            made.problems.append(str(error))
        else:
            notes = [
                otherwise(best, other, [(labels[i], found[i]) for i in at])
                for other, found in ((FOLDER, _labels(FOLDER, stacks)), *_counts(rivals, read))
                if other is not best
            ]
            _make_set(made, part, best.name, apart, root, [note for note in notes if note])
    return [stack for stack, label in zip(stacks, labels, strict=True) if label is None]


def _without_strangers(
    chosen: list[tuple[Stack, Label]],
) -> tuple[list[tuple[Stack, Label]], list[Stack]]:
    """The stacks without those that have a percent and are none of the phases: a breath-hold ("DIBH 80%").

    Such a scan is called otherwise than the phases, and these are all there without it.
    """
    families: dict[str, list[tuple[Stack, Label]]] = defaultdict(list)
    for stack, label in chosen:
        words = without_phase(description(stack.headers), blur=True)
        families[re.sub(r"~(?: ?/ ?~)+", "~", words)].append((stack, label))
    most = max(families.values(), key=len, default=[])
    known = list(dict.fromkeys(label for _, label in most))
    one_unit = len({label.unit for label in known}) == 1
    if len(known) < WHOLE or not one_unit or any(steps_of(ordered(known, ""))):
        return chosen, []
    strangers = [
        stack
        for family in families.values()
        if family is not most and len({label for _, label in family}) == 1
        for stack, _ in family
    ]
    return [(stack, lb) for stack, lb in chosen if stack not in strangers], strangers


def _labels(tag: Tag, stacks: Sequence[Stack]) -> list[Label | None]:
    """The label that all slices of a stack have, for every stack."""
    every = tag.read([header for stack in stacks for header in stack.headers])
    found, start = [], 0
    for stack in stacks:
        own = {label for label in every[start : start + len(stack.headers)] if label}
        found.append(own.pop() if len(own) == 1 else None)
        start += len(stack.headers)
    return found


def _counts(
    tags: Sequence[Tag], read: dict[str, list[Label | None]]
) -> list[tuple[Tag, list[Label | None]]]:
    return [(tag, read[tag.name]) for tag in tags if tag.strength == COUNTED]


def _settled(
    chosen: list[tuple[Stack, Label]], root: Path, apart: str = ""
) -> list[tuple[list[tuple[Stack, Label]], str]]:
    """Split stacks of which two have one phase by what tells two scans or reconstructions apart."""
    wrong = unevenness([label for _, label in chosen])
    best: tuple[int, int, list[tuple[list[tuple[Stack, Label]], str]]] | None = None
    for name, attribute in _TELLING.items() if wrong else ():
        groups: dict[Hashable, list[tuple[Stack, Label]]] = defaultdict(list)
        for stack, label in chosen:
            groups[attribute(stack)].append((stack, label))
        if len(groups) < 2 or max(map(len, groups.values())) < max(
            2, len({str(label) for _, label in chosen}) / 2
        ):
            continue
        left = sum(unevenness([label for _, label in group]) for group in groups.values())
        if left < wrong and (best is None or (left, len(groups)) < best[:2]):
            parts = [
                (group, f"{apart} {name} {_short(key, root)}".strip())
                for key, group in groups.items()
            ]
            best = (left, len(groups), parts)
    if best is None:
        return [(chosen, apart)]
    return [end for group, told in best[2] for end in _settled(group, root, told)]


def _short(key: Hashable, root: Path) -> str:
    if isinstance(key, Path):
        return str(key.relative_to(root) if key.is_relative_to(root) else key.name)
    if isinstance(key, tuple):
        return "x".join(f"{v:g}" for v in key)
    return f"..{str(key)[-12:]}" if str(key).count(".") > 4 else str(key)


def _of_first(read: Callable[[Header], Hashable]) -> Callable[[Stack], Hashable]:
    return lambda stack: read(stack.first)


#: In the order in which they are preferred among equals.
_TELLING: dict[str, Callable[[Stack], Hashable]] = {
    **{name: _of_first(read) for name, read in ATTRIBUTES.items()},
    "slices": lambda stack: stack.size[2],
    "folder": lambda stack: path_of(stack.first).parent,
    "folder above": lambda stack: path_of(stack.first).parent.parent,
}


def _make_set(
    made: Sorted,
    part: list[tuple[Stack, Label]],
    tag: str,
    apart: str,
    root: Path,
    notes: Sequence[str] = (),
) -> None:
    keys = keys_of([label for _, label in part])
    counts = Counter(keys)
    whole = PhaseSet([], [], tag, apart, notes=list(notes))
    for (stack, label), key in zip(part, keys, strict=True):
        if counts[key] == 1:
            whole.stacks.append(stack)
            whole.labels.append(label)
    for key in [key for key, n in counts.items() if n > 1]:
        rivals = [one for one, its_key in zip(part, keys, strict=True) if its_key == key]
        error = InputError(
            f"{place_of(rivals[0][0].headers, root)}, phase {_spaced(rivals[0][1])}",
            expected="one scan of this phase",
            found=f"{len(rivals)}: " + "; ".join(str(stack) for stack, _ in rivals),
            do="keep one of them in the folder",
        )
        whole.refused.append((rivals[0][1], str(error)))
    if whole.stacks and len(counts) > 1:
        made.sets.append(whole)
        return
    made.others.extend(whole.stacks)
    made.problems.extend(line for _, line in whole.refused)


def _spaced(label: Label) -> str:
    return str(label).replace("%", " %")


# ------------------------------------------------------------------ the phase is counted or timed


def _family(stack: Stack) -> Hashable:
    """What phases have in common where nothing says that they are phases."""
    if stack.tags:
        return stack.uid
    spacing = tuple(round(v, 3) for v in numbers(stack.first, "PixelSpacing"))
    where = [round(v) for h in stack.headers for v in numbers(h, "ImagePositionPatient")]
    return (
        without_phase(description(stack.headers)),
        ATTRIBUTES["orientation"](stack.first),
        ATTRIBUTES["kernel"](stack.first),
        stack.size,
        spacing,
        (min(where, default=0), max(where, default=0)),
    )


def _counted(made: Sorted, family: list[Stack], root: Path, tag: str | None) -> None:
    """A set from stacks of one kind, by what counts them or by the order of time."""
    divided = bool(family[0].tags)
    if len(family) < (2 if divided else 3):
        made.others.extend(family)
        return
    headers = [header for stack in family for header in stack.headers]
    steps: tuple[Callable[[], Sequence[Tag]], ...] = (
        lambda: [t for t in TAGS if t.strength == COUNTED],
        lambda: [FOLDER],
        lambda: private_tags(headers),
        lambda: TIMES,
        lambda: [LAST],
        lambda: [STACKED],
    )
    for tags_of in steps:
        read = [(t, _labels(t, family)) for t in tags_of() if is_called(t, tag)]
        ways = [(t, [lb for lb in found if lb is not None]) for t, found in read if _tells(found)]
        if not ways:
            continue
        best, labels = ways[0]
        order = ordered(labels, best.name).order
        for other, its_labels in ways[1:]:
            if ordered(its_labels, other.name).order != order:
                _undecided(made, family, [best, other], root)
                return
        if best.strength == TIMED and not divided and len(family) < 4:
            break
        # a count of whole acquisitions, as many as a breath is divided into, is taken for what it seems to be, with a note
        many = best.name == "AcquisitionNumber" and len(family) >= USUAL_PHASES
        timed = best.strength == TIMED and tag is None and not many
        made.sets.append(PhaseSet(family, labels, best.name, timed=timed))
        return
    if divided or len(family) > 3:
        _undecided(made, family, [], root)
    else:
        made.others.extend(family)


def _tells(labels: Sequence[Label | None]) -> bool:
    return None not in labels and len({str(label) for label in labels}) == len(labels)


def _undecided(made: Sorted, family: Sequence[Stack], tags: Sequence[Tag], root: Path) -> None:
    if tags:
        values = (", ".join(str(lb) for lb in _labels(t, family) if lb) for t in tags)
        named = (f"{t.name} ({shown})" for t, shown in zip(tags, values, strict=True))
        found = f"{len(family)} that are ordered otherwise by {' and by '.join(named)}"
        do = "choose one with the option phase_tag, or name the phases in SeriesDescription"
    else:
        found = f"{len(family)} alike with nothing that tells: " + "; ".join(map(str, family))
        do = "name the phase in SeriesDescription, or give one of the series by itself"
    where = place_of(family[0].headers, root)
    made.problems.append(
        str(InputError(where, expected="scans whose phase is known", found=found, do=do))
    )
