"""The voxels on which two scans are compared: their own, as long as these are not too fine for the scale.

An image read between its voxels is blurred, and half-way more than on them. Read twice, once for a lattice and once where
the displacement leads, it tells of the lattice as much as of the lung. So the fixed scan stays on its voxels, the moving
one is read from its own, and both are blurred a little, which takes from what is on a voxel and not from what is between
two. A lattice finer than the scan would show nothing more, and take longer.
"""

from __future__ import annotations

import numpy as np

from ..ops.local import gaussian
from ..space import Grid, Volume
from ..space.grid import Float

#: Blur, in voxels, against the ripple of linear interpolation.
EVEN = 0.4
#: Down to so much of a scale's spacing the voxels of the scan are taken as they are.
NEAR = 0.75
#: How far around its box a scan is looked at, mm.
REACH_MM = 40.0
#: So many voxels at least, along an axis.
FEWEST = 8


def seen(scan: Volume, corners: Float, spacing: float, other: Grid) -> Volume:
    """What a scale sees of a scan: averaged in whole blocks up to about ``spacing`` mm, blurred a little, -1000 to 200 HU.

    Along an axis on which the voxels of the other scan are longer, it is blurred as much as they are: a thick slice
    shows on average what thin ones show one by one.

    Args:
        scan: in HU.
        corners: (N, 3), LPS mm, of a box; it is cut out with ``REACH_MM`` around it, as far as the scan goes.
        spacing: of the scale, mm.
        other: grid of the scan that it is compared with.
    """
    # the same blocks as of the whole scan
    part = scan.crop_to(scan.grid.part_around(corners, REACH_MM, scan.grid.blocks(spacing)))
    coarse = part.reduce(spacing)
    own = np.asarray(coarse.grid.spacing)
    apart = np.square(_voxels_along(other, coarse.grid, spacing)) - np.square(own)
    # the variance of a box is a twelfth of its square
    x, y, z = np.sqrt(np.square(EVEN * np.maximum(own, spacing)) + apart.clip(0) / 12) / own
    blurred = gaussian(coarse.data[None, None], (x, y, z))[0, 0]
    return Volume(blurred.clamp(-1000, 200), coarse.grid)


def _voxels_along(grid: Grid, axes: Grid, spacing: float) -> Float:
    """Length, mm, of a grid's voxels as a scale sees them, along those of its axes that are nearest to those of another grid."""
    turn = np.abs(np.asarray(grid.direction).T @ np.asarray(axes.direction))
    return np.asarray(grid.in_blocks(grid.blocks(spacing)).spacing)[turn.argmax(axis=0)]


def lattice(scan: Grid, region: Grid, spacing: float) -> Grid:
    """The world-aligned lattice over a box on which a scan is compared at a scale.

    Along every axis it has the voxels of the scan, averaged as :func:`seen` does; points ``spacing`` mm apart where those
    are finer than ``NEAR`` of it, or too few, or where the scan is oblique.

    Args:
        scan: grid of the fixed scan.
        region: world-aligned box to cover.
        spacing: of the scale, mm.
    """
    even = region.with_spacing(spacing)
    voxels = scan.in_blocks(scan.blocks(spacing))
    axes = np.asarray(voxels.direction)
    if np.abs(np.abs(axes).max(axis=0) - 1).max() > 1e-6:
        return even
    size, steps, first = list(even.size), list(even.spacing), list(even.origin)
    low, high = region.bounds()
    for axis in range(3):
        step = voxels.spacing[int(np.abs(axes[axis]).argmax())]
        if not NEAR * spacing <= step <= (high[axis] - low[axis]) / FEWEST:
            continue
        # voxel centres from the one whose voxel holds the low end to the one whose voxel holds the high end
        start, end = (
            np.floor((ends[axis] - voxels.origin[axis]) / step + 0.5) for ends in (low, high)
        )
        size[axis] = int(end - start) + 1
        steps[axis] = step
        first[axis] = voxels.origin[axis] + start * step
    return Grid(
        (size[0], size[1], size[2]), (steps[0], steps[1], steps[2]), (first[0], first[1], first[2])
    )
