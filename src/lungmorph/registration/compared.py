"""Where two scans are compared: what is lung in either of them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops import dilated, eroded
from ..space import Affine, Grid, Volume
from ..space.sampling import sample_carried
from .displacement import Displacement
from .prepare import Prepared

#: Of the lattice on which airless parts are found, mm.
LATTICE_MM = 3.0
#: What is lung in the moving scan only is a wrong displacement, not an airless part, up to this half-width, in voxels.
RIM = 2


def lung_in_either(
    pair: Prepared,
    affine: Affine,
    displacement: Displacement,
    grid: Grid,
    lungs: Tensor | None = None,
) -> Tensor:
    """The fixed lungs, and what the displacement so far carries into the moving lungs though it does not look like lung.

    A part without air (collapsed, consolidated, drowned) is missing from an automatic mask of the fixed scan. Where the
    moving scan has it open, it is lung all the same.

    Args:
        pair: whose lungs.
        affine: pre-alignment, fixed to moving points.
        displacement: beyond the pre-alignment.
        grid: world-aligned.
        lungs: :func:`lung_share` of the fixed lungs on the grid, if it is known.

    Returns:
        (D, H, W), 0 to 1, on the grid.
    """
    lungs = lung_share(pair.fixed_lungs, grid) if lungs is None else lungs
    coarse = grid.with_spacing(LATTICE_MM)
    other = Volume(pair.moving_lungs.data.float(), pair.moving_lungs.grid).reduce(LATTICE_MM)
    carried = sample_carried(
        other.data[None], other.grid, coarse, affine.matrix, displacement(coarse), fill=0.0
    )[0]
    core = eroded((carried > 0.5) & (lung_share(pair.fixed_lungs, coarse) < 0.5), RIM)
    if not bool(core.any()):
        return lungs
    airless = Volume(dilated(core, RIM).float(), coarse)
    return torch.maximum(lungs, airless.resample(grid, 0.0).data)


def lung_share(lungs: Volume, grid: Grid) -> Tensor:
    """How much of every voxel is lung: (D, H, W), 0 to 1, on the grid, from a mask."""
    whole = Volume(lungs.data.float(), lungs.grid)
    return whole.reduce(min(grid.spacing)).resample(grid, 0.0).data
