"""The loss of a pair, and how good a network is on pairs that it does not learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses import diffusion, displacement_error, jacobian_penalty, lncc, masked_mean
from ..networks import ModelConfig, RegistrationNetwork, preprocess
from ..ops import jacobian_determinant, warp
from .config import LossWeights
from .source import Pair


def prepared(pair: Pair, model: ModelConfig, device: torch.device) -> dict[str, Tensor]:
    """A source's pair on the device, HU turned into what the network takes."""
    out = {
        "fixed": preprocess(pair["fixed"].to(device), model),
        "moving": preprocess(pair["moving"].to(device), model),
        "fixed_mask": pair["fixed_mask"].to(device),
    }
    if "displacement" in pair:
        out["displacement"] = pair["displacement"].to(device, torch.float32)
    return out


class Objective:
    """The loss of one pair, summed over the levels' outputs.

    Args:
        weights: of its parts.
        spacing_mm: of the working lattice.
    """

    def __init__(self, weights: LossWeights, spacing_mm: float) -> None:
        self.weights = weights
        self.spacing = (spacing_mm, spacing_mm, spacing_mm)

    def __call__(
        self, outputs: Sequence[Tensor], output_weights: Sequence[float], pair: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and the parts of the last output that counts, unweighted, all scalars.

        Args:
            outputs: total displacement after each level, (B, 3, D, H, W), voxels.
            output_weights: of each of them.
            pair: what :func:`prepared` made.
        """
        loss = outputs[-1].new_zeros(())
        parts: dict[str, Tensor] = {}
        for output, weight in zip(outputs, output_weights, strict=True):
            if weight > 0:
                parts = self._parts(output, pair)
                for name, value in parts.items():
                    loss = loss + weight * getattr(self.weights, name) * value
        return loss, {name: value.detach() for name, value in parts.items()}

    def _parts(self, output: Tensor, pair: dict[str, Tensor]) -> dict[str, Tensor]:
        weights, mask = self.weights, pair["fixed_mask"]
        parts = {}
        if weights.lncc > 0:
            warped = warp(pair["moving"], output)
            parts["lncc"] = 1 - lncc(pair["fixed"], warped, mask, weights.lncc_radius)
        if weights.diffusion > 0:
            # voxels per voxel of an isotropic lattice: no unit
            parts["diffusion"] = diffusion(output)
        if weights.jacobian > 0:
            parts["jacobian"] = jacobian_penalty(output)
        if weights.displacement > 0 and "displacement" in pair:
            truth = pair["displacement"]
            parts["displacement"] = displacement_error(output, truth, mask, self.spacing)
        return parts


@dataclass(frozen=True)
class Outcome:
    """Means over the validation pairs, over the fixed lungs.

    Attributes:
        lncc: of fixed and warped moving.
        folded: share of voxels with det J <= 0.
        error_mm: mean distance to the true displacement; None where no pair knows it.
        start_mm: mean length of the true displacement: the error of doing nothing.
    """

    lncc: float
    folded: float
    error_mm: float | None
    start_mm: float | None

    @property
    def score(self) -> float:
        """What should fall: the error, or 1 - LNCC where the truth is not known."""
        return self.error_mm if self.error_mm is not None else 1 - self.lncc


@torch.no_grad()
def evaluate(
    network: RegistrationNetwork,
    pairs: Iterable[Pair],
    levels: int | None = None,
    lncc_radius: int = 2,
) -> Outcome:
    """Run the network on each pair and take the means; see :class:`Outcome`.

    Raises:
        ValueError: there is no pair.
    """
    config = network.config
    spacing = (config.spacing_mm,) * 3
    device = next(network.parameters()).device
    lnccs, folds, errors, starts = [], [], [], []
    for source_pair in pairs:
        pair = prepared(source_pair, config, device)
        mask = pair["fixed_mask"]
        output = network(pair["fixed"], pair["moving"], levels=levels)[-1]
        lnccs.append(float(lncc(pair["fixed"], warp(pair["moving"], output), mask, lncc_radius)))
        determinant = jacobian_determinant(output, (1.0, 1.0, 1.0))
        folds.append(float(masked_mean((determinant <= 0).float(), mask)))
        if "displacement" in pair:
            truth = pair["displacement"]
            errors.append(float(displacement_error(output, truth, mask, spacing, smooth=0)))
            nothing = torch.zeros_like(truth)
            starts.append(float(displacement_error(nothing, truth, mask, spacing, smooth=0)))
    if not lnccs:
        raise ValueError("no pairs to evaluate on")
    error, start = (sum(v) / len(v) if v else None for v in (errors, starts))
    return Outcome(sum(lnccs) / len(lnccs), sum(folds) / len(folds), error, start)
