"""Images read on other grids, axis by axis where their axes are parallel: as ITK resamples, and as point by point."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from tests.geometry import OBLIQUE, place

from lungmorph.ops import bent
from lungmorph.space import Affine, DisplacementField, Grid, Volume
from lungmorph.space.sampling import sample_carried, sample_grid, sample_world, world_points


def noise(grid: Grid, channels: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 300 * torch.randn(channels, *grid.shape, generator=generator)


def parallel(grid: Grid, spacing: tuple, start: tuple, size: tuple) -> Grid:
    """A grid with the same axes that begins at an index of the other."""
    return Grid(size, spacing, tuple(grid.to_world(start)), grid.direction)


#: finer and beyond all ends, coarser, and on the very voxels
SEEN = {
    "finer": parallel(OBLIQUE, (0.9, 1.3, 0.7), (-2.2, -1.7, -3.1), (30, 35, 40)),
    "coarser": parallel(OBLIQUE, (4.0, 5.0, 6.0), (1.3, 0.2, 0.4), (4, 4, 3)),
    "own": OBLIQUE.crop((3, 2, 1), (5, 6, 4)),
}


@pytest.mark.parametrize("name", SEEN)
@pytest.mark.parametrize("fill", [None, -7.0])
@pytest.mark.parametrize("cubic", [False, True])
def test_on_parallel_axes_it_reads_what_is_read_point_by_point(name, fill, cubic):
    data, at = noise(OBLIQUE), SEEN[name]
    assert OBLIQUE.positions_of(at) is not None
    source = bent(data[None].double())[0] if cubic else data.double()
    points = world_points(at, dtype=torch.float64)
    expected = sample_world(source, OBLIQUE, points, "cubic" if cubic else "linear", fill)
    torch.testing.assert_close(
        sample_grid(data, OBLIQUE, at, fill, cubic).double(), expected, atol=2e-3, rtol=0
    )


@pytest.mark.parametrize(
    "grid", [OBLIQUE, OBLIQUE.crop((2, 3, 4), (6, 5, 1))], ids=["image", "slice"]
)
@pytest.mark.parametrize("how", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("fill", [None, -7.0])
@pytest.mark.parametrize("moves", [False, True])
def test_where_voxels_are_carried_it_reads_what_is_read_point_by_point(grid, how, fill, moves):
    at = SEEN["finer"]
    turn = np.eye(3) + 0.1 * np.random.default_rng(2).normal(size=(3, 3))
    affine = Affine.from_parts(turn, OBLIQUE.center - turn @ OBLIQUE.center + [1.0, -2.0, 0.5])
    displacement = noise(at, 3, seed=3) / 300 if moves else None
    data = noise(grid)
    source = bent(data[None])[0] if how == "cubic" else data
    points = affine.map_points(world_points(at, dtype=torch.float64))
    points = points + displacement.movedim(0, -1) if moves else points
    expected = sample_world(source.double(), grid, points, how, fill)
    found = sample_carried(source, grid, at, affine.matrix, displacement, how, fill)
    off = (found - expected).abs() > 0.03
    # half-way between two voxels, and on the very border, it may go either way
    assert float(off.double().mean()) < (2e-4 if how == "nearest" or fill else 1e-9)


def test_it_is_what_itk_resamples():
    volume, at = Volume(noise(OBLIQUE)[0], OBLIQUE), SEEN["finer"]
    image = sitk.GetImageFromArray(volume.data.numpy())
    place(image, OBLIQUE)
    direction = np.asarray(at.direction).ravel().tolist()
    expected = sitk.Resample(
        image, at.size, sitk.Transform(), sitk.sitkLinear, at.origin, at.spacing, direction, -7.0
    )
    np.testing.assert_allclose(
        volume.resample(at, fill=-7.0).data, sitk.GetArrayFromImage(expected), atol=2e-3
    )


def test_axes_that_run_the_other_way_are_parallel_and_turned_ones_are_not():
    x, y, z = np.asarray(OBLIQUE.direction).T
    backwards = Grid(
        OBLIQUE.size,
        OBLIQUE.spacing,
        tuple(OBLIQUE.to_world([OBLIQUE.size[0] - 1, OBLIQUE.size[1] - 1, 0])),
        tuple(map(tuple, np.stack([-x, -y, z], axis=1))),
    )
    data = noise(OBLIQUE)
    torch.testing.assert_close(sample_grid(data, OBLIQUE, backwards), data.flip(2, 3))
    straight = Grid(OBLIQUE.size, OBLIQUE.spacing, OBLIQUE.origin)
    assert OBLIQUE.positions_of(straight) is None


def test_a_field_and_its_jacobian_are_the_same_in_slabs(monkeypatch):
    grid = Grid((9, 8, 12), (1.5, 2.0, 2.5), (-4.0, 3.0, 10.0))
    field = DisplacementField(noise(grid, 3, seed=5) / 300, grid)
    at = parallel(grid, (1.0, 1.1, 1.2), (-0.5, 0.3, 0.2), (12, 13, 20))
    whole = field.jacobian(at).data, field.displacement_on(at).data
    monkeypatch.setattr("lungmorph.space.transform.SLAB_VOXELS", 12 * 13)
    torch.testing.assert_close(field.jacobian(at).data, whole[0])
    torch.testing.assert_close(field.displacement_on(at).data, whole[1])
    # det(I + du/dx), by hand in the middle
    k, j, i = 10, 6, 5
    u = whole[1].double()
    columns = [
        (u[:, k, j, i + 1] - u[:, k, j, i - 1]) / 2.0,
        (u[:, k, j + 1, i] - u[:, k, j - 1, i]) / 2.2,
        (u[:, k + 1, j, i] - u[:, k - 1, j, i]) / 2.4,
    ]
    expected = torch.linalg.det(torch.eye(3).double() + torch.stack(columns, dim=1))
    assert float(whole[0][k, j, i]) == pytest.approx(float(expected), abs=1e-4)


def test_where_a_grid_goes_is_where_its_points_go():
    field = DisplacementField(noise(OBLIQUE, 3, seed=2) / 300, OBLIQUE)
    affine = Affine.from_parts(np.diag([1.1, 0.9, 1.0]), [3.0, -2.0, 1.0])
    for transform in (field, affine):
        for at in SEEN.values():
            expected = transform.map_points(world_points(at, dtype=torch.float64))
            torch.testing.assert_close(transform.map_grid(at).double(), expected, atol=1e-4, rtol=0)


def test_the_part_around_points_shows_them_and_the_margin_and_no_more():
    grid = Grid((100, 80, 60), (1.0, 1.5, 2.0), (-50.0, -60.0, -60.0))
    points = np.array([[-10.0, -20.0, -30.0], [10.0, 5.0, 0.0]])
    low, high = grid.part_around(points, 6.0).bounds()
    assert (low <= points[0] - 6).all()
    assert (high >= points[1] + 6).all()
    assert (low >= points[0] - 6 - 2 * np.asarray(grid.spacing)).all()
    assert (high <= points[1] + 6 + 2 * np.asarray(grid.spacing)).all()
    whole = grid.part_around(np.array([[-500.0, -500, -500], [500, 500, 500]]), 5.0)
    assert whole == grid


def test_a_part_of_whole_blocks_has_the_blocks_of_the_whole_grid():
    grid = Grid((101, 83, 62), (1.0, 1.5, 2.0), (-50.0, -60.0, -60.0))
    points = np.array([[-11.0, -20.0, -31.0], [12.0, 5.0, 3.0]])
    part = grid.part_around(points, 5.0, (4, 3, 2))
    whole, found = grid.in_blocks((4, 3, 2)), part.in_blocks((4, 3, 2))
    at = whole.to_index(found.origin)
    np.testing.assert_allclose(at, np.rint(at), atol=1e-9)
    low, high = found.bounds()
    assert (low <= points[0] - 5).all()
    assert (high >= points[1] + 5).all()
