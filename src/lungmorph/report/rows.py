"""The figures of the page, as texts: the cards on top and the rows of its tables."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from ..quality.checks import Check
from ..quality.predict import THRESHOLDS_MM, Place
from ..space.grid import Float
from .contents import Report


def cards(report: Report) -> list[tuple[str, str, str]]:
    """Title, value and note of the key figures, the error first."""
    figures = report.assessment.figures
    overlap, folding = figures["overlap"], figures["folding"]
    made = []
    if marks := figures["landmarks"]:
        before, after = (marks[when]["continuous"] for when in ("before", "after"))
        note = f"{before['mean']:.2f} mm before, {marks['count']} landmarks"
        made.append(("landmark error", f"{after['mean']:.2f} mm", note))
    if predicted := report.assessment.predicted:
        told = predicted.summary
        note = f"95 % of the lung below {told['p95_mm']:.1f} mm"
        made.append(("predicted error", f"{told['mean_mm']:.2f} mm", note))
        made.append(_places_card(predicted.places, undecided_ml(report)))
    made += [(title, value, note) for title, value, note in report.cards]
    made.append(
        (
            "lung overlap (Dice)",
            f"{overlap['dice_after']:.3f}",
            f"{overlap['dice_before']:.3f} before",
        )
    )
    if overlap["surface_mean_mm"] is not None:
        note = f"95 % within {overlap['surface_p95_mm']:.1f} mm"
        made.append(("lung surfaces apart", f"{overlap['surface_mean_mm']:.2f} mm", note))
    least = f"Jacobian {_number(folding['min'])} to {_number(folding['max'])}"
    made.append(("folded", f"{folding['percent']:.3g} %", least))
    consistency = figures["inverse_consistency_mm"]
    if consistency and consistency["mean"] is not None:
        note = f"95 % within {consistency['p95']:.2f} mm"
        made.append(("there and back", f"{consistency['mean']:.2f} mm", note))
    length = figures["displacement_mm"]
    made.append(("displacement", f"{length['mean']:.1f} mm", f"at most {length['max']:.1f} mm"))
    return made


def _number(value: float | None) -> str:
    """A figure that may not exist, where displacements are beyond all measure."""
    return "?" if value is None else f"{value:.2f}"


def _places_card(places: Sequence[Place], undecided: str) -> tuple[str, str, str]:
    """How many places are wrong, and the largest."""
    unclear = f"{undecided} mL are undecided" if undecided else ""
    if not places:
        note = unclear or f"no error over {THRESHOLDS_MM[0]:g} mm is probable"
        return "places to look at", "none", note
    more = f"; {unclear}" if unclear else ""
    return "places to look at", str(len(places)), f"the largest has {places[0].ml:.0f} mL{more}"


def undecided_ml(report: Report) -> str:
    """Volume that is doubted though the images do not tell; empty if it is too little to speak of."""
    predicted = report.assessment.predicted
    ml = predicted.ml_of(predicted.undecided) if predicted else 0.0
    return f"{ml:.0f}" if ml >= 1 else ""


def airless_ml(report: Report) -> str:
    """Volume of the lung in and beside parts without air; empty if it is too little to speak of."""
    predicted = report.assessment.predicted
    ml = predicted.summary["airless_ml"] if predicted else 0.0
    return f"{ml:.0f}" if ml >= 1 else ""


def place_rows(report: Report) -> list[dict[str, str]]:
    """The largest first."""
    predicted = report.assessment.predicted
    return [
        {
            "place": place.said,
            "ml": f"{place.ml:.1f}",
            "mean": f"{place.mean_mm:.1f}",
            "max": f"{place.max_mm:.1f}",
            "at": json.dumps([round(x, 2) for x in place.at]),
        }
        for place in (predicted.places if predicted else [])
    ]


def check_row(check: Check) -> dict[str, str]:
    """One check."""
    return {
        "title": check.title,
        "found": check.found,
        "passes": check.passes,
        "verdict": check.verdict,
        "source": check.source,
    }


def landmark_rows(report: Report) -> list[dict[str, str]]:
    """The worst first."""
    if report.landmarks is None:
        return []
    fixed, moving = (marks.points for marks in report.landmarks)
    before = np.linalg.norm(fixed - moving, axis=1)
    after = np.linalg.norm(report.transform.apply(fixed) - moving, axis=1)
    return [
        {
            "number": str(n + 1),
            "fixed": _point(fixed[n]),
            "moving": _point(moving[n]),
            "before": f"{before[n]:.2f}",
            "after": f"{after[n]:.2f}",
            "at": json.dumps(np.round(fixed[n], 2).tolist()),
        }
        for n in np.argsort(-after)
    ]


def _point(place: Float) -> str:
    return ", ".join(f"{value:.1f}" for value in place)


def region_heads(report: Report) -> list[str]:
    """Of the table of parts of the lung."""
    predicted = ["predicted error, mm"] if report.assessment.predicted else []
    return [
        "part", "fixed, mL", "moving, mL", "volume, %", "air, %", "mass, %", "Jacobian, 1 to 99 %", "folded voxels",
        *predicted,
    ]  # fmt: skip


def region_rows(report: Report) -> list[list[str]]:
    """A row a part, in the order of the assessment."""
    found = report.assessment
    rows = []
    for name, row in found.ventilation.items():
        changes = (row.volume_change_percent, row.air_change_percent, row.mass_change_percent)
        cells = [name, f"{row.fixed_ml:.0f}", f"{row.moving_ml:.0f}"]
        cells += ["" if change is None else f"{change:+.0f}" for change in changes]
        region = found.regions.get(name)
        cells += (
            [f"{region['p1']:.2f} to {region['p99']:.2f}", str(region["voxels"])]
            if region
            else ["", ""]
        )
        if report.assessment.predicted:
            told = region and region["predicted_mm"]
            cells.append(f"{told['mean']:.1f}" if told else "")
        rows.append(cells)
    return rows
