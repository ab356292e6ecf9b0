import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.geometry import OBLIQUE, grids, sitk_grid

from lungmorph.space import Grid, Volume


@given(grids(), st.lists(st.floats(-20, 20), min_size=3, max_size=3))
def test_world_position_is_itks(grid: Grid, index: list[float]) -> None:
    expected = sitk_grid(grid).TransformContinuousIndexToPhysicalPoint(index)
    np.testing.assert_allclose(grid.to_world(index), expected, atol=1e-6)


@given(grids(), st.lists(st.floats(-900, 900), min_size=3, max_size=3))
def test_to_index_undoes_to_world(grid: Grid, point: list[float]) -> None:
    np.testing.assert_allclose(grid.to_world(grid.to_index(point)), point, atol=1e-6)


def test_normalized_frame_has_the_outer_centres_at_one() -> None:
    matrix = OBLIQUE.world_to_normalized_matrix
    last = np.asarray(OBLIQUE.size) - 1
    for index, expected in (((0, 0, 0), (-1, -1, -1)), (last, (1, 1, 1))):
        found = matrix @ np.append(OBLIQUE.to_world(index), 1.0)
        np.testing.assert_allclose(found[:3], expected, atol=1e-9)


def test_contains_is_itks_rule_at_the_edge() -> None:
    image = sitk_grid(OBLIQUE)
    rng = np.random.default_rng(0)
    index = rng.uniform(-2, 25, (500, 3))
    expected = [
        all(
            -0.5 <= c <= n - 0.5
            for c, n in zip(
                image.TransformPhysicalPointToContinuousIndex(p), image.GetSize(), strict=True
            )
        )
        for p in OBLIQUE.to_world(index).tolist()
    ]
    assert 20 < sum(expected) < 480
    assert OBLIQUE.contains(OBLIQUE.to_world(index)).tolist() == expected


def test_contains_with_a_reach_of_ones_own() -> None:
    """Voxels beyond the outermost centres along each axis; below 0, within them."""
    last = np.asarray(OBLIQUE.size) - 1.0
    reach = np.array([2.0, -1.5, 0.0])
    for axis in range(3):
        for edge, out in ((last[axis] + reach[axis], 1), (-reach[axis], -1)):
            index = last / 2
            index[axis] = edge - 0.01 * out
            assert OBLIQUE.contains(OBLIQUE.to_world(index), reach)
            index[axis] = edge + 0.01 * out
            assert not OBLIQUE.contains(OBLIQUE.to_world(index), reach)


@given(grids(), st.floats(0.5, 5.0))
def test_with_spacing_covers_the_same_box(grid: Grid, spacing: float) -> None:
    other = grid.with_spacing(spacing)
    np.testing.assert_allclose(other.center, grid.center, atol=1e-6)
    before = np.asarray(grid.size) * grid.spacing
    after = np.asarray(other.size) * other.spacing
    assert (after >= before - 1e-6).all()
    assert (after < before + spacing + 1e-6).all()


def test_covering_covers_and_is_world_aligned() -> None:
    low, high = OBLIQUE.bounds()
    grid = Grid.covering(low, high, (2.0, 3.0, 1.5), margin=4.0)
    assert grid.contains(OBLIQUE.corners).all()
    assert grid.direction == ((1, 0, 0), (0, 1, 0), (0, 0, 1))


def test_crop_and_negative_pad_keep_world_positions() -> None:
    part = OBLIQUE.crop((-2, 3, 1), (30, 4, 5))
    np.testing.assert_allclose(part.to_world((5, 1, 2)), OBLIQUE.to_world((3, 4, 3)), atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"size": (0, 4, 4)}, "sizes"),
        ({"spacing": (1.0, 0.0, 1.0)}, "spacings"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "spacings"),
        ({"origin": (0.0, float("inf"), 0.0)}, "origin"),
        ({"direction": np.diag([1.0, 1.0, -1.0])}, "right-handed"),
        ({"direction": np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1.0]])}, "orthonormal"),
    ],
)
def test_impossible_grids_are_refused(changes: dict, word: str) -> None:
    arguments = {"size": (4, 4, 4)} | changes
    with pytest.raises(ValueError, match=word):
        Grid(**arguments)


def test_snap_is_the_nearest_voxel_centre() -> None:
    point = OBLIQUE.to_world((3.4, 7.6, 2.2))
    np.testing.assert_allclose(OBLIQUE.snap(point), OBLIQUE.to_world((3, 8, 2)), atol=1e-9)
    image = sitk.Image(sitk_grid(OBLIQUE))
    assert image.TransformPhysicalPointToIndex(point.tolist()) == (3, 8, 2)


def test_points_of_a_mask_cost_one_number_a_voxel():
    generator = torch.Generator().manual_seed(0)
    mask = Volume(torch.rand(60, 70, 80, generator=generator) > 0.1, Grid((80, 70, 60), (1, 2, 3)))
    index = np.argwhere(mask.data.numpy())[:, ::-1]
    np.testing.assert_array_equal(
        mask.points(1000), mask.grid.to_world(index[:: len(index) // 1000])
    )
    tracemalloc.start()
    try:
        mask.points(1000)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 12 * mask.grid.voxels


def test_blocks_of_a_divided_grid_are_the_grid_again():
    grid = OBLIQUE
    inner = grid.divided((2, 1, 4))
    assert inner.size == tuple(n * m for n, m in zip(grid.size, (2, 1, 4), strict=True))
    np.testing.assert_allclose(np.multiply(inner.spacing, (2, 1, 4)), grid.spacing)
    # the same box, cut into smaller voxels
    np.testing.assert_allclose(inner.corners, grid.corners, atol=1e-9)
    assert inner.in_blocks((2, 1, 4)).same_as(grid, 1e-9)
