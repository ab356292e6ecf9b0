"""There and back: a forward and a backward field should undo each other."""

from __future__ import annotations

from torch import Tensor

from ..ops import compose
from .supervised import displacement_error


def forward_backward(
    forward: Tensor,
    backward: Tensor,
    mask: Tensor | None = None,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    smooth: float = 0.1,
) -> Tensor:
    """Mean distance in mm by which a point misses itself, there and back (Christensen & Johnson 2001).

    Args:
        forward: (B, 3, D, H, W), channels (x, y, z), voxels, fixed -> moving.
        backward: likewise, moving -> fixed, on the same lattice.
        mask: of the fixed image, (B or 1, 1, D, H, W); None for everywhere.
        spacing: mm between neighbours along (x, y, z).
        smooth: mm, as in :func:`displacement_error`.

    Returns:
        Scalar, mm.
    """
    missed = compose(forward, backward)
    return displacement_error(missed, missed.new_zeros(()).expand_as(missed), mask, spacing, smooth)
