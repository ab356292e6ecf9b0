"""A wide look around a first guess: one of the starts that the refinement chooses from.

Gauss-Newton steps find the nearest match. Where a thin part of the lung moves by several times its own
width, the nearest match is a wrong one. Here every place of a coarse lattice compares *all* whole-voxel
shifts of a cube, by the self-similarity of its surroundings (MIND-SSC, Heinrich et al. 2013), and
neighbours agree on a smooth choice (coupled convex optimisation: Steinbruecker et al. 2009; Heinrich et
al. 2014). The result is only a start: what is finer than the lattice is left to the refinement.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..losses.mind import mind_ssc
from ..networks.correlation import shifts
from ..ops.local import box_mean
from ..space import Affine, Grid
from ..space.sampling import sample_carried
from ..threads import side_by_side
from .compared import lung_in_either
from .displacement import Displacement
from .prepare import Prepared

#: Lattice of the descriptors, mm, where no scan is coarser; they are compared in blocks of 2 x 2 x 2.
FINE_MM = 3.0
#: Contrast in HU below which a place counts as flat.
FLAT_HU = 40.0
#: Growing weight of agreement with the smooth field, per voxel squared.
COUPLING = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
#: What a shift of one voxel costs by itself.
TIE = 1e-6
#: Slices that are described at a time, and so far around itself a voxel's descriptor looks.
SLAB, REACH = 16, 3
#: Places that choose at a time: their costs stay in the cache.
BLOCK = 1024


def search(
    pair: Prepared,
    affine: Affine,
    start: Displacement,
    radius: int = 3,
) -> tuple[Tensor, Grid]:
    """Displacement v with T(x) = affine(x) + v(x), by comparing all shifts around ``start``.

    Args:
        pair: both scans; outside of what is lung in either, all shifts count the same, and neighbours decide.
        affine: pre-alignment, fixed to moving points.
        start: v to look around.
        radius: of the cube of shifts, in blocks of twice the lattice's spacing.

    Returns:
        v (3, D, H, W) in mm along the world axes, and its world-aligned grid. It may fold.
    """
    # a lattice finer than the scans would show nothing more
    fine = max(FINE_MM, *(scan.grid.voxel_volume ** (1 / 3) for scan in (pair.fixed, pair.moving)))
    low, high = pair.region.bounds()
    blocks = Grid.covering(low, high, 2 * fine)
    x, y, z = (2 * n for n in blocks.size)
    grid = Grid((x, y, z), (fine,) * 3, tuple(blocks.to_world([-0.25] * 3)))
    coarse = pair.moving.reduce(fine)
    seen = (
        pair.fixed.reduce(fine).resample(grid).data,
        sample_carried(coarse.data[None], coarse.grid, grid, affine.matrix, start(grid))[0],
    )
    a, b = (_described(hu) for hu in seen)
    either = lung_in_either(pair, affine, start, grid)
    lungs = F.max_pool3d((either > 0.5).float()[None, None], 2)[0, 0] > 0
    shift = _agreed(_costs(a, b, lungs, radius), lungs, radius) * (2 * fine)
    # a shift d acts before what was there: T(x) = affine(x + d) + start(x + d)
    before = sample_carried(start(blocks), blocks, blocks, np.eye(4), shift)
    turned = shift.new_tensor(affine.linear) @ shift.reshape(3, -1)
    return turned.reshape(shift.shape) + before, blocks


def _described(hu: Tensor) -> Tensor:
    """Descriptors of blocks of 2 x 2 x 2 of a scan (D, H, W), sides even: (12, D/2, H/2, W/2).

    Slab by slab: what is computed stays near the processor. That a slab does not know the noise of the others makes no
    difference: ``FLAT_HU`` is above the lower limit that follows from it, and the upper one is a thousand times the mean.
    """
    clamped = hu.clamp(-1000, 200)

    def slab(first: int) -> Tensor:
        start = max(0, first - REACH)
        wide = clamped[start : first + SLAB + REACH][None, None]
        found = mind_ssc(wide, floor=FLAT_HU)[:, :, first - start :][:, :, :SLAB]
        return F.avg_pool3d(found, 2)[0]

    return torch.cat(side_by_side(slab, range(0, len(hu), SLAB)), dim=1)


def _costs(a: Tensor, b: Tensor, seen: Tensor, radius: int) -> Tensor:
    """What every shift costs at every place that is seen: mean squared difference of a(p) and b(p + d).

    Args:
        a, b: (C, D, H, W).
        seen: bool (D, H, W).
        radius: of the cube of shifts.

    Returns:
        (places, shifts).
    """
    wide = F.pad(b[None], [radius] * 6, mode="replicate")[0]
    _, _, height, width = wide.shape
    # a place is a row: what is compared lies together
    rows, here = wide.flatten(1).T.contiguous(), a[:, seen].T.contiguous()
    k, j, i = (index + radius for index in seen.nonzero().T)
    places = (k * height + j) * width + i
    cube = shifts(radius)
    out = here.new_empty(len(cube), len(places))
    for cost, (x, y, z) in zip(out, cube, strict=True):
        part = rows.index_select(0, places + (z * height + y) * width + x)
        torch.mean(part.sub_(here).square_(), dim=1, out=cost)
    return out.T.contiguous()


def _agreed(costs: Tensor, seen: Tensor, radius: int) -> Tensor:
    """A smooth field of shifts (3, D, H, W) in voxels, of low cost: choosing and smoothing in turn.

    Args:
        costs: (places, shifts).
        seen: bool (D, H, W), the places where there is a choice; elsewhere the neighbours are followed.
        radius: of the cube of shifts.
    """
    cube = costs.new_tensor(shifts(radius))
    # |d - field|^2 without the part that is the same for every d: (field, 1) times this
    apart = torch.cat((-2 * cube, cube.square().sum(dim=1, keepdim=True)), dim=1).T.contiguous()
    field = costs.new_zeros(3, *seen.shape)

    def choose(weight: float) -> None:
        near = F.pad(field[:, seen].T, (0, 1), value=1.0)
        blocks = zip(costs.split(BLOCK), near.split(BLOCK), strict=True)
        best = [torch.addmm(c, at, apart, alpha=weight).argmin(dim=1) for c, at in blocks]
        field[:, seen] = cube[torch.cat(best)].T

    # where all shifts cost the same (beyond the border) none is the best
    choose(TIE)
    for weight in COUPLING:
        field = box_mean(box_mean(field[None], 1), 1)[0]
        choose(weight)
    return box_mean(box_mean(field[None], 1), 1)[0]
