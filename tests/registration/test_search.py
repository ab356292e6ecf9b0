"""The wide look finds motions that lie far beyond the nearest match."""

import numpy as np
import torch

from lungmorph.losses import mind_ssc
from lungmorph.registration.displacement import nothing
from lungmorph.registration.prepare import Prepared
from lungmorph.registration.search import FLAT_HU, SLAB, _described, search
from lungmorph.space import Affine, Grid, Volume
from lungmorph.space.sampling import sample_world, world_points


def _texture(grid: Grid) -> Volume:
    generator = torch.Generator().manual_seed(4)
    noise = torch.randn(1, 1, *grid.shape, generator=generator)
    smooth = torch.nn.functional.avg_pool3d(noise, 3, 1, 1)[0, 0]
    return Volume(-600 + 900 * smooth, grid)


def test_a_shift_of_three_blocks_is_found_through_an_affine() -> None:
    grid = Grid((48, 44, 40), (3.0, 3.0, 3.0), (-70.0, 12.0, 30.0))
    moving = _texture(grid)
    # fixed(x) = moving(A x + v) with the constant v = (12, -6, 18)
    angle = np.radians(6.0)
    turn = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    center = grid.center
    affine = Affine.from_parts(turn, center - np.array(turn) @ center)
    v = torch.tensor([12.0, -6.0, 18.0])
    points = affine.map_points(world_points(grid)) + v
    fixed = Volume(sample_world(moving.data[None], grid, points)[0], grid)
    lungs = Volume(torch.ones(grid.shape, dtype=torch.bool), grid)
    found, where = search(Prepared(fixed, moving, lungs, lungs, grid), affine, nothing)
    inner = found[:, 5:-8, 5:-5, 5:-5].reshape(3, -1)
    assert where.spacing == (6.0, 6.0, 6.0)
    assert float((inner - v[:, None]).norm(dim=0).mean()) < 1.5


def test_on_coarse_scans_it_looks_no_finer_than_they_show() -> None:
    grid = Grid((40, 36, 30), (4.0, 4.0, 4.0))
    moving = _texture(grid)
    v = torch.tensor([8.0, -16.0, 24.0])
    points = world_points(grid) + v
    fixed = Volume(sample_world(moving.data[None], grid, points)[0], grid)
    lungs = Volume(torch.ones(grid.shape, dtype=torch.bool), grid)
    pair = Prepared(fixed, moving, lungs, lungs, grid)
    found, where = search(pair, Affine.identity(), nothing)
    np.testing.assert_allclose(where.spacing, 8.0)
    inner = found[:, 3:-5, 3:-3, 3:-3].reshape(3, -1)
    assert float((inner - v[:, None]).norm(dim=0).mean()) < 2.0


def test_what_is_right_already_stays() -> None:
    grid = Grid((40, 40, 40), (3.0, 3.0, 3.0))
    image = _texture(grid)
    lungs = Volume(torch.ones(grid.shape, dtype=torch.bool), grid)
    found, _ = search(Prepared(image, image, lungs, lungs, grid), Affine.identity(), nothing)
    assert float(found.abs().max()) < 1e-6


def test_slabs_are_described_as_the_whole_is() -> None:
    hu = _texture(Grid((20, 24, 2 * SLAB + 6), (3.0, 3.0, 3.0))).data
    hu[: SLAB // 2] = -1000.0
    whole = mind_ssc(hu.clamp(-1000, 200)[None, None], floor=FLAT_HU)
    expected = torch.nn.functional.avg_pool3d(whole, 2)[0]
    assert float(expected.std()) > 0.1
    torch.testing.assert_close(_described(hu), expected)
