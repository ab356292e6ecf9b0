"""Whether two tags of the same scans name the same phases."""

from __future__ import annotations

from collections.abc import Sequence

from .phase_tags import COUNTED, SAID, Tag
from .phase_text import Label

#: Tags of equal weight that differ by more contradict one another; less is rounding (16.7 and 17 %).
SAME_PERCENT = 1.6


def contradiction(best: Tag, other: Tag, pairs: Sequence[tuple[Label | None, Label | None]]) -> str:
    """How two tags contradict one another; empty if they agree or the other one does not tell."""
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    if len({str(b) for _, b in both}) < max(2, len(both) / 2):
        return ""
    if other.strength == SAID and all(a.unit == b.unit == "percent" for a, b in both):
        wrong = [(a, b) for a, b in both if not _same_percent(a, b)]
    else:
        ranks = sorted(both, key=lambda pair: _sort_key(pair[0]))
        values = [b.value for _, b in ranks]
        falls = sum(b <= a for a, b in zip(values, [*values[1:], values[0]], strict=True))
        sided = any(a.side for a, _ in both)
        wrong = [] if sided or falls <= 1 else ranks
    if not wrong:
        return ""
    shown = ", ".join(f"{a} is {b}" for a, b in wrong[:10])
    return f"{best.name} and {other.name} that do not: {shown}"


def otherwise(best: Tag, other: Tag, pairs: Sequence[tuple[Label | None, Label | None]]) -> str:
    """What to note of a weaker tag that names the phases otherwise, or begins to count at another one; or nothing."""
    both = sorted(
        ((a, b) for a, b in pairs if a is not None and b is not None),
        key=lambda pair: _sort_key(pair[0]),
    )
    if len({str(b) for _, b in both}) < max(2, len(both) / 2) or any(a.side for a, _ in both):
        return ""
    if other.strength == COUNTED or any(
        a.unit != "percent" or b.unit != "percent" for a, b in both
    ):
        values = [b.value for _, b in both]
        differ = values != sorted(values)
    else:
        differ = any(not _same_percent(a, b) for a, b in both)
    if not differ:
        return ""
    shown = ", ".join(f"{a} is {b}" for a, b in both[:3])
    return f"{other.name} has it otherwise ({shown}, ...): {best.name} is gone by"


def _same_percent(a: Label, b: Label) -> bool:
    apart = abs(a.value - b.value)
    return min(apart, abs(100 - apart)) <= SAME_PERCENT and (not b.side or a.side in ("", b.side))


def _sort_key(label: Label) -> tuple[float, str]:
    return label.value, label.side
