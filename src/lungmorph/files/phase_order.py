"""From phases as they are written to their order round the breath: percent, names, and what was assumed.

0 % is the end of inhale and 50 % lies near the end of exhale. Bins of amplitude ("20% In", "80% Ex") are
not percent of time: they keep their names ("amp 100 %" where they have no side) and are put in the order
in which a breath runs through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .phase_text import EXHALE, INHALE, Label


@dataclass(frozen=True)
class Ordered:
    """Labels in the order of the breath.

    Attributes:
        order: which label comes first, second, ...
        percents: of the labels in that order; None for bins of amplitude.
        names: of the labels in that order ("0 %", "20 % In").
        inhale, exhale: places in that order nearest to the end of inhale and of exhale.
        notes: what was assumed.
    """

    order: tuple[int, ...]
    percents: tuple[float | None, ...]
    names: tuple[str, ...]
    inhale: int
    exhale: int
    notes: tuple[str, ...] = ()


def ordered(labels: Sequence[Label], what: str) -> Ordered:
    """Order labels that are all different.

    Args:
        labels: of one unit.
        what: where they were written, for the notes ("SeriesDescription").
    """
    if labels[0].unit == "percent":
        return _amplitudes(labels) if _are_amplitudes(labels) else _percents(labels)
    values = [label.value for label in labels]
    percents, notes = numbers_to_percent(values, what, labels[0].total)
    return _by_percent(percents, notes)


def keys_of(labels: Sequence[Label]) -> list[tuple[float, str]]:
    """What is the same in labels of one phase: the value, and the side where it tells phases apart."""
    sided = _are_sided(labels)
    return [(label.value, label.side if sided else "") for label in labels]


def unevenness(labels: Sequence[Label]) -> int:
    """How many labels are doubled, or out of step with the others: 0 for the phases of one scan."""
    keys = keys_of(labels)
    doubled = len(keys) - len(set(keys))
    values = sorted({label.value for label in labels})
    if len(values) < 3 or any(side for _, side in keys):
        return doubled
    steps = round((values[-1] - values[0]) / float(np.median(np.diff(values))))
    step = (values[-1] - values[0]) / steps
    off = [abs((v - values[0]) / step - round((v - values[0]) / step)) * step for v in values]
    return doubled + sum(o > 1.0 for o in off)  # whole numbers for 16.7 or 12.5 %


def numbers_to_percent(
    values: Sequence[float], what: str, total: int | None = None
) -> tuple[list[float], list[str]]:
    """Percent of the breath from numbers whose meaning only the whole set shows, and what to note."""
    found = sorted(values)
    n = total or len(found)
    step = float(np.median(np.diff(found))) if len(found) > 1 else 0.0
    in_steps = all(abs(v / step - round(v / step)) * step < 1.0 for v in found) if step else False
    if step >= 5 and in_steps and found[-1] <= 100 and found[0] >= 0 and found[-1] >= 20:
        return list(values), []
    start = 0 if found[0] == 0 else 1
    last = found[-1] + 1 - start
    whole = all(v == int(v) for v in found)
    if not total and whole and found[0] == start and n < last < 2 * n:
        n = int(last)  # some are missing
    if whole and found[0] >= start and last <= n:
        number = "i" if start == 0 else "(i - 1)"
        note = f"{what} only counts the phases: number i of {n} is taken as {number} * 100 / {n} %"
        return [(v - start) * 100 / n for v in values], [note]
    rank = {v: i for i, v in enumerate(found)}
    note = (
        f"{what} only gives the order of {n} phases: they are taken as even steps of {100 / n:g} %"
    )
    return [rank[v] * 100 / n for v in values], [note]


def _percents(labels: Sequence[Label]) -> Ordered:
    notes = []
    if sides := {label.side for label in labels if label.side}:
        notes.append(
            f"{' and '.join(sorted(sides))} in the names add nothing to their numbers: left out"
        )
    if any(label.worded for label in labels):
        notes.append("the names only say inhale and exhale: taken as 0 % and 50 %")
    if bins := [f"{label.value:g} to {label.upto:g} %" for label in labels if label.upto]:
        notes.append(
            f"the names are ranges ({bins[0]}, ...): each phase is called by its lower end"
        )
    if any(label.amplitude for label in labels):
        notes.append(
            "the names say amplitude: their numbers are taken as steps round the breath, 0 % the end of inhale, as those of"
            " 4D-Lung are"
        )
    return _by_percent([label.value for label in labels], notes)


def _by_percent(values: Sequence[float], notes: Sequence[str]) -> Ordered:
    notes = list(notes)
    percents: list[float | None] = [round(value, 1) for value in values]
    if 100 in values:
        at = values.index(100)
        if 0 in values:
            notes.append(
                "there is a phase 0 % and a phase 100 %: the latter comes last and has no percent"
            )
            percents[at] = None
        else:
            notes.append("100 % is the same point of the breath as 0 % and is taken as that")
            percents[at] = 0.0
    turns = [100.0 if percent is None else percent for percent in percents]
    order = sorted(range(len(values)), key=turns.__getitem__)
    known = [(p, k) for k, i in enumerate(order) if (p := percents[i]) is not None]
    return Ordered(
        tuple(order),
        tuple(percents[i] for i in order),
        tuple(f"{turns[i]:.3g} %" for i in order),
        min(known, key=lambda item: (apart(item[0], 0.0), item[0]))[1],
        min(known, key=lambda item: (apart(item[0], 50.0), item[0]))[1],
        tuple(notes),
    )


def apart(a: float, b: float) -> float:
    """Distance of two percents round the breath, 0 to 50."""
    return min(abs(a - b), 100 - abs(a - b))


# ------------------------------------------------------------------ bins of amplitude


def _are_sided(labels: Sequence[Label]) -> bool:
    """Whether "In" and "Ex" may tell phases apart: one alone of many does not make bins of amplitude."""
    sided = sum(bool(label.side) for label in labels)
    return sided > 1 or (sided == 1 and len(labels) <= 2)


def _are_amplitudes(labels: Sequence[Label]) -> bool:
    values = [label.value for label in labels]
    ends = 0 in values and 100 in values
    if ends and any(label.amplitude for label in labels):
        return True
    return _are_sided(labels) and (
        len(set(values)) < len(values) or ends or any(lb.twin for lb in labels)
    )


_EMPTY = "how empty the lungs are (100 %: full exhale)"
#: Place in the breath (0: end of inhale, 0.5: end of exhale) of p per cent of inhale and of exhale, in the
#: readings that are in use; the first that makes sense of a set is taken.
_READINGS = {
    "how full the lungs are (100 %: full inhale)": {
        INHALE: lambda p: 0.5 + p / 200,
        EXHALE: lambda p: 0.5 - p / 200,
    },
    "how far inhaling or exhaling has come (100 % In: full inhale, 100 % Ex: full exhale)": {
        INHALE: lambda p: 0.5 + p / 200,
        EXHALE: lambda p: p / 200,
    },
    _EMPTY: {
        INHALE: lambda p: 1 - p / 200,
        EXHALE: lambda p: p / 200,
    },
}


def _amplitudes(labels: Sequence[Label]) -> Ordered:
    readings = {}
    for meaning in _READINGS:
        places = [_place(meaning, label.value, label.side) for label in labels]
        twins = [
            _place(meaning, *lb.twin) if lb.twin else p
            for lb, p in zip(labels, places, strict=True)
        ]
        agree = all(_turn(a - b) < 1e-6 for a, b in zip(places, twins, strict=True))
        if meaning == _EMPTY and any(lb.side == INHALE and lb.value in (0, 100) for lb in labels):
            continue  # nobody calls full lungs "0 % In"
        gaps = np.diff([*sorted(places), min(places) + 1])
        if agree and gaps.min() > 1e-6:
            readings[meaning] = (gaps.max() / gaps.min() > 1.5, places)
    if not readings:
        meaning = next(iter(_READINGS))
        places = [_place(meaning, label.value, label.side) for label in labels]
    else:
        meaning = min(readings, key=lambda m: readings[m][0])
        places = readings[meaning][1]
    order = sorted(range(len(labels)), key=lambda i: places[i])
    names = tuple(_bin_name(labels[i]) for i in order)
    others = [m for m in readings if m != meaning and readings[m][0] == readings[meaning][0]]
    note = f"phases are bins of amplitude ({', '.join(names)}), read as {meaning}"
    if others:
        note += "; they could as well be read as " + " or ".join(others)
    away = [_turn(places[i]) for i in order]
    return Ordered(
        tuple(order),
        (None,) * len(order),
        names,
        int(np.argmin(away)),
        int(np.argmax(away)),
        (note,),
    )


def _place(meaning: str, value: float, side: str) -> float:
    return float(_READINGS[meaning][side or EXHALE](value)) % 1.0


def _turn(difference: float) -> float:
    """Distance round the breath, 0 to 0.5."""
    return abs((difference + 0.5) % 1.0 - 0.5)


def _bin_name(label: Label) -> str:
    if not label.side:
        return f"amp {label.value:g} %"  # no percent of time
    return f"{label.value:g} % {label.side}"
