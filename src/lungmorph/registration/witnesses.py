"""Two more registrations of a pair, to hold one up against: the pair swapped, and the pair once more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..space import DisplacementField, Transform, Volume
from .presets import CHECK_MM
from .register import register


@dataclass(frozen=True)
class Witnesses:
    """Other registrations of a pair, LPS mm.

    Attributes:
        back: moving to fixed points.
        there: fixed to moving points.
    """

    back: Transform
    there: Transform


def register_witnesses(
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    moving_lungs: Volume,
    there: Transform | None = None,
    *,
    names: tuple[str, str] = ("fixed image", "moving image"),
    model: str | None = None,
    levels: int | None = None,
    device: str = "cpu",
    progress: Callable[[str, float], None] | None = None,
) -> Witnesses:
    """Register the swapped pair, and the pair itself. Nothing is inverted, and neither knows of the other.

    Of a registration by LungMorph itself, the second is a coarser state, and not independent: then it tells what the fine
    scales changed, and the way back is the witness.

    Args:
        fixed, moving: CT in HU, as in the registration in question.
        fixed_lungs, moving_lungs: their masks.
        there: how the pair itself is registered at ``CHECK_MM``, if that is known already.
        names: of both scans, for errors.
        model, levels, device, progress: as in :func:`lungmorph.register`. Where memory is short, they are coarser.

    Raises:
        InputError: as :func:`lungmorph.register`: what goes one way may not go the other.
    """
    scans, lungs = (fixed, moving), (fixed_lungs, moving_lungs)

    count = 2 if there is None else 1

    def registered(first: int, second: int) -> DisplacementField:
        def say(what: str, share: float) -> None:
            assert progress is not None
            # the way back, from scan 1, comes first
            progress(f"check, {what}", (1 - first + share) / count)

        return register(
            scans[first],
            scans[second],
            fixed_mask=lungs[first],
            moving_mask=lungs[second],
            model=model,
            levels=levels,
            device=device,
            spacing=CHECK_MM,
            or_coarser=True,
            progress=say if progress else None,
            names=(names[first], names[second]),
        ).transform

    return Witnesses(registered(1, 0), registered(0, 1) if there is None else there)
