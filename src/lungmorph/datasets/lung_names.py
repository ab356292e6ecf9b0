"""Which regions of a structure set are the lungs, by the names in use."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LEFT = r"l|lt|le|left|li|links?|linke|gauche|g|izq|sin"
_RIGHT = r"r|rt|ri|right|re|rechts?|rechte|droit|d|der|dex"
_BOTH = r"both|total|all|whole|bilat|bilateral|lr|rl|l\+r|r\+l|bds|combined|sum|b"
_LUNG = r"lungs?|lunge|lungen|poumons?|pulmon(?:es)?|longen|long"
_LIKE = re.compile(rf"(?<![a-z])[lrz]?(?:{_LUNG})(?![a-z])", re.IGNORECASE)
_SIDES = {
    "left": re.compile(rf"(?:{_LUNG}) ?(?:{_LEFT})|(?:{_LEFT}) ?(?:{_LUNG})"),
    "right": re.compile(rf"(?:{_LUNG}) ?(?:{_RIGHT})|(?:{_RIGHT}) ?(?:{_LUNG})"),
    "both": re.compile(
        rf"(?:{_LUNG})(?: (?:{_BOTH}))?|(?:{_BOTH}) ?(?:{_LUNG})|(?:{_LUNG})(?:total|both)"
    ),
}


#: A phase behind a name: "_c00", "_50", " 50%", " T50".
_PHASE = re.compile(
    r"[\s_^-]+(?:c|ct|t|ph|phase)?[\s_=]*(?:(\d{2,3})\s*%?|(\d)\s*%)$", re.IGNORECASE
)


def lung_side(name: str) -> str:
    """ "left", "right", "both", or empty for a region that is not a whole lung.

    "Lung_L", "LUNG LEFT", "LLung_c00" (4D-Lung writes the phase behind), "Lungs 50%", "total lung"; but
    not "Lungs-GTV", "PTV lung" or "Lung tumor".
    """
    words = _PHASE.sub("", name.strip().lower())
    words = re.sub(r"[\s_.,-]+", " ", re.sub(r"[()]", " ", words)).strip()
    return next((side for side, known in _SIDES.items() if known.fullmatch(words)), "")


def lung_regions(names: Sequence[str], percent: float | None = None) -> tuple[list[str], str]:
    """The regions whose union is both lungs, and what is missing if there is none.

    Args:
        names: of the regions drawn on one phase.
        percent: of that phase, where it is known; regions that name another one are not taken.

    Returns:
        Names, empty unless both sides are there; a remark where something is called a lung all the same.
    """
    sides = {name: side for name in names if (side := lung_side(name)) and _is_of(name, percent)}
    if "both" in sides.values() or {"left", "right"} <= set(sides.values()):
        return list(sides), ""
    if sides:
        side, name = next((side, name) for name, side in sides.items())
        return [], f"only the {side} lung has contours ({name}): not taken as the lungs"
    if alike := [name for name in names if _LIKE.search(name)]:
        return [], f"no region that is both lungs of this phase by its name ({', '.join(alike)})"
    return [], ""


def _is_of(name: str, percent: float | None) -> bool:
    said = _PHASE.search(name.strip())
    return percent is None or said is None or float(said[1] or said[2]) % 100 == percent
