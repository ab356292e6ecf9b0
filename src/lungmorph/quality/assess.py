"""One registration looked at from all sides: figures, regions, checks, verdict. Whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..evaluation.judge import judge
from ..measures import folding, lung_extent
from ..plain_json import numbers_only
from ..space import Affine, Grid, Landmarks, Transform, Volume
from .checks import FAIL, Verdict, check_all
from .misread import better_landmarks, better_reading
from .predict import PredictedError
from .regions import lung_regions
from .tolerances import Tolerance, load_tolerances
from .ventilation import RegionVentilation, air_change, regional

#: So much of the lung, percent, both transforms have to know for a mean of there and back to pass for that of the lung.
LEAST_COUNTED = 95.0


@dataclass(frozen=True)
class Assessment:
    """What was found.

    Attributes:
        verdict: of the checks.
        figures: as :func:`lungmorph.evaluation.judge.judge` gives them.
        regions: by name: folding and determinants of each part of the lung, predicted error if there is one.
        ventilation: by name of the region, and "all"; for research.
        lungs: bool, on the part of the fixed grid that shows the lungs of both scans.
        jacobian: det of the mapping there.
        air_change: there, mL of air that each mL of the fixed lung gains; for research.
        predicted: the predicted error, if there is one.
        judged: what was judged, and by what: names of files, version.
    """

    verdict: Verdict
    figures: dict[str, Any]
    regions: dict[str, dict[str, Any]]
    ventilation: dict[str, RegionVentilation]
    lungs: Volume
    jacobian: Volume
    air_change: Volume
    predicted: PredictedError | None = None
    judged: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: what ``quality.json`` holds."""
        found: dict[str, Any] = numbers_only(
            {
                **self.verdict.as_dict(),
                "judged": dict(self.judged),
                "figures": self.figures,
                "predicted": self.predicted.summary if self.predicted else None,
                "regions": self.regions,
                "ventilation": {name: row.as_dict() for name, row in self.ventilation.items()},
            }
        )
        return found


def assess(
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    moving_lungs: Volume,
    transform: Transform,
    *,
    landmarks: tuple[Landmarks, Landmarks] | None = None,
    backward: Transform | None = None,
    backward_is: str = "",
    predicted: PredictedError | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    judged: Mapping[str, str] | None = None,
) -> Assessment:
    """All figures of a registration, and what they mean.

    Args:
        fixed, moving: CTs, HU, any geometry.
        fixed_lungs, moving_lungs: masks, on any grids.
        transform: fixed to moving points, LPS mm.
        landmarks: (fixed, moving), LPS mm.
        backward: moving to fixed, from a registration of the swapped pair.
        backward_is: whose it is, for people.
        predicted: see :func:`.predict.predict_error`.
        tolerances: see :func:`.tolerances.load_tolerances`.
        judged: to be kept with what is found.

    Raises:
        InputError: no lung in a mask, or displacements that are no numbers.
    """
    # beyond them nothing is asked
    ways = transform, Affine.identity()
    fixed = fixed.crop_to(lung_extent(fixed.grid, fixed_lungs, moving_lungs, ways))
    figures = judge(
        fixed,
        moving,
        fixed_lungs,
        moving_lungs,
        transform,
        landmarks=landmarks,
        backward=backward,
        whole_image=False,
    )
    grid = fixed.grid
    lungs = fixed_lungs if fixed_lungs.grid.same_as(grid) else fixed_lungs.resample(grid)
    lungs = Volume(lungs.data > 0, grid)
    parts = lung_regions(lungs)
    mapping = transform.displacement_on(grid)
    jacobian = mapping.jacobian()
    # of the air in what the moving scan does not show nothing is known
    warped = mapping.warp(moving, grid, fill=torch.nan).data
    error = _judged_error(predicted, grid) if predicted else None
    regions = {name: _region(part, jacobian, error) for name, part in parts.items()}
    checked = tolerances or load_tolerances()
    values, reasons = _values(figures, regions, predicted)
    voxel = max(max(fixed.grid.spacing), max(moving.grid.spacing))
    limit = checked["inverse_consistency_mm"].limit(voxel)
    values["inverse_consistency_mm"], reasons["inverse_consistency_mm"] = _consistency(
        figures["inverse_consistency_mm"], backward_is, limit
    )
    off = values["landmark_error_mm"]
    if landmarks and off is not None and off > checked["landmark_error_mm"].limit(voxel):
        reasons["landmark_error_mm"] = better_landmarks(transform, landmarks, off) or ""
    verdict = check_all(values, reasons, checked, voxel)
    if verdict.verdict == FAIL and (
        reading := better_reading(fixed, moving, fixed_lungs, transform)
    ):
        verdict = replace(verdict, why=(*verdict.why, reading.said))
    return Assessment(
        verdict=verdict,
        figures=figures,
        regions=regions,
        ventilation=regional(fixed.data, warped, jacobian, parts),
        lungs=lungs,
        jacobian=jacobian,
        air_change=air_change(fixed.data, warped, jacobian, lungs.data),
        predicted=predicted,
        judged=judged or {},
    )


