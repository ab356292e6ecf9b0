"""What the name of a scan says: which side of which kind of pair it is, or which breathing phase."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .phases import phase_name

BREATHING = "exhale/inhale"
#: Words for the fixed and for the moving scan of a pair, by the kind of pair.
PAIRS = {
    "fixed/moving": (("fixed",), ("moving",)),
    BREATHING: (
        ("exhale", "exhalation", "expiration", "expiratory", "exp", "exh"),
        ("inhale", "inhalation", "inspiration", "inspiratory", "insp", "inh"),
    ),
    "baseline/followup": (("baseline",), ("followup",)),
}
_SIDES = {
    word: (kind, side)
    for kind, pair in PAIRS.items()
    for side, words in enumerate(pair)
    for word in words
}
_PHASE = re.compile(r"t(\d\d)|(\d\d?)(?:%|pct)")
_MASK = re.compile(
    r"[_\-. ](?:(?:lungs?[_\-. ]?)?(?:mask|seg|segmentation)|lungs?[_\-. ]?labels?|lungs)$",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[_\-. ](?:labels?|label[_\-. ]?map)$", re.IGNORECASE)


@dataclass(frozen=True)
class ScanName:
    """A name taken apart.

    Attributes:
        rest: what is left without the words, lower or upper case as it was.
        scan: the words, or the phase.
        sides: (kind of pair, 0 fixed or 1 moving) for every such word.
        percent: breathing phase, if it has one.
    """

    rest: str
    scan: str
    sides: tuple[tuple[str, int], ...]
    percent: float | None


def taken_apart(stem: str) -> ScanName:
    """Find the telling words in the name of a file without its suffix."""
    text = re.sub(r"follow[_\-. ]up", "followup", stem, flags=re.IGNORECASE)
    rest, said, sides, percents = [], [], [], []
    for token in re.split(r"[_\-. ]+", text):
        word = token.lower()
        phase = _PHASE.fullmatch(word)
        if phase:
            percents.append(float(phase[1] or phase[2]))
        elif word in _SIDES:
            said.append(word)
            sides.append(_SIDES[word])
        elif token:
            rest.append(token)
    percent = percents[0] if len(percents) == 1 else None
    if percent is not None:  # beside a phase, exhale and inhale say nothing new
        said = [word for word in said if _SIDES[word][0] != BREATHING] + [phase_name(percent)]
    return ScanName("_".join(rest), "_".join(said), tuple(sides), percent)


def without_mask(stem: str) -> str | None:
    """The name of the image that a mask belongs to ("T00" for "T00_lungmask"); None for no mask."""
    return _without(_MASK, stem)


def without_label(stem: str) -> str | None:
    """The name of the image that labels belong to ("T00" for "T00_label"); None for no labels."""
    return _without(_LABEL, stem)


def _without(ending: re.Pattern[str], stem: str) -> str | None:
    match = ending.search(stem)
    return stem[: match.start()] if match else None
