"""Tensor-product splines between a lattice of control points and an image lattice.

Both lattices are axis-aligned with each other, so that going from one to the other is three small
matrix products, one an axis, and its adjoint the three transposed ones. On the CPU these are many
times faster than sampling point by point, and exact.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def cubic_weights(points: Tensor, count: int) -> Tensor:
    """Cubic B-spline basis: weight of ``count`` control points at positions ``points``.

    Args:
        points: (N,) in units of the control spacing; control point c lies at c.
        count: number of control points. Beyond the outer ones the outer are repeated, so that rows sum
            to one everywhere.

    Returns:
        (N, count) in the dtype of ``points`` and where they are. A few numbers: computed by the CPU, best from points there.
    """
    at = points.numpy(force=True)
    base = np.floor(at)
    t = at - base
    square = t * t
    cube = square * t
    parts = (
        (1 - t) * (1 - t) * (1 - t) / 6,
        (3 * cube - 6 * square + 4) / 6,
        (-3 * cube + 3 * square + 3 * t + 1) / 6,
        cube / 6,
    )
    weights = np.zeros((len(at), count), dtype=at.dtype)
    for offset, part in zip((-1, 0, 1, 2), parts, strict=True):
        index = np.clip(base.astype(np.int64) + offset, 0, count - 1)
        weights[np.arange(len(at)), index] += part
    return torch.as_tensor(weights, device=points.device)


def expand(values: Tensor, weights: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Control values (C, d, h, w) -> image lattice (C, D, H, W).

    Args:
        weights: along (z, y, x): (D, d), (H, h), (W, w).
    """
    z, y, x = weights
    out = torch.tensordot(values, z, dims=([1], [1]))  # C h w D
    out = torch.tensordot(out, y, dims=([1], [1]))  # C w D H
    return torch.tensordot(out, x, dims=([1], [1]))  # C D H W


def gather(image: Tensor, weights: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The adjoint of :func:`expand`: image lattice (C, D, H, W) -> control lattice (C, d, h, w)."""
    z, y, x = weights
    out = torch.matmul(image, x)  # C D H w
    out = torch.matmul(out.transpose(2, 3), y)  # C D w h
    out = torch.tensordot(out, z, dims=([1], [0]))  # C w h d
    return out.permute(0, 3, 2, 1).contiguous()
