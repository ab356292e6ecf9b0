"""Linear interpolation between two lattices whose axes are parallel: one axis after the other.

What is read at a point is then a weighted sum along x of weighted sums along y of weighted sums along z, and the weights of
an axis are the same in all its rows: whole slices are blended, and no point's position is ever computed. For one
image this is three to five times as fast as reading point by point, and positions are exact (float64).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cubic import bend

Positions = NDArray[np.float64]


def blended(image: Tensor, along: tuple[Positions, Positions, Positions]) -> Tensor:
    """An image at every combination of positions along its axes; the border voxel is repeated.

    Args:
        image: (C, D, H, W).
        along: positions along (x, y, z), in voxels.

    Returns:
        (C, d, h, w).
    """
    # first the axis that leaves the fewest voxels for the others
    axes = sorted(
        zip((1, 2, 3), reversed(along), strict=True), key=lambda d: len(d[1]) / image.shape[d[0]]
    )
    for dim, at in axes:
        last = image.shape[dim] - 1
        at = np.clip(at, 0, last)
        low = np.floor(at)
        share = at - low
        whole = torch.as_tensor(low.astype(np.int64), device=image.device)
        below = image.index_select(dim, whole)
        if share.any():
            shape = [len(at) if axis == dim else 1 for axis in range(4)]
            weight = torch.as_tensor(share, dtype=image.dtype, device=image.device).reshape(shape)
            below.lerp_(image.index_select(dim, (whole + 1).clamp_max(last)), weight)
        image = below
    return image


def blended_cubic(image: Tensor, along: tuple[Positions, Positions, Positions]) -> Tensor:
    """As :func:`blended`, with the image read as :func:`lungmorph.ops.sample_cubic` does.

    Args:
        image: (1, D, H, W).
        along: positions along (x, y, z), in voxels.

    Returns:
        (1, d, h, w).
    """
    value = blended(image, along)
    for axis, at in enumerate(along):
        at = np.clip(at, 0, image.shape[3 - axis] - 1)
        part = at - np.floor(at)
        # on the voxels themselves both are the same
        if part.any():
            shape = [len(at) if 3 - axis == dim else 1 for dim in range(4)]
            curve = torch.as_tensor(
                (part * part - part) / 2, dtype=value.dtype, device=value.device
            )
            value.addcmul_(blended(bend(image[None], axis)[0], along), curve.reshape(shape))
    return value


def fill_beyond(
    image: Tensor,
    size: tuple[int, int, int],
    along: tuple[Positions, Positions, Positions],
    fill: float,
) -> Tensor:
    """The image (C, d, h, w) with ``fill`` where a position lies over half a voxel beyond one of ``size`` along (x, y, z)."""
    for dim, at, n in zip((3, 2, 1), along, size, strict=True):
        outside = np.flatnonzero((at < -0.5) | (at > n - 0.5))
        if len(outside) > 0:
            image.index_fill_(dim, torch.as_tensor(outside, device=image.device), fill)
    return image
