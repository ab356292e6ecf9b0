"""Checks after AAPM TG-132: each figure against its tolerance, a verdict, and why in a sentence.

What could not be computed never passes: the check says "not computed", and the whole is at best to be reviewed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .tolerances import Tolerance

PASS, REVIEW, FAIL, NOT_COMPUTED = "pass", "review", "fail", "not computed"
#: One of these must be there: an error that was measured, or one that was predicted.
ERRORS = ("landmark_error_mm", "predicted_error_mm")


@dataclass(frozen=True)
class Check:
    """One figure and what it means.

    Attributes:
        name: as in ``tolerances.yaml``.
        title: for people.
        value: None where it could not be computed.
        unit: of the value.
        limit: up to (or, for overlaps, from) which it passes here.
        verdict: pass, review, fail or not computed.
        why: one sentence.
        source: of the tolerance.
        at_least: whether more is better.
    """

    name: str
    title: str
    value: float | None
    unit: str
    limit: float
    verdict: str
    why: str
    source: str
    at_least: bool = False

    @property
    def found(self) -> str:
        """The value with its unit, for people; empty if there is none."""
        return "" if self.value is None else _text(self.value, self.limit) + _after(self.unit)

    @property
    def passes(self) -> str:
        """What passes, for people: "≤ 2 mm"."""
        return f"{'≥' if self.at_least else '≤'} {_text(self.limit)}{_after(self.unit)}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """Of all checks together: pass, review or fail, and the sentences that made it so."""

    verdict: str
    why: tuple[str, ...]
    checks: tuple[Check, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "verdict": self.verdict,
            "why": list(self.why),
            "checks": [check.as_dict() for check in self.checks],
        }


def check_all(
    figures: Mapping[str, float | None],
    reasons: Mapping[str, str],
    tolerances: Mapping[str, Tolerance],
    voxel_mm: float,
) -> Verdict:
    """Every figure against its tolerance.

    Args:
        figures: by the names of the tolerances; one that is missing or None was not computed.
        reasons: more to say of a figure: where it was found, or why it could not be computed.
        tolerances: see :func:`.tolerances.load_tolerances`.
        voxel_mm: longest voxel edge of the coarser scan.
    """
    checks = tuple(
        _check(name, figures.get(name), reasons.get(name, ""), tolerance, voxel_mm)
        for name, tolerance in tolerances.items()
    )
    verdicts = {check.name: check.verdict for check in checks}
    bad = [check for check in checks if check.verdict in (FAIL, REVIEW)]
    missing = [
        check
        for check in checks
        if check.verdict == NOT_COMPUTED and tolerances[check.name].required
    ]
    why = [check.why for check in sorted(bad, key=lambda check: check.verdict != FAIL)]
    why += [check.why for check in missing]
    if all(verdicts.get(name, NOT_COMPUTED) == NOT_COMPUTED for name in ERRORS):
        why.append("The error is not known: there are no landmarks, and none was predicted.")
    whole = FAIL if FAIL in verdicts.values() else REVIEW if why else PASS
    return Verdict(whole, tuple(why), checks)


def _check(
    name: str, value: float | None, reason: str, tolerance: Tolerance, voxel_mm: float
) -> Check:
    limit = tolerance.limit(voxel_mm)
    title = tolerance.title[0].upper() + tolerance.title[1:]
    if value is None:
        verdict = NOT_COMPUTED
        why = f"{title}: not computed" + (f", {reason}." if reason else ".")
    else:
        verdict = tolerance.verdict(value, voxel_mm)
        unit = _after(tolerance.unit)
        side = "at least" if tolerance.at_least else "at most"
        where = f" ({reason})" if reason else ""
        why = f"{title}: {_text(value, limit, tolerance.review)}{unit}{where}; {side} {_text(limit)}{unit} passes"
        if verdict != PASS:
            last = tolerance.review
            reviewed = "all else" if last is None else f"{side} {_text(last)}{unit}"
            why += f", {reviewed} is to be reviewed"
        why += "."
    return Check(
        name,
        title,
        value,
        tolerance.unit,
        limit,
        verdict,
        why,
        tolerance.source,
        tolerance.at_least,
    )


def _after(unit: str) -> str:
    return f" {unit}" if unit else ""


def _text(value: float, *limits: float | None) -> str:
    """Four digits, or as many as it takes not to round a value onto a limit that it is beyond."""
    digits = 4
    while digits < 17 and any(
        limit is not None and value != limit and float(f"{value:.{digits}g}") == limit
        for limit in limits
    ):
        digits += 1
    return f"{value:.{digits}g}"
