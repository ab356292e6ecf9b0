"""Which regions of a structure set are the lungs, by the names in use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

#: As names are compared: in lower case and without accents. English, German, Dutch, Scandinavian; then the
#: Romance languages with Latin; of others whole names below.
_LEFT = (
    r"l|lt|le|left|li|links?|linke|vanster|va|venstre|ve"
    r"|gauche|g|izq|izquierdo|sin|sinistr[aoe]|sx|esq|esquerdo"
)
_RIGHT = (
    r"r|rt|ri|right|re|rechts?|rechte|hoger|ho|hojre|hoyre"
    r"|droit|d|der|derecho|dex|dexter|dextra|destr[ao]|dx|dir|direito"
)
_BOTH = (
    r"both|total|all|whole|bilat\w*|lr|rl|l\+r|r\+l|bds|combined|sum|b"
    r"|ges|gesamt|beide|tot|totale?s?|entrambi|ambos|deux"
)
_LUNG = (
    r"lungs?|lunge|lungen|lungene|lungenflugel|lunga|lungor|lungorna|longen|long"
    r"|poumons?|pulmon(?:es)?|polmon[ei]|pulmao|pulmoes|pulmo"
)
#: Languages whose words for the sides are too short, or mean another side elsewhere.
_WHOLE_NAMES = {
    "left": r"左肺|левое легкое|легкое лев(?:ое)?|pluco (?:l|lewe)|leve plic[ei]|pulmao e",
    "right": r"右肺|правое легкое|легкое прав(?:ое)?|pluco (?:p|prawe)|prave plic[ei]",
    "both": r"(?:全|双|雙|両|兩)?肺|легкие|оба легких|pluca|plice",
}
_LIKE = re.compile(rf"(?<![a-z])[lrz]?(?:{_LUNG})(?![a-z])|肺|легк|pluc[oa]|plic[ei]")
_SIDES = {
    "left": re.compile(
        rf"(?:{_LUNG}) ?(?:{_LEFT})|(?:{_LEFT}) ?(?:{_LUNG})|{_WHOLE_NAMES['left']}"
    ),
    "right": re.compile(
        rf"(?:{_LUNG}) ?(?:{_RIGHT})|(?:{_RIGHT}) ?(?:{_LUNG})|{_WHOLE_NAMES['right']}"
    ),
    "both": re.compile(
        rf"(?:{_LUNG})(?: (?:{_BOTH}))?|(?:{_BOTH}) ?(?:{_LUNG})|(?:{_LUNG})(?:total|both)"
        rf"|{_WHOLE_NAMES['both']}"
    ),
}

#: Letters with a stroke have no accent that could be taken off.
_STROKES = str.maketrans("łøđ", "lod")
#: A phase behind a name: "_c00", "_50", " 50%", " T50".
_PHASE = re.compile(
    r"[\s_^-]+(?:c|ct|t|ph|phase)?[\s_=]*(?:(\d{2,3})\s*%?|(\d)\s*%)$", re.IGNORECASE
)


def lung_side(name: str) -> str:
    """ "left", "right", "both", or empty for a region that is not a whole lung.

    "Lung_L", "LUNG LEFT", "LLung_c00" (4D-Lung writes the phase behind), "Lungs 50%", "total lung",
    "Pulmón izq"; but not "Lungs-GTV", "PTV lung" or "Lung tumor".
    """
    words = _PHASE.sub("", _plain(name))
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
    if alike := [name for name in names if _LIKE.search(_plain(name))]:
        return [], f"no region that is both lungs of this phase by its name ({', '.join(alike)})"
    return [], ""


def _plain(name: str) -> str:
    """In lower case, and without what stands over, under or through a letter."""
    parts = unicodedata.normalize("NFKD", name.strip().lower())
    bare = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return bare.translate(_STROKES)


def _is_of(name: str, percent: float | None) -> bool:
    said = _PHASE.search(name.strip())
    return percent is None or said is None or float(said[1] or said[2]) % 100 == percent
