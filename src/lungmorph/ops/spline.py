"""Tensor-product splines between a lattice of control points and an image lattice.

Both lattices are axis-aligned with each other, so that going from one to the other is three small
matrix products, one an axis, and its adjoint the three transposed ones. On the CPU these are many
times faster than sampling point by point, and exact.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cubic_weights(points: Tensor, count: int) -> Tensor:
    """Cubic B-spline basis: weight of ``count`` control points at positions ``points``.

    Args:
        points: (N,) in units of the control spacing; control point c lies at c.
        count: number of control points. Beyond the outer ones the outer are repeated, so that rows sum
            to one everywhere.

    Returns:
        (N, count) in the dtype of ``points``.
    """
    base = points.floor()
    t = points - base
    parts = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    weights = points.new_zeros(len(points), count)
    for offset, part in zip((-1, 0, 1, 2), parts, strict=True):
        index = (base.long() + offset).clamp(0, count - 1)
        weights.scatter_add_(1, index[:, None], part[:, None])
    return weights


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
