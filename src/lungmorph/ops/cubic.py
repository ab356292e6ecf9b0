"""Reading an image between its voxels nearly as a cubic spline does, for little more than a linear look-up takes.

A linear look-up blurs, half-way between two voxels most and on them not at all: a ripple that a registration takes for
structure. Between two knots a cubic spline is the straight line between its values there, less t (1 - t) / 6 times
(2 - t) and (1 + t) times its second derivatives at either (de Boor 1978). Here both derivatives count as the line between
them says, which is exact half-way and near it elsewhere; and what bends along two axes at once is left out. So four
images are looked up at one place instead of 64 voxels.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from .local import filtered
from .sample import sample

#: Neighbours that the second derivative of a spline is made of; what is further off counts for less than 0.001.
_REACH = 5


def bent(image: Tensor) -> Tensor:
    """An image and the second derivatives, along x, y and z and per voxel squared, of the splines through it.

    Args:
        image: (B, 1, D, H, W).

    Returns:
        (B, 4, D, H, W), for :func:`sample_cubic`.
    """
    # filled one by one: put together at the end they would all be there twice
    both = image.new_empty((image.shape[0], 4, *image.shape[2:]))
    both[:, :1] = image
    for axis in range(3):
        both[:, axis + 1 : axis + 2] = bend(image, axis)
    return both


def bend(image: Tensor, axis: int) -> Tensor:
    """The second derivative of the splines through an image (B, 1, D, H, W) along one axis (0 for x, 1 for y, 2 for z)."""
    return filtered(image, axis, _WEIGHTS)


def sample_cubic(image: Tensor, points: Tensor) -> Tensor:
    """Values at points, as :func:`lungmorph.ops.sample` with the border continued.

    Args:
        image: (B, 4, D, H, W), made by :func:`bent`.
        points: (B, d, h, w, 3) in [-1, 1], last axis (x, y, z).

    Returns:
        (B, 1, d, h, w).
    """
    value, *bends = sample(image, points).unbind(dim=1)
    # as numbers, not as a tensor that another device would be waited for
    halves = [max(n - 1, 1) / 2 for n in reversed(image.shape[2:])]
    for axis, (bend, half) in enumerate(zip(bends, halves, strict=True)):
        # beyond the border there is nothing between two voxels
        part = (points[..., axis] + 1).mul_(half).clamp_(0, 2 * half).frac_()
        # less t (1 - t) / 2 times the bend
        value.addcmul_(bend, part.addcmul_(part, part, value=-1), value=-0.5)
    return value[:, None]


def _second_derivative() -> list[float]:
    # B-spline coefficients c have (c[-1] + 4 c[0] + c[1]) / 6 = image, and c[-1] - 2 c[0] + c[1] is what is looked for
    difference = 2 * np.cos(2 * np.pi * np.arange(64) / 64) - 2
    weights = np.fft.ifft(difference / (1 + difference / 6)).real
    near = np.roll(weights, _REACH)[: 2 * _REACH + 1]
    # of an image without bends nothing is left
    near[_REACH] -= near.sum()
    return [float(weight) for weight in near]


_WEIGHTS = _second_derivative()
