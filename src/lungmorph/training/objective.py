"""The loss of a pair."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..losses import (
    bending_energy,
    diffusion,
    displacement_error,
    forward_backward,
    isotropic_tv,
    jacobian_penalty,
    landmark_distance,
    lncc,
    mass_preserving_difference,
    mind_ssc_difference,
)
from ..networks import ModelConfig, preprocess
from ..networks.blocks import averaged
from ..ops import jacobian_determinant, warp
from .lattice import averaged_pair
from .source import Pair
from .stage_config import LossWeights

#: The parts of the loss, in the order of the log.
PARTS = (
    "lncc", "mind", "mass", "diffusion", "bending", "tv", "jacobian", "displacement", "landmarks",
    "forward_backward",
)  # fmt: skip


def prepared(pair: Pair, model: ModelConfig, device: torch.device) -> dict[str, Tensor]:
    """A source's pair on the device, HU turned into what the network takes."""
    out = {
        "fixed": preprocess(pair["fixed"].to(device), model),
        "moving": preprocess(pair["moving"].to(device), model),
        "fixed_mask": pair["fixed_mask"].to(device),
    }
    for name in ("displacement", "fixed_points", "moving_points", "to_moving", "stretch"):
        if name in pair:
            out[name] = pair[name].to(device, torch.float32)
    return out


class Objective:
    """The loss of one pair, summed over the levels' outputs.

    Args:
        weights: of its parts.
        model: the network's config.
        reduced: voxels of the working lattice to one of the pairs' lattice.
        at_level: compute the loss of each output on the lattice on which its level computes the
            field; otherwise on that of the pair.
    """

    def __init__(
        self, weights: LossWeights, model: ModelConfig, reduced: int = 1, at_level: bool = False
    ) -> None:
        self.weights, self.model = weights, model
        self.reduced, self.at_level = reduced, at_level

    @property
    def both_ways(self) -> bool:
        """Whether it needs the network's answer from moving to fixed as well."""
        return self.weights.forward_backward > 0

    def __call__(
        self,
        outputs: Sequence[Tensor],
        output_weights: Sequence[float],
        pair: dict[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and the parts of the last output that counts, unweighted, all scalars.

        Args:
            outputs: total displacement after each level, voxels of its lattice: (B, 3, D, H, W) on the
                pair's lattice or averaged in blocks; with :attr:`both_ways` (2 B, 3, D, H, W), fixed
                to moving and then moving to fixed.
            output_weights: of each of them.
            pair: what :func:`prepared` made.
        """
        # 0, but with a gradient: a pair that knows nothing of what is asked for changes nothing
        loss = 0 * outputs[-1].sum()
        parts: dict[str, Tensor] = {}
        for level, (output, weight) in enumerate(zip(outputs, output_weights, strict=True)):
            if weight > 0:
                parts = self._parts(level, output, pair)
                for name, value in parts.items():
                    loss = loss + weight * getattr(self.weights, name) * value
        return loss, {name: value.detach() for name, value in parts.items()}

    def _parts(self, level: int, output: Tensor, pair: dict[str, Tensor]) -> dict[str, Tensor]:
        factor = _factor(pair["fixed"].shape[2:], output.shape[2:])
        if self.at_level:
            wanted = max(self.model.field_factor(level) // self.reduced, factor)
            output = averaged(output, wanted // factor) * (factor / wanted)
            factor = wanted
        pair = averaged_pair(pair, factor)
        side = self.model.spacing_mm * self.reduced * factor
        spacing = (side, side, side)
        weights, mask = self.weights, pair["fixed_mask"]
        both, output = output, output[: len(mask)]
        parts = self._similarity(output, pair)
        if weights.diffusion > 0:
            # voxels per voxel of an isotropic lattice: no unit
            parts["diffusion"] = diffusion(output)
        if weights.bending > 0:
            parts["bending"] = bending_energy(output * side, None, spacing)
        if weights.tv > 0:
            parts["tv"] = isotropic_tv(output)
        if weights.jacobian > 0:
            parts["jacobian"] = jacobian_penalty(output)
        if weights.displacement > 0 and "displacement" in pair:
            parts["displacement"] = displacement_error(output, pair["displacement"], mask, spacing)
        if weights.landmarks > 0 and len(pair.get("fixed_points", ())) > 0:
            points = pair["fixed_points"], pair["moving_points"]
            parts["landmarks"] = landmark_distance(output, *points, spacing).mean()
        if self.both_ways:
            parts["forward_backward"] = forward_backward(output, both[len(mask) :], mask, spacing)
        return parts

    def _similarity(self, output: Tensor, pair: dict[str, Tensor]) -> dict[str, Tensor]:
        weights, mask, fixed = self.weights, pair["fixed_mask"], pair["fixed"]
        parts: dict[str, Tensor] = {}
        if not any((weights.lncc, weights.mind, weights.mass)):
            return parts
        warped = warp(pair["moving"], output)
        if weights.lncc > 0:
            parts["lncc"] = 1 - lncc(fixed, warped, mask, weights.lncc_radius)
        if weights.mind > 0:
            parts["mind"] = mind_ssc_difference(fixed, warped, mask)
        if weights.mass > 0:
            determinant = jacobian_determinant(output, (1.0, 1.0, 1.0))
            # the moving image is seen through its pre-alignment: what that grew has lost no mass
            determinant = determinant * pair.get("stretch", 1.0)
            hu = [self._hu(image) for image in (fixed, warped)]
            parts["mass"] = mass_preserving_difference(hu[0], hu[1], determinant, mask)
        return parts

    def _hu(self, image: Tensor) -> Tensor:
        low, high = self.model.window_hu
        return image * (high - low) + low


def _factor(fine: Sequence[int], coarse: Sequence[int]) -> int:
    """Voxels of a lattice to one of another that is made of whole blocks of it, a power of two a side."""
    return next(f for f in (2**n for n in range(5)) if [n // f for n in fine] == list(coarse))
