"""One scale of the refinement: its settings, and what it sees of two scans, whatever the displacement is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..ops.cubic import bent
from ..space import Affine, Grid
from .blocks import normalized
from .compared import lung_share
from .lattice import lattice, seen
from .prepare import Prepared


@dataclass(frozen=True)
class Scale:
    """Settings of one scale.

    Args:
        spacing: of the image lattice, mm.
        control: of the control points, mm.
        window: half-width of the window of the local normalisation, mm.
        bending: weight of the bending energy, mm^2; as the pair asks for if None.
        steps: Gauss-Newton steps.
        cubic: whether the scans are read between their voxels nearly as cubic splines are; else linearly, as will do where
            the lattice is coarser than the voxels.
    """

    spacing: float
    control: float
    window: float
    bending: float | None
    steps: int
    cubic: bool = False


@dataclass(frozen=True)
class ScaledPair:
    """Two scans as a scale sees them. All refinements of the pair at that scale may share it.

    Attributes:
        pair: the scans; what is lung in either is compared, within ``pair.region``.
        affine: pre-alignment, fixed to moving points.
        scale: the settings.
        grid: the lattice on which they are compared, world-aligned.
        radius: half-widths of the window, voxels of it along (x, y, z).
        fixed: normalised, on the lattice (D, H, W).
        values: of the moving scan, for :func:`lungmorph.space.sampling.sample_carried` with the scale's way of reading.
        moving: the grid of these.
        share: how much of every voxel of the lattice is lung in the fixed scan, 0 to 1.
    """

    pair: Prepared
    affine: Affine
    scale: Scale
    grid: Grid
    radius: tuple[int, int, int]
    fixed: Tensor
    values: Tensor
    moving: Grid
    share: Tensor


def scaled(pair: Prepared, affine: Affine, scale: Scale) -> ScaledPair:
    """What a scale sees of a pair."""
    grid = lattice(pair.fixed.grid, pair.region, scale.spacing)
    radius = in_voxels(grid, scale.window)
    corners = grid.corners
    fixed = seen(pair.fixed, corners, scale.spacing, pair.moving.grid)
    moving = seen(pair.moving, affine.apply(corners), scale.spacing, pair.fixed.grid)
    return ScaledPair(
        pair,
        affine,
        scale,
        grid,
        radius,
        fixed=normalized(fixed.resample(grid, cubic=scale.cubic).data, radius),
        values=bent(moving.data[None, None])[0] if scale.cubic else moving.data[None],
        moving=moving.grid,
        share=lung_share(pair.fixed_lungs, grid),
    )


def in_voxels(grid: Grid, mm: float) -> tuple[int, int, int]:
    """A half-width in voxels along (x, y, z), at least one."""
    x, y, z = (max(1, round(count)) for count in grid.in_voxels(mm))
    return x, y, z
