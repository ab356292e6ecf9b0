"""The mean of a registration and of the inverse of one that goes the other way.

Going there, the fixed scan is seen on its own voxels and the moving one between them; going back it is the other way round,
and noise and voxels pull the match elsewhere. Half-way between the two is nearer to the truth than either, most where
the scans' voxels differ. (Avants et al. 2008 and Modat et al. 2012 hold the two together at every step; here each is free until its
end, which costs one more scale.)
"""

from __future__ import annotations

from collections.abc import Callable

from ..space import Affine, DisplacementField, Grid
from ..space.sampling import world_points
from .displacement import Displacement, mean_of, sampled
from .finish import finish
from .on_device import on_device
from .prepare import Prepared
from .presets import Preset
from .refine import refine


def both_ways(
    pair: Prepared,
    affine: Affine,
    work: Preset,
    there: Displacement,
    device: str,
    progress: Callable[[str], None] | None = None,
) -> Displacement:
    """Displacement v with T(x) = affine(x) + v(x), half-way between one and the inverse of the way back that begins at it.

    Args:
        pair: both scans, on ``device``.
        affine: pre-alignment, fixed to moving points.
        work: whose last scale the way back is refined at.
        there: what has been found.
        device: to work on.
        progress: called before every step with what is being done.
    """
    swapped, inverse = pair.swapped(), affine.inverse()
    with on_device(device):
        forward, _ = finish(pair.fixed.grid, affine, there, work.field_mm)
    begin = _beyond(inverse, forward.inverse(_over(swapped, work.field_mm)), device)
    with on_device(device):
        found = refine(swapped, inverse, work.scales[-1:], begin, progress).on
        back, _ = finish(pair.moving.grid, inverse, found, work.field_mm)
    return mean_of([there, _beyond(affine, back.inverse(_over(pair, work.field_mm)), device)])


def _over(pair: Prepared, spacing: float) -> Grid:
    """A grid over the box that is worked on; beyond it an inverse would take as long again and nothing is asked of it."""
    low, high = pair.region.bounds()
    return Grid.covering(low, high, spacing)


def _beyond(affine: Affine, field: DisplacementField, device: str) -> Displacement:
    """What a field does beyond an affine map, continued by its nearest value."""
    points = world_points(field.grid)
    v = field.data + (points - affine.map_points(points)).movedim(-1, 0)
    return sampled(v.to(device), field.grid)
