"""Local correlation of two feature maps: which shift makes them alike, place by place."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def correlation_volume(fixed: Tensor, moving: Tensor, radius: int) -> Tensor:
    """Mean over the channels of fixed(p) * moving(p + d), for every shift d of the cube.

    Args:
        fixed, moving: (B, C, D, H, W).
        radius: the cube holds (2 * radius + 1)**3 shifts, whole voxels; beyond the border the
            nearest voxel is repeated.

    Returns:
        (B, (2 * radius + 1)**3, D, H, W), shifts in the order of :func:`shifts` (Dosovitskiy et al. 2015).
    """
    wide = F.pad(moving, [radius] * 6, mode="replicate")
    fixed = fixed / fixed.shape[1]
    if fixed.device.type == "cuda":
        return _plane_by_plane(fixed, wide, radius)
    return _one_by_one(fixed, wide, radius)


def _one_by_one(fixed: Tensor, wide: Tensor, radius: int) -> Tensor:
    """Shift by shift: what is multiplied stays near the processor."""
    depth, height, width = fixed.shape[2:]
    # without gradients nothing of the products is kept, and one piece of memory does for all
    products = None if torch.is_grad_enabled() else torch.empty_like(fixed)
    out = []
    for x, y, z in shifts(radius):
        part = wide[
            :,
            :,
            radius + z : radius + z + depth,
            radius + y : radius + y + height,
            radius + x : radius + x + width,
        ]
        out.append(torch.mul(fixed, part, out=products).sum(dim=1))
    return torch.stack(out, dim=1)


def _plane_by_plane(fixed: Tensor, wide: Tensor, radius: int) -> Tensor:
    """All shifts with one z at a time: on a GPU a launch takes longer than a shift."""
    side = 2 * radius + 1
    fixed = fixed[..., None, None]
    out = []
    for z in range(side):
        part = wide.narrow(2, z, fixed.shape[2]).unfold(3, side, 1).unfold(4, side, 1)
        out.append((fixed * part).sum(dim=1))
    return torch.stack(out, dim=-3).flatten(-3).movedim(-1, 1)


def shifts(radius: int) -> list[tuple[int, int, int]]:
    """All (x, y, z) of the cube, x fastest."""
    steps = range(-radius, radius + 1)
    return [(x, y, z) for z, y, x in product(steps, steps, steps)]


class CorrelationMatch(nn.Module):
    """From the features of both images to what the body sees: the correlation, and its best shift.

    The best shift is the mean of all shifts, weighed by a softmax of the correlation (Kendall et al.
    2017): a first displacement that is there before the body has learned anything.
    """

    def __init__(self, radius: int, features: int) -> None:
        super().__init__()
        self.radius = radius
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.mix = nn.Conv3d((2 * radius + 1) ** 3, features, 1)
        cube = torch.tensor(shifts(radius), dtype=torch.float32).T
        self.register_buffer("cube", cube, persistent=False)

    def forward(self, fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, D, H, W) of both -> (B, features, D, H, W) and a shift (B, 3, D, H, W) in voxels."""
        correlation = correlation_volume(_standardized(fixed), _standardized(moving), self.radius)
        weights = torch.softmax(self.sharpness * correlation, dim=1)
        shift = torch.einsum("sn,bnzyx->bszyx", self.cube, weights)
        return self.mix(correlation), shift


def _standardized(x: Tensor) -> Tensor:
    """Zero mean over the lattice, then length sqrt(C) at every voxel: correlations within [-1, 1]."""
    x = x - x.mean(dim=(2, 3, 4), keepdim=True)
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-4).sqrt()
