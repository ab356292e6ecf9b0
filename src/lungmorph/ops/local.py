"""Local statistics: box means, local normalisation, Gaussian smoothing, masks grown and shrunk.

Box sums are made of shifted views added in place, axis by axis: on the CPU that is four times faster
than ``avg_pool3d`` and ten times faster than ``conv3d`` for one channel, and, unlike running sums,
exact in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Mean over the cube of side 2*radius+1 around every voxel; the border voxel is repeated.

    Args:
        image: (B, C, D, H, W).
        radius: voxels, the same along every axis; 0 returns the image.

    Returns:
        (B, C, D, H, W).
    """
    width = 2 * radius + 1
    for dim in (2, 3, 4) if radius > 0 else ():
        size = image.shape[dim]
        ends = [0] * 6
        ends[2 * (4 - dim)] = ends[2 * (4 - dim) + 1] = radius
        padded = F.pad(image, ends, mode="replicate")
        total = padded.narrow(dim, 0, size).clone()
        for offset in range(1, width):
            total += padded.narrow(dim, offset, size)
        image = total
    return image / width**3


def eroded(mask: Tensor, radius: int) -> Tensor:
    """What of a mask (D, H, W), bool, has the whole cube of side 2*radius+1 around it in the mask, as far as there is one."""
    beyond = (~mask).float()[None, None]
    return F.max_pool3d(beyond, 2 * radius + 1, 1, radius)[0, 0] < 0.5


def dilated(mask: Tensor, radius: int) -> Tensor:
    """A mask (D, H, W), bool, and what lies within a cube of side 2*radius+1 around it."""
    return F.max_pool3d(mask.float()[None, None], 2 * radius + 1, 1, radius)[0, 0] > 0.5


def normalize_locally(image: Tensor, radius: int, floor: float) -> Tensor:
    """(image - local mean) / sqrt(local variance + floor**2).

    Half the mean squared difference of two images so treated is one minus their local correlation
    (LNCC), as far as their windows agree.

    Args:
        image: (B, C, D, H, W).
        radius: of the window, voxels.
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
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
        kernel = torch.exp(-0.5 * (offsets / width) ** 2)
        weights = (kernel / kernel.sum()).tolist()
        dim = 4 - axis
        size = image.shape[dim]
        ends = [0] * 6
        ends[2 * axis] = ends[2 * axis + 1] = radius
        padded = F.pad(image, ends, mode="replicate")
        total = padded.narrow(dim, 0, size) * weights[0]
        for offset in range(1, 2 * radius + 1):
            total.add_(padded.narrow(dim, offset, size), alpha=weights[offset])
        image = total
    return image
