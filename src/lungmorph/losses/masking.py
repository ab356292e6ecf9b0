"""Means over a mask."""

from __future__ import annotations

from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of ``values`` over the mask, a scalar.

    Args:
        values: (B, C, D, H, W).
        mask: (B or 1, 1, D, H, W), bool or weights >= 0; None for everywhere. An empty mask gives 0,
            with a gradient of 0, so that one empty crop does not end a training run.
    """
    if mask is None:
        return values.mean()
    weights = mask.to(values.dtype).expand_as(values)
    # below the smallest single voxel of a bool mask, so only an empty mask is changed
    return (values * weights).sum() / weights.sum().clamp_min(1e-6)
