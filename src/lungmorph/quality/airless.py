"""Lung that holds no air in one scan: collapsed, consolidated, drowned. There, and beside it, images cannot judge.

What is open in one scan and dense in the other looks alike nowhere, whatever the mapping, and what lies next to it is matched to the
chest wall or the heart as well as to itself. So neither is a mapping better for looking alike there, nor is it worse.
"""

from __future__ import annotations

import torch
from scipy import ndimage
from torch import Tensor

from ..ops import eroded
from ..space import Grid, Transform, Volume
from ..space.sampling import sample_world, world_points

#: HU above which lung is without air.
CLOSED_HU = -300.0
#: A part that holds no cube of this side is a vessel or the edge of the lung, mm; and so far beside it, images still cannot judge.
LEAST_MM, BESIDE_MM = 15.0, 15.0


def airless(
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    moving_lungs: Volume,
    transform: Transform,
    there: Transform,
    grid: Grid,
) -> Tensor:
    """Where a part of the lung is without air in one of the scans, and what lies beside it.

    Lung is what the fixed mask says and, as automatic masks leave out what is dense, what both mappings carry into the
    moving mask: a mapping that is wrong at the diaphragm carries some of the liver there too, but not both do.

    Args:
        fixed, moving: CT, HU.
        fixed_lungs, moving_lungs: their masks, any grid.
        transform, there: two mappings of fixed to moving points, LPS mm, the second known to be about right.
        grid: lattice of even spacing.

    Returns:
        Bool (D, H, W).
    """
    spacing = grid.spacing[0]
    start = world_points(grid)
    ends = [mapping.map_points(start) for mapping in (transform, there)]
    here = _at(start, *_lung_and_open(fixed, fixed_lungs, spacing))
    shares = _lung_and_open(moving, moving_lungs, spacing)
    mapped, led = (_at(points, *shares) for points in ends)
    shown = _inside(start, fixed.grid) & _inside(ends[0], moving.grid)
    lung = here[0] | (mapped[0] & led[0])
    # closed in the fixed scan, or in the moving one wherever it is looked for
    closed = ~here[1] | ~(mapped[1] | led[1])
    half = round((LEAST_MM / spacing - 1) / 2)
    core = eroded(lung & closed & shown, half)
    if not bool(core.any()):
        return core
    away = ndimage.distance_transform_edt(~core.numpy(), sampling=spacing)
    return torch.from_numpy(away <= half * spacing + BESIDE_MM)


def _lung_and_open(ct: Volume, lungs: Volume, spacing: float) -> tuple[Volume, Volume]:
    """Shares of every place, 0 to 1: lung, and lung that holds air."""
    whole = Volume((lungs.data > 0).float(), lungs.grid).reduce(spacing)
    coarse = ct.reduce(spacing)
    open_there = whole.resample(coarse.grid, 0.0).data * (coarse.data < CLOSED_HU)
    return whole, Volume(open_there, coarse.grid)


def _at(points: Tensor, *shares: Volume) -> list[Tensor]:
    return [sample_world(share.data[None], share.grid, points)[0] > 0.5 for share in shares]


def _inside(points: Tensor, grid: Grid) -> Tensor:
    flat = points.reshape(-1, 3).numpy()
    return torch.from_numpy(grid.contains(flat)).reshape(points.shape[:-1])
