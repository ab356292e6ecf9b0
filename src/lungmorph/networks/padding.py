"""Padding to the sizes that a network can halve, and its exact undo."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(image: Tensor, divisor: int) -> Tensor:
    """(B, C, D, H, W) with the last voxels repeated until every size is a multiple of ``divisor``.

    Only the far ends grow, so voxel p stays voxel p and displacements in voxels stay what they are.
    """
    ends = []
    for size in reversed(image.shape[2:]):
        ends += [0, -size % divisor]
    return F.pad(image, ends, mode="replicate") if any(ends) else image


def unpad(field: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The part (B, C, *shape) that was there before the padding."""
    depth, height, width = shape
    return field[:, :, :depth, :height, :width]


def check_pair(fixed: Tensor, moving: Tensor) -> None:
    """Raises ValueError unless both are (B, 1, D, H, W) of one shape."""
    if fixed.ndim != 5 or fixed.shape[1] != 1 or fixed.shape != moving.shape:
        raise ValueError(
            "fixed and moving must both be (B, 1, D, H, W) on one lattice, "
            f"found {tuple(fixed.shape)} and {tuple(moving.shape)}"
        )
