"""The part of a scan on which figures are taken."""

import numpy as np
import torch
from tests.geometry import OBLIQUE

from lungmorph.measures import dice, lung_extent
from lungmorph.space import Affine, Grid, Volume

GRID = Grid((80, 70, 60), (2.5, 2.5, 3.0), (-100.0, -80.0, 50.0))


def ball(grid: Grid, middle: tuple[float, float, float], radius: float) -> Volume:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.size], indexing="ij"), axis=-1)
    far = np.linalg.norm(grid.to_world(index) - middle, axis=-1)
    return Volume(torch.from_numpy(radius > far.T).contiguous(), grid)


def test_it_shows_both_lungs_and_the_figures_are_those_of_the_whole():
    fixed = ball(GRID, (-40, 0, 120), 30)
    # one mapping carries a part of the fixed scan far from its lungs into the moving ones
    moving = ball(GRID, (20, 20, 150), 30)
    shift = Affine.from_parts(np.eye(3), [-15.0, 0, 0])
    ways = shift, Affine.identity()
    part = lung_extent(GRID, fixed, moving, ways)
    assert part.voxels < 0.6 * GRID.voxels
    for way in ways:
        assert int(way.warp(moving, part).data.sum()) == int(way.warp(moving, GRID).data.sum())
    whole = dice(fixed.data, shift.warp(moving, GRID).data)
    assert dice(fixed.crop_to(part).data, shift.warp(moving, part).data) == whole
    # without the shift, what only it shows is left out
    assert lung_extent(GRID, fixed, moving, ways[1:]).voxels < part.voxels


def test_of_an_oblique_scan_it_is_a_part_of_its_own_voxels():
    middle = OBLIQUE.to_world((np.asarray(OBLIQUE.size) - 1) / 2)
    lungs = ball(OBLIQUE, tuple(middle), 4.0)
    part = lung_extent(OBLIQUE, lungs, lungs, [Affine.identity()])
    first = OBLIQUE.to_index(part.origin)
    np.testing.assert_allclose(first, np.rint(first), atol=1e-6)
    assert part.direction == OBLIQUE.direction
    assert int(lungs.crop_to(part).data.sum()) == int(lungs.data.sum()) > 0


def test_without_lungs_it_is_the_whole():
    nothing = Volume(torch.zeros(GRID.shape, dtype=torch.bool), GRID)
    assert lung_extent(GRID, nothing, nothing, [Affine.identity()]) == GRID
