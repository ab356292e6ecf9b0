"""The voxels on which two scans are compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lungmorph.registration.lattice import lattice, seen
from lungmorph.space import Grid, Volume

REGION = Grid.covering((-31.0, -44.0, -52.5), (52.0, 41.0, 47.0), 2.0)


def covers(grid: Grid, region: Grid) -> bool:
    (low, high), (start, end) = grid.bounds(), region.bounds()
    return bool((low <= start + 1e-6).all() and (high >= end - 1e-6).all())


def test_voxels_of_the_scan_where_they_are_no_finer_than_the_scale() -> None:
    scan = Grid((90, 80, 40), (1.5, 1.5, 5.0), (-60.3, -58.1, -99.7))
    found = lattice(scan, REGION, 1.25)
    assert found.spacing == scan.spacing
    at = scan.to_index(found.to_world([(0, 0, 0), np.asarray(found.size) - 1]))
    np.testing.assert_allclose(at, np.rint(at), atol=1e-6)
    assert covers(found, REGION)
    # no voxel more than it takes
    for axis in range(3):
        low, high = (end[axis] for end in REGION.bounds())
        assert found.size[axis] - 1 < (high - low) / found.spacing[axis] + 1


def test_whole_blocks_at_a_coarse_scale_and_even_points_between() -> None:
    """0.7 mm at 1.25: blocks of two; 1 mm is as good as 1.25; 0.8 mm is too fine, and two of it too coarse by half."""
    scan = Grid((300, 300, 260), (0.7, 1.0, 0.8), (-100.0, -150.0, -100.0))
    found = lattice(scan, REGION, 1.25)
    assert found.spacing == pytest.approx((1.4, 1.0, 1.25))
    blocks = Volume(torch.zeros(scan.shape), scan).reduce(1.25).grid
    at = blocks.to_index(found.to_world((0, 0, 0)))
    np.testing.assert_allclose(at[:2], np.rint(at[:2]), atol=1e-6)
    assert covers(found, REGION)


def test_axes_in_another_order_and_direction() -> None:
    """A sagittal scan: its slices lie along the world's x, its rows run from head to foot."""
    axes = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
    scan = Grid((90, 90, 40), (1.5, 2.0, 4.0), (80.0, -60.0, 70.0), axes)
    found = lattice(scan, REGION, 1.25)
    assert found.spacing == (4.0, 1.5, 2.0)
    assert found.direction == Grid((1, 1, 1)).direction
    at = scan.to_index(found.to_world((0, 0, 0)))
    np.testing.assert_allclose(at, np.rint(at), atol=1e-6)
    assert covers(found, REGION)


def test_even_points_for_an_oblique_scan_and_for_few_thick_slices() -> None:
    turned = tuple(map(tuple, Rotation.from_euler("xyz", [8, 3, 5], degrees=True).as_matrix()))
    oblique = Grid((90, 80, 40), (1.5, 1.5, 5.0), (-60.0, -58.0, -99.0), turned)
    assert lattice(oblique, REGION, 1.25) == REGION.with_spacing(1.25)
    thick = Grid((90, 80, 6), (1.5, 1.5, 20.0), (-60.0, -58.0, -60.0))
    assert lattice(thick, REGION, 1.25).spacing == (1.5, 1.5, 1.25)


def test_the_fixed_scan_is_not_interpolated() -> None:
    """On its lattice a scan has the averages of whole blocks as they are, wherever the box begins."""
    scan = Grid((260, 250, 120), (0.7, 0.7, 2.0), (-90.0, -85.0, -120.0))
    noise = torch.randn(scan.shape, generator=torch.Generator().manual_seed(0)) * 50 - 500
    whole = seen(Volume(noise, scan), scan.corners, 1.25, scan)
    for shift in (0.0, 0.7):
        region = Grid.covering((-31.0 + shift, -40.0, -52.5), (22.0 + shift, 31.0, 17.0), 2.0)
        on = lattice(scan, region, 1.25)
        found = seen(Volume(noise, scan), on.corners, 1.25, scan).resample(on)
        assert torch.allclose(found.data, whole.crop_to(on).data, atol=0.05)


def test_blur_between_voxels_and_on_them_is_less_unlike() -> None:
    """White noise, read on the voxels and half-way between: its spread tells of the blur."""
    grid = Grid((60, 60, 60), (2.0, 2.0, 2.0))
    noise = torch.randn(grid.shape, generator=torch.Generator().manual_seed(0)) * 50 - 500

    def ripple(volume: Volume) -> float:
        between = Grid(
            (58, 58, 58), grid.spacing, tuple(grid.to_world((1.5, 1.5, 1.5))), grid.direction
        )
        return float(volume.data.std() / volume.resample(between).data.std())

    assert ripple(seen(Volume(noise, grid), grid.corners, 1.5, grid)) < 0.9 * ripple(
        Volume(noise, grid)
    )
    # of voxels finer than the scale as much is left as of those it would take
    assert float(seen(Volume(noise, grid), grid.corners, 3.4, grid).data.std()) < float(
        seen(Volume(noise, grid), grid.corners, 1.5, grid).data.std()
    )


def test_beside_thick_slices_thin_ones_are_blurred_as_much() -> None:
    """Thin slices then show what thick ones do, along their own axis alone, whatever the axes are called."""
    grid = Grid((40, 36, 60), (1.5, 1.5, 1.25), (0.0, 0.0, 0.0))
    noise = torch.randn(grid.shape, generator=torch.Generator().manual_seed(3)) * 100 - 500
    scan = Volume(noise, grid)
    # as thick as four of them, stored from head to foot and with the slices first
    axes = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0))
    thick = Grid((15, 36, 40), (5.0, 1.5, 1.5), (0.0, 0.0, 0.0), axes)
    alone, beside = (seen(scan, grid.corners, 1.25, other).data for other in (grid, thick))
    slabs = scan.in_blocks((1, 1, 4)).data
    fits = [float(np.corrcoef(slabs[2:-2, 3:-3, 3:-3].flatten(), (found[1::4] + found[2::4])[2:-2, 3:-3, 3:-3].flatten() / 2)[0, 1]) for found in (alone, beside)]  # fmt: skip
    assert fits[1] > 0.9 > fits[0] + 0.03
    assert float(beside.std()) < 0.7 * float(alone.std())
    # of thick slices beside thin ones nothing is taken away
    coarse = Volume(torch.zeros(thick.shape), thick)
    assert torch.equal(seen(coarse, thick.corners, 1.25, grid).data, coarse.data)
