"""Where figures of a registration are taken: around the lungs, a third of a scan of the whole chest."""

from __future__ import annotations

from collections.abc import Sequence

from ..space import Grid, Transform, Volume

#: Of the lattice on which lungs are looked for, mm: what is thinner may be missed, and is within the margin of what is found.
LATTICE_MM = 4.0
#: Shown around the lungs, mm.
MARGIN_MM = 16.0


def lung_extent(
    fixed: Grid, fixed_lungs: Volume, moving_lungs: Volume, mappings: Sequence[Transform]
) -> Grid:
    """The part of the fixed grid that shows the fixed lungs and all that a mapping carries into the moving ones.

    Args:
        fixed: grid of the fixed scan.
        fixed_lungs, moving_lungs: masks on any grids.
        mappings: fixed to moving points.

    Returns:
        A :meth:`Grid.crop` of ``fixed``; the whole of it if it shows no lung.
    """
    lattice = fixed.with_spacing(LATTICE_MM)
    found = Volume(fixed_lungs.data > 0, fixed_lungs.grid).resample(lattice).data
    moving = Volume(moving_lungs.data > 0, moving_lungs.grid)
    for mapping in mappings:
        found = found | mapping.warp(moving, lattice).data
    if not bool(found.any()):
        return fixed
    return fixed.part_around(lattice.to_world(found.nonzero().flip(1).numpy()), MARGIN_MM)
