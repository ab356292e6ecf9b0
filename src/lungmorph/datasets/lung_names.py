"""Which regions of a structure set are the lungs, by the names in use."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LEFT = r"l|lt|le|left|li|links?|linke|gauche|g|izq|sin"
_RIGHT = r"r|rt|ri|right|re|rechts?|rechte|droit|d|der|dex"
_BOTH = r"both|total|all|whole|bilat|bilateral|lr|rl|l\+r|r\+l|bds|combined|sum|b"
_LUNG = r"lungs?|lunge|lungen|poumons?|pulmon(?:es)?|longen|long"
_SIDES = {
    "left": re.compile(rf"(?:{_LUNG}) ?(?:{_LEFT})|(?:{_LEFT}) ?(?:{_LUNG})"),
    "right": re.compile(rf"(?:{_LUNG}) ?(?:{_RIGHT})|(?:{_RIGHT}) ?(?:{_LUNG})"),
    "both": re.compile(
        rf"(?:{_LUNG})(?: (?:{_BOTH}))?|(?:{_BOTH}) ?(?:{_LUNG})|(?:{_LUNG})(?:total|both)"
    ),
}


def lung_side(name: str) -> str:
    """ "left", "right", "both", or empty for a region that is not a whole lung.

    "Lung_L", "LUNG LEFT", "LLung_c00" (4D-Lung writes the phase behind), "Lungs", "total lung"; but not
    "Lungs-GTV", "PTV lung" or "Lung tumor".
    """
    words = re.sub(r"_c\d{2,3}$", "", name.strip().lower())
    words = re.sub(r"[\s_.,-]+", " ", re.sub(r"[()]", " ", words)).strip()
    return next((side for side, known in _SIDES.items() if known.fullmatch(words)), "")


def lung_regions(names: Sequence[str]) -> tuple[list[str], str]:
    """The regions whose union is both lungs, and what is missing if there is none.

    Returns:
        Names, empty unless both sides are there; a remark, empty unless only one side is.
    """
    sides = {name: side for name in names if (side := lung_side(name))}
    if "both" in sides.values() or {"left", "right"} <= set(sides.values()):
        return list(sides), ""
    if sides:
        side, name = next((side, name) for name, side in sides.items())
        return [], f"only the {side} lung has contours ({name}): not taken as the lungs"
    return [], ""
