"""The pair registered the other way round: an independent witness of how far points come back."""

from __future__ import annotations

from collections.abc import Callable

from ..space import DisplacementField, Volume
from .register import register

#: Finest lattice of the way back, mm: it costs a third of the way there, and is as accurate as a check needs.
BACK_MM = 2.5


def register_back(
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    moving_lungs: Volume,
    *,
    model: str | None = None,
    levels: int | None = None,
    device: str = "cpu",
    progress: Callable[[str, float], None] | None = None,
) -> DisplacementField:
    """Register the swapped pair, from moving to fixed points (LPS mm). Nothing is inverted.

    Args:
        fixed, moving: CT in HU, as in the way there.
        fixed_lungs, moving_lungs: their masks.
        model, levels, device, progress: as in :func:`lungmorph.register`.
    """
    return register(
        moving,
        fixed,
        fixed_mask=moving_lungs,
        moving_mask=fixed_lungs,
        model=model,
        levels=levels,
        device=device,
        spacing=BACK_MM,
        progress=progress,
        names=("moving image", "fixed image"),
    ).transform
