import numpy as np
import pytest
import torch

from lungmorph.simulate.real_ct import MARGIN_MM, anatomy_at, cut_off
from lungmorph.space import Affine, Grid, Volume


def turned(degrees):
    a = np.radians(degrees)
    return ((np.cos(a), -np.sin(a), 0.0), (np.sin(a), np.cos(a), 0.0), (0.0, 0.0, 1.0))


GRID = Grid((60, 52, 30), (3.0, 3.5, 6.0), (-60.0, -110.0, 400.0), turned(20.0))
MIDDLE = np.array([8.0, -5.0, 480.0])


def wave(points):
    return -400 + 200 * np.sin(points[..., 0] / 30) + 150 * np.cos(points[..., 2] / 40)


def a_ct():
    index = np.argwhere(np.ones(GRID.shape))[:, ::-1]
    points = GRID.to_world(index).reshape(*GRID.shape, 3)
    ct = Volume(torch.as_tensor(wave(points), dtype=torch.float32), GRID)
    ball = np.linalg.norm((points - MIDDLE) / (30.0, 25.0, 35.0), axis=-1) < 1
    return ct, Volume(torch.as_tensor(ball), GRID)


def test_an_oblique_ct_is_laid_on_the_axes_of_the_world_where_it_was():
    anatomy = anatomy_at(*a_ct(), (2.5, 2.5, 3.0))
    grid = anatomy.ct.grid
    assert np.allclose(grid.direction, np.eye(3))
    assert grid.spacing == (2.5, 2.5, 3.0)
    points = grid.to_world((anatomy.lungs.data).nonzero().flip(1).numpy())
    assert np.abs(points.mean(axis=0) - MIDDLE).max() < 1.0
    index = grid.to_index(points).round().astype(int)
    found = anatomy.ct.data.numpy()[index[:, 2], index[:, 1], index[:, 0]]
    assert np.abs(found - wave(points)).max() < 8
    low, high = grid.bounds()
    assert np.allclose(high - low, 2 * np.array([30, 25, 35]) + 2 * MARGIN_MM, atol=12)


def test_it_keeps_its_own_spacing_if_none_is_asked_for():
    grid = Grid((40, 42, 30), (3.0, 3.5, 6.0))
    lungs = torch.zeros(grid.shape, dtype=torch.bool)
    lungs[5:25, 10:30, 8:30] = True
    ct = Volume(torch.zeros(grid.shape), grid)
    assert anatomy_at(ct, Volume(lungs, grid), None).ct.grid.spacing == (3.0, 3.5, 6.0)


def test_coarser_voxels_do_not_alias():
    grid = Grid((60, 60, 60), (1.0, 1.0, 1.0))
    stripes = torch.zeros(grid.shape)
    stripes[::2] = 400.0
    anatomy = anatomy_at(
        Volume(stripes, grid),
        Volume(torch.ones(grid.shape, dtype=torch.bool), grid),
        (3.0, 3.0, 4.0),
    )
    inner = anatomy.ct.data[3:-3, 3:-3, 3:-3]
    assert float((inner - 200).abs().max()) < 25


@pytest.mark.parametrize("step", [None, 2.5, 7.0])
def test_a_scan_that_ends_within_the_lungs_is_told(step):
    grid = Grid((40, 42, 30), (3.0, 3.5, 6.0))
    ct = Volume(torch.zeros(grid.shape), grid)
    for first, last, where in ((3, 27, ""), (0, 27, "below"), (0, 30, "below and above")):
        lungs = torch.zeros(grid.shape, dtype=torch.bool)
        lungs[first:last, 10:30, 8:30] = True
        found = anatomy_at(ct, Volume(lungs, grid), step and (step, step, step))
        assert cut_off(found) == where


def test_lungs_that_lie_elsewhere_are_refused():
    ct, lungs = a_ct()
    away = Affine.from_parts(np.eye(3), (900.0, 0.0, 0.0)).apply([GRID.origin])[0]
    elsewhere = Volume(lungs.data, Grid(GRID.size, GRID.spacing, tuple(away), GRID.direction))
    for mask in (elsewhere, Volume(torch.zeros_like(lungs.data), GRID)):
        with pytest.raises(ValueError, match="empty"):
            anatomy_at(ct, mask, None)