def _judged_error(predicted: PredictedError, grid: Grid) -> NDArray[np.float32]:
    """The predicted error on a grid, mm; NaN where nothing can be said."""
    judged = Volume(predicted.judged, predicted.grid).resample(grid).data
    error = predicted.mm.resample(grid).data
    return torch.where(judged, error, torch.nan).numpy()


def _region(
    part: NDArray[np.bool_],
    jacobian: Volume,
    error: NDArray[np.float32] | None,
) -> dict[str, Any]:
    inside = torch.from_numpy(part)
    low, high = np.percentile(jacobian.data[inside].numpy(), (1, 99))
    found = asdict(folding(jacobian.data, inside))
    found |= {
        "p1": float(low),
        "p99": float(high),
        "ml": part.sum() * jacobian.grid.voxel_volume / 1e3,
    }
    if error is not None:
        known = error[part & np.isfinite(error)]
        found["predicted_mm"] = (
            {"mean": float(known.mean()), "p95": float(np.percentile(known, 95))}
            if len(known)
            else None
        )
    return found


def _values(
    figures: dict[str, Any],
    regions: dict[str, dict[str, Any]],
    predicted: PredictedError | None,
) -> tuple[dict[str, float | None], dict[str, str]]:
    """The checked figures by name, and what there is to say about them."""
    marks = figures["landmarks"]
    after = marks["after"]["continuous"] if marks else {}
    told = predicted.summary if predicted else None
    places = told["places"] if told else []
    lowest = min(regions, key=lambda name: regions[name]["p1"])
    highest = max(regions, key=lambda name: regions[name]["p99"])
    values = {
        "landmark_error_mm": after.get("mean"),
        "landmark_p95_mm": after.get("p95"),
        "predicted_error_mm": told["p95_mm"] if told else None,
        "wrong_place_ml": max((place["ml"] for place in places), default=0.0) if told else None,
        "surface_mm": figures["overlap"]["surface_mean_mm"],
        "dice": figures["overlap"]["dice_after"],
        "folded_percent": figures["folding"]["percent"],
        "jacobian_low": regions[lowest]["p1"],
        "jacobian_high": regions[highest]["p99"],
        "undecided_percent": told["undecided_percent"] if told else None,
        "not_shown_percent": told["not_shown_percent"] if told else None,
        "outside_percent": figures["folding"]["outside_field_percent"],
    }
    reasons = {"jacobian_low": lowest, "jacobian_high": highest}
    if not marks:
        reasons["landmark_error_mm"] = reasons["landmark_p95_mm"] = "no landmarks were given"
    if predicted is None:
        for name in (
            "predicted_error_mm",
            "wrong_place_ml",
            "undecided_percent",
            "not_shown_percent",
        ):
            reasons[name] = "it was not asked for"
    if predicted and places:
        more = f", and {len(places) - 1} more" if len(places) > 1 else ""
        reasons["wrong_place_ml"] = f"at {predicted.places[0].said}{more}"
    if told and told["airless_ml"]:
        reasons["undecided_percent"] = (
            f"{told['airless_ml']:.0f} mL lie in and beside lung without air in one scan"
        )
    if figures["overlap"]["surface_mean_mm"] is None:
        reasons["surface_mm"] = "the warped mask is empty"
    folded = {name: row["voxels"] for name, row in regions.items() if row["voxels"]}
    if folded:
        reasons["folded_percent"] = ", ".join(
            f"{count} in {name}" for name, count in folded.items()
        )
    return values, reasons


def _consistency(
    found: dict[str, Any] | None, backward_is: str, limit: float
) -> tuple[float | None, str]:
    """The mean of there and back, and what there is to say of it; None if it would pass for lung that it does not know."""
    if found is None:
        return None, "there is no registration of the swapped pair"
    mean, counted = found["mean"], found["counted_percent"]
    if mean is None:
        return None, "no place of the lung stays inside both transforms"
    if counted >= LEAST_COUNTED:
        return mean, backward_is
    part = f"only {counted:.0f} % of the lung stays inside both transforms"
    return (None, f"{part}, by {mean:.2g} mm") if mean <= limit else (mean, part)
