"""Breathing phases: their numbers, names, and the pair that is registered when nothing is said."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import InputError

EXHALE, INHALE = 50.0, 0.0


def percent_of(text: str, where: object) -> float:
    """A breathing phase from "50", "50%" or "T50".

    Raises:
        InputError: another text, or a number outside 0 to below 100.
    """
    match = re.fullmatch(r"t?\s*(\d+(?:\.\d+)?)\s*%?", text.strip().lower())
    if match is None or float(match[1]) >= 100:
        raise InputError(where, expected="a phase in percent, 0 to below 100", found=repr(text))
    return float(match[1])


def phase_name(percent: float) -> str:
    """The usual name of a phase: T00, T50."""
    return f"T{percent:02.0f}" if percent == round(percent) else f"T{percent:g}"


def inhale_and_exhale(percents: Mapping[str, float | None]) -> tuple[str, str] | None:
    """Of scans by name, those at 0 % (end of inhale) and 50 % (end of exhale), if both are there.

    In this order, fixed and moving, 4D CTs are registered here, as DIR-Lab's mostly are elsewhere.
    """
    named = {percent: name for name, percent in percents.items()}
    if INHALE in named and EXHALE in named:
        return named[INHALE], named[EXHALE]
    return None
