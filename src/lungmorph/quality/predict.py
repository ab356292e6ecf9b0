"""The predicted error of a registration: everywhere in the lung, in mm and as probabilities, and where it is large."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..ops import box_mean
from ..registration.witnesses import Witnesses
from ..space import Grid, Transform, Volume
from ..space.sampling import world_points
from .airless import airless
from .error_features import CHANNELS, SPACING_MM, error_features
from .error_network import ErrorNetwork, expected_mm, probability_over

#: mm, for which probabilities are given; a place is doubted if its error is probably over the first.
THRESHOLDS_MM = (2.0, 5.0)
#: Local correlation (mean over :data:`AROUND_MM`) must be higher where a witness leads by more than this share of what it lacks
#: to 1 where the transform leads, for a doubted place to be called wrong. A registration follows the noise of the scans that
#: it was made from, and makes them more alike than the right one does: by up to 0.08 of it, as was seen on new pairs.
MORE_ALIKE = 0.08
#: It lacks this much at least: of scans that are nearly alike, small differences mean nothing.
LEAST_LACK = 0.125
AROUND_MM = 15.0
#: Smaller places are not told, mL.
LEAST_ML = 1.0


@dataclass(frozen=True)
class Place:
    """A connected part of the lung that is doubted.

    Attributes:
        at: a point of it, its deepest, LPS mm in the fixed scan.
        ml: its volume.
        mean_mm, max_mm: of the predicted error in it.
    """

    at: tuple[float, float, float]
    ml: float
    mean_mm: float
    max_mm: float

    @property
    def said(self) -> str:
        """Where it is, as people say it: each way with the letter towards which it lies."""
        ways = (("L", "R"), ("P", "A"), ("S", "I"))
        said = (f"{way[x < 0]} {abs(x):.0f}" for way, x in zip(ways, self.at, strict=True))
        return ", ".join(said) + " mm"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "at": [round(x, 1) for x in self.at],
            "ml": round(self.ml, 2),
            "mean_mm": round(self.mean_mm, 2),
            "max_mm": round(self.max_mm, 2),
        }


@dataclass(frozen=True)
class PredictedError:
    """A distribution of the error at every point of a lattice over the lungs.

    Attributes:
        mean, spread: of log(error + offset), (D, H, W), see :mod:`.error_network`.
        lungs: bool (D, H, W).
        shown: bool (D, H, W), what the transform carries to where the moving scan is: of the rest nothing can be said.
        between: bool (D, H, W), where both scans go on for a step of the lattice on all sides: nearer to its end, what a
            scan shows is its last slice again, and how alike the scans are there tells of that.
        airless: bool (D, H, W), where a part of the lung is without air in one scan, and beside it; see :mod:`.airless`.
        gain: (D, H, W), by how much more alike the scans are around where a witness leads, over what they lack where the
            transform does.
        grid: the lattice, along the world's axes.
    """

    mean: Tensor
    spread: Tensor
    lungs: Tensor
    shown: Tensor
    between: Tensor
    airless: Tensor
    gain: Tensor
    grid: Grid

    @cached_property
    def judged(self) -> Tensor:
        """Bool (D, H, W): the lungs, as far as the moving scan shows them (all of them where it shows nothing)."""
        both = self.lungs & self.shown
        return both if bool(both.any()) else self.lungs

    @property
    def mm(self) -> Volume:
        """The expected error, mm, on the lattice; means something in the lungs only."""
        return Volume(expected_mm(self.mean), self.grid)

    def over(self, threshold_mm: float) -> Volume:
        """Probability (0 to 1) that the error is above a threshold, on the lattice."""
        return Volume(probability_over(threshold_mm, self.mean, self.spread), self.grid)

    def within(self, values: Volume, lungs: Volume) -> Volume:
        """Values of the lattice on the grid of a lung mask, zero outside the lungs."""
        fine = values.resample(lungs.grid).data
        return Volume(torch.where(lungs.data > 0, fine, torch.zeros_like(fine)), lungs.grid)

    @cached_property
    def doubted(self) -> Tensor:
        """Bool (D, H, W): where the error is probably over the first threshold."""
        return (self.over(THRESHOLDS_MM[0]).data > 0.5) & self.judged

    @property
    def wrong(self) -> Volume:
        """Bool on the lattice: what is doubted, and the images can say so and do."""
        told = (self.gain > MORE_ALIKE) & self.between & ~self.airless
        return Volume(self.doubted & told, self.grid)

    @property
    def undecided(self) -> Volume:
        """Bool on the lattice: what is doubted though the images do not say so, or cannot: either may be wrong."""
        return Volume(self.doubted & ~self.wrong.data, self.grid)

    def ml_of(self, part: Volume) -> float:
        """Volume of a part of the lattice, mL."""
        return float(part.data.sum()) * self.grid.voxel_volume / 1e3

    @cached_property
    def places(self) -> list[Place]:
        """What is wrong, the largest first."""
        return self._places(self.wrong.data)

    @cached_property
    def undecided_places(self) -> list[Place]:
        """What is undecided, the largest first."""
        return self._places(self.undecided.data)

    def _places(self, where: Tensor) -> list[Place]:
        labels, _ = ndimage.label(where.numpy())
        error = self.mm.data.numpy()
        found = []
        for number, box in enumerate(ndimage.find_objects(labels), start=1):
            part = labels[box] == number
            ml = float(part.sum()) * self.grid.voxel_volume / 1e3
            if ml >= LEAST_ML:
                inside = error[box][part]
                place = self.grid.to_world(_deepest(part, box)[None])[0]
                x, y, z = (float(v) for v in place)
                found.append(Place((x, y, z), ml, float(inside.mean()), float(inside.max())))
        return sorted(found, key=lambda place: -place.ml)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """JSON-ready: figures over what is judged; ``over_2mm_percent`` is the registration-error index of the case.

        ``not_shown_percent`` is the share of the lungs that the moving scan does not show, ``undecided_percent`` the share of
        what is judged that the witnesses doubt and the images do not, ``airless_ml`` the lung in and beside parts without air.
        """
        error = self.mm.data[self.judged].numpy()
        hidden = (self.lungs & ~self.shown).sum() / self.lungs.sum()
        shares = {
            f"over_{threshold:g}mm_percent": 100
            * float(self.over(threshold).data[self.judged].mean())
            for threshold in THRESHOLDS_MM
        }
        return {
            "mean_mm": float(error.mean()),
            "median_mm": float(np.median(error)),
            "p95_mm": float(np.percentile(error, 95)),
            "max_mm": float(error.max()),
            **shares,
            "not_shown_percent": 100 * float(hidden),
            "undecided_percent": 100 * float(self.undecided.data.sum() / self.judged.sum()),
            "airless_ml": self.ml_of(Volume(self.airless & self.judged, self.grid)),
            "places": [place.as_dict() for place in self.places],
        }


def predict_error(
    network: ErrorNetwork,
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    moving_lungs: Volume,
    transform: Transform,
    witnesses: Witnesses,
) -> PredictedError:
    """How far wrong a transform probably is, everywhere in the lung.

    Args:
        network: see :func:`.error_weights.load_error_network`.
        fixed, moving: CT, HU.
        fixed_lungs, moving_lungs: masks, any grid.
        transform: fixed to moving points, LPS mm, of any tool.
        witnesses: by :func:`lungmorph.registration.witnesses.register_witnesses`; another's ways back may be coarser than
            those that the network knows.
    """
    features, lungs, grid = error_features(fixed, moving, fixed_lungs, transform, witnesses)
    start = world_points(grid)
    here = start.reshape(-1, 3).numpy()
    there = transform.map_points(start).reshape(-1, 3).numpy()
    shown = torch.from_numpy(moving.grid.contains(there)).reshape(lungs.shape)
    inside = _goes_on(fixed.grid, here) & _goes_on(moving.grid, there)
    between = torch.from_numpy(inside).reshape(lungs.shape)
    closed = airless(fixed, moving, fixed_lungs, moving_lungs, transform, witnesses.there, grid)
    return PredictedError(
        *network.predict(features), lungs, shown, between, closed, _gain(features), grid
    )


def _gain(features: Tensor) -> Tensor:
    """By how much more alike the scans are around where the better of both witnesses leads, over what they lack, (D, H, W)."""
    radius = round((AROUND_MM / SPACING_MM - 1) / 2)

    def alike(where: str) -> Tensor:
        return box_mean(features[None, [CHANNELS.index(f"likeness{where}, near")]], radius)[0, 0]

    own = alike("")
    best = torch.maximum(alike(" on the way back"), alike(" on the second way"))
    return (best - own) / (1 - own).clamp_min(LEAST_LACK)


def _deepest(part: NDArray[np.bool_], box: tuple[slice, ...]) -> NDArray[np.float64]:
    """Index (i, j, k) of the voxel of a part that is farthest from its edge."""
    depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1, 1:-1]
    k, j, i = np.unravel_index(int(depth.argmax()), part.shape)
    return np.array([i + box[2].start, j + box[1].start, k + box[0].start], np.float64)


def _goes_on(grid: Grid, points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which points (N, 3), LPS mm, lie a step of the lattice or more from the ends of a scan."""
    return grid.contains(points, 0.5 - SPACING_MM / np.asarray(grid.spacing))
