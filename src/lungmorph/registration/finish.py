"""The whole mapping as one field."""

from __future__ import annotations

from ..ops import unfold
from ..space import Affine, DisplacementField, Grid
from ..space.sampling import world_points
from .displacement import Displacement


def finish(
    scan: Grid, affine: Affine, displacement: Displacement, spacing: float
) -> tuple[DisplacementField, int]:
    """A field that covers a scan and does not fold; on the CPU, wherever it was made.

    Args:
        scan: grid of the scan that is mapped from.
        affine: pre-alignment.
        displacement: beyond that.
        spacing: of the field, mm.

    Returns:
        The field, LPS mm, and how many of its voxels were folded.
    """
    low, high = scan.bounds()
    grid = Grid.covering(low, high, spacing, margin=spacing / 2)
    points = world_points(grid)
    total = (affine.map_points(points) - points).movedim(-1, 0) + displacement(grid)
    total, mended = unfold(total[None], grid.spacing)
    return DisplacementField(total[0].cpu().contiguous(), grid), mended
