"""Local statistics: box means, local normalisation, smoothing and other filters along an axis, masks grown and shrunk.

All sums are made of shifted views added in place, axis by axis: on the CPU that is four times faster
than ``avg_pool3d`` and ten times faster than ``conv3d`` for one channel, and, unlike running sums,
exact in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Half-widths in voxels: one for all axes, or along (x, y, z).
Radius = int | tuple[int, int, int]


def box_mean(image: Tensor, radius: Radius) -> Tensor:
    """Mean over the box of sides 2*radius+1 around every voxel; the border voxel is repeated.

    Args:
        image: (B, C, D, H, W).
        radius: 0 leaves an axis as it is.

    Returns:
        (B, C, D, H, W).
    """
    found: Tensor = _BoxMean.apply(image, _along_axes(radius))
    return found


class _BoxMean(torch.autograd.Function):
    """:func:`box_mean`, whose gradient is again a few sums: autograd's own makes an image for every shifted view."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, radii: tuple[int, int, int]) -> Tensor:
        ctx.radii = radii
        return _over_boxes(image, radii, _sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _over_boxes(gradient, ctx.radii, _sums_to), None


def _over_boxes(
    image: Tensor, radii: tuple[int, int, int], along: Callable[[Tensor, int, int], Tensor]
) -> Tensor:
    count = 1
    for axis, half in enumerate(radii):
        if half > 0:
            count *= 2 * half + 1
            image = along(image, axis, half)
    return image / count


def _sums(image: Tensor, axis: int, half: int) -> Tensor:
    """Sum over the neighbours within ``half`` along an axis; the border voxel is repeated."""
    dim, size = 4 - axis, image.shape[4 - axis]
    ends = [0] * 6
    ends[2 * axis] = ends[2 * axis + 1] = half
    padded = F.pad(image, ends, mode="replicate")
    total = padded.narrow(dim, 0, size).clone()
    for offset in range(1, 2 * half + 1):
        total += padded.narrow(dim, offset, size)
    return total


def _sums_to(gradient: Tensor, axis: int, half: int) -> Tensor:
    """The transpose of :func:`_sums`: what every voxel is given by the sums that it is part of."""
    dim, size = 4 - axis, gradient.shape[4 - axis]
    total = gradient.clone()
    for offset in range(1, min(half, size - 1) + 1):
        rest = size - offset
        total.narrow(dim, offset, rest).add_(gradient.narrow(dim, 0, rest))
        total.narrow(dim, 0, rest).add_(gradient.narrow(dim, offset, rest))
    # a sum that reaches over the border has taken the border voxel for every step beyond it
    for place in range(min(half, size)):
        total.select(dim, 0).add_(gradient.select(dim, place), alpha=half - place)
        total.select(dim, size - 1).add_(gradient.select(dim, size - 1 - place), alpha=half - place)
    return total


def _along_axes(radius: Radius) -> tuple[int, int, int]:
    return (radius, radius, radius) if isinstance(radius, int) else radius


def eroded(mask: Tensor, radius: int) -> Tensor:
    """What of a mask (D, H, W), bool, has the whole cube of side 2*radius+1 around it in the mask, as far as there is one."""
    return ~dilated(~mask, radius)


def dilated(mask: Tensor, radius: int) -> Tensor:
    """A mask (D, H, W), bool, and what lies within a cube of side 2*radius+1 around it."""
    # a cube is a line along each axis in turn, and far cheaper so
    for dim in range(3):
        spread = mask.clone()
        for offset in range(1, min(radius, mask.shape[dim] - 1) + 1):
            size = mask.shape[dim] - offset
            spread.narrow(dim, offset, size).logical_or_(mask.narrow(dim, 0, size))
            spread.narrow(dim, 0, size).logical_or_(mask.narrow(dim, offset, size))
        mask = spread
    return mask


def normalize_locally(image: Tensor, radius: Radius, floor: float) -> Tensor:
    """(image - local mean) / sqrt(local variance + floor**2).

    Half the mean squared difference of two images so treated is one minus their local correlation
    (LNCC), as far as their windows agree.

    Args:
        image: (B, C, D, H, W).
        radius: of the window.
        floor: contrast, in units of the image, below which a place counts as flat: keeps noise from
            being blown up to structure, and the quotient finite.
    """
    mean = box_mean(image, radius)
    variance = (box_mean(image * image, radius) - mean * mean).clamp_min_(0)
    return (image - mean) / (variance + floor**2).sqrt_()


def gaussian(image: Tensor, sigma: float | tuple[float, float, float]) -> Tensor:
    """Gaussian smoothing, sigma in voxels (one, or along (x, y, z)); the border voxel is repeated.

    Args:
        image: (B, C, D, H, W).
    """
    sigmas = (sigma,) * 3 if isinstance(sigma, (int, float)) else sigma
    for axis, width in enumerate(sigmas):
        if width <= 0:
            continue
        radius = max(1, round(3 * width))
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / width) ** 2)
        image = filtered(image, axis, (kernel / kernel.sum()).tolist())
    return image


def filtered(image: Tensor, axis: int, weights: Sequence[float]) -> Tensor:
    """Weighted sums of neighbours along an axis (0 for x, 1 for y, 2 for z); the border voxel is repeated.

    Args:
        image: (B, C, D, H, W).
        weights: an odd number of them, from the neighbour before to the one after.
    """
    dim, radius = 4 - axis, len(weights) // 2
    size = image.shape[dim]
    ends = [0] * 6
    ends[2 * axis] = ends[2 * axis + 1] = radius
    padded = F.pad(image, ends, mode="replicate")
    total = padded.narrow(dim, 0, size) * weights[0]
    for offset, weight in enumerate(weights[1:], 1):
        total.add_(padded.narrow(dim, offset, size), alpha=weight)
    return total
