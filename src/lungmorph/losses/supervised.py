"""Distance to what is known: a displacement everywhere (simulated pairs), or where landmarks went."""

from __future__ import annotations

from torch import Tensor

from ..ops import half_widths, sample
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


def landmark_distance(
    predicted: Tensor,
    fixed_points: Tensor,
    moving_points: Tensor,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    smooth: float = 0.1,
    to_moving: Tensor | None = None,
) -> Tensor:
    """Distance in mm, point by point, of where the field takes fixed landmarks and where they are.

    Args:
        predicted: (1, 3, D, H, W), channels (x, y, z), voxels, fixed -> moving.
        fixed_points, moving_points: (N, 3), (x, y, z), voxel indices of the same lattice, fractions
            allowed.
        spacing: mm between neighbours along (x, y, z).
        smooth: mm over which the distance is rounded off, as in :func:`displacement_error`.
        to_moving: (3, 3), from lengths on the lattice, mm, to those in the moving scan, if that is seen
            through an affine; None if it is not, or if lengths on the lattice are wanted.

    Returns:
        (N,), mm: the landmark distance error where ``smooth`` is 0.
    """
    half = half_widths(tuple(predicted.shape[2:]), predicted)
    points = (fixed_points.to(predicted) / half - 1)[None, None, None]
    moved = sample(predicted, points)[0, :, 0, 0].T
    step = predicted.new_tensor(spacing)
    missed = (fixed_points.to(predicted) + moved - moving_points.to(predicted)) * step
    if to_moving is not None:
        missed = missed @ to_moving.to(missed).T
    return (missed.square().sum(dim=1) + smooth**2).sqrt() - smooth
