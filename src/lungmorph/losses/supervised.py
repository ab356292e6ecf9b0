"""Distance to a displacement that is known, as it is for simulated pairs."""

from __future__ import annotations

from torch import Tensor

from .masking import masked_mean


def displacement_error(
    predicted: Tensor,
    truth: Tensor,
    mask: Tensor | None = None,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    smooth: float = 0.1,
) -> Tensor:
    """Mean Charbonnier distance of two fields in mm: Euclidean, but smooth where it is small.

    Args:
        predicted, truth: (B, 3, D, H, W), channels (x, y, z), voxels.
        mask: (B or 1, 1, D, H, W); None for everywhere.
        spacing: mm between neighbours along (x, y, z).
        smooth: mm over which the distance is rounded off; 0 gives the plain mean distance
            (without a gradient where the fields agree exactly: use it to report).

    Returns:
        Scalar, mm.
    """
    step = predicted.new_tensor(spacing).view(1, 3, 1, 1, 1)
    square = (((predicted - truth) * step) ** 2).sum(dim=1, keepdim=True)
    return masked_mean((square + smooth**2).sqrt() - smooth, mask)
