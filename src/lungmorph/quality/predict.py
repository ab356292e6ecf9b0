"""The predicted error of a registration as images on the fixed grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..space import Transform, Volume
from .error_features import error_features
from .error_network import ErrorNetwork, expected_mm, probability_over

#: mm; what ``error_over_2mm.nii.gz`` is about, and the second threshold of the report.
THRESHOLDS_MM = (2.0, 5.0)


@dataclass(frozen=True)
class PredictedError:
    """On the fixed grid, zero outside the lung.

    Attributes:
        mm: expected error.
        over: probability (0 to 1) that it is above each threshold, by the threshold in mm.
    """

    mm: Volume
    over: dict[float, Volume]


def predict_error(
    network: ErrorNetwork,
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    transform: Transform,
    backward: Transform,
    thresholds_mm: tuple[float, ...] = THRESHOLDS_MM,
) -> PredictedError:
    """How far wrong a transform probably is, everywhere in the lung.

    Args:
        network: see :func:`.error_weights.load_error_network`.
        fixed, moving: CT, HU.
        fixed_lungs: mask, any grid.
        transform: fixed to moving points, LPS mm, of any tool.
        backward: moving to fixed, from an independent registration of the swapped pair.
        thresholds_mm: for which probabilities are given.
    """
    features, _, grid = error_features(fixed, moving, fixed_lungs, transform, backward)
    mean, spread = network.predict(features)
    lungs = Volume(fixed_lungs.data > 0, fixed_lungs.grid)
    if not lungs.grid.same_as(fixed.grid):
        lungs = lungs.resample(fixed.grid)

    def on_fixed(values: torch.Tensor) -> Volume:
        fine = Volume(values, grid).resample(fixed.grid).data
        return Volume(torch.where(lungs.data, fine, torch.zeros_like(fine)), fixed.grid)

    return PredictedError(
        on_fixed(expected_mm(mean)),
        {t: on_fixed(probability_over(t, mean, spread)) for t in thresholds_mm},
    )
