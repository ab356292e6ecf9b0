"""Lung without air in one scan, on oblique scans of unlike voxels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lungmorph.quality.airless import BESIDE_MM, airless
from lungmorph.space import Affine, Grid, Volume
from lungmorph.space.sampling import world_points

MIDDLE = np.array([40.0, -25.0, 310.0])
#: The moving scanner's frame is shifted, and the lung of the moving scan ends lower by a breath.
SHIFT = np.array([60.0, 20.0, -150.0])
HALF = np.array([50.0, 60.0, 80.0])
LATTICE = Grid.covering(MIDDLE - HALF - 12, MIDDLE + HALF + 12, 3.0)
#: Where the lung has no air: a ball of 50 mm.
SPOT, RADIUS = MIDDLE + np.array([10.0, -20.0, 35.0]), 25.0


def scan(middle: np.ndarray, collapsed: np.ndarray | None, masked: bool) -> tuple[Volume, Volume]:
    """An ellipsoid of lung, without air in a ball if asked, and its mask; with the ball in it or, as an automatic one, without."""
    turned = Rotation.from_euler("xyz", [10, -20, 30], degrees=True).as_matrix()
    size, spacing = (92, 96, 72), np.array([2.0, 2.0, 3.5])
    corner = middle - turned @ (spacing * (np.array(size) - 1) / 2)
    grid = Grid(size, tuple(spacing), tuple(corner), turned)
    at = world_points(grid).numpy()
    lung = (((at - middle) / HALF) ** 2).sum(-1) < 1
    ball = np.zeros_like(lung)
    if collapsed is not None:
        ball = np.linalg.norm(at - collapsed, axis=-1) < RADIUS
    hu = np.where(lung & ~ball, -850.0, 30.0).astype(np.float32)
    mask = lung if masked else lung & ~ball
    return Volume(torch.from_numpy(hu), grid), Volume(torch.from_numpy(mask), grid)


def shift(*extra: float) -> Affine:
    return Affine.from_parts(np.eye(3), SHIFT + (extra or (0.0, 0.0, 0.0)))


def far_from(spot: np.ndarray) -> np.ndarray:
    return np.linalg.norm(world_points(LATTICE).numpy() - spot, axis=-1)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_it_is_found_where_it_is(which: str, masked: bool) -> None:
    fixed, fixed_lungs = scan(MIDDLE, SPOT if which == "fixed" else None, masked)
    moving, moving_lungs = scan(MIDDLE + SHIFT, SPOT + SHIFT if which == "moving" else None, masked)
    found = airless(fixed, moving, fixed_lungs, moving_lungs, shift(), shift(2, 0, 1), LATTICE)
    away = far_from(SPOT)
    assert bool(found[away < RADIUS + BESIDE_MM - 8].all())
    assert not bool(found[away > RADIUS + BESIDE_MM + 6].any())


def test_lungs_that_hold_air_have_none() -> None:
    images = [scan(middle, None, True) for middle in (MIDDLE, MIDDLE + SHIFT)]
    (fixed, fixed_lungs), (moving, moving_lungs) = images
    found = airless(fixed, moving, fixed_lungs, moving_lungs, shift(), shift(), LATTICE)
    assert not bool(found.any())


def test_a_mapping_that_misses_the_diaphragm_is_no_excuse() -> None:
    """It carries 30 mm of what lies below the lung into lung, and of the lung into what lies above; the other one does not."""
    images = [scan(middle, None, True) for middle in (MIDDLE, MIDDLE + SHIFT)]
    (fixed, fixed_lungs), (moving, moving_lungs) = images
    wrong = shift(0, 0, 30)
    found = airless(fixed, moving, fixed_lungs, moving_lungs, wrong, shift(), LATTICE)
    assert not bool(found.any())


def test_what_lies_beyond_a_scan_is_not_taken_for_lung() -> None:
    """The moving scan ends in the lung; both mappings lead on beyond it."""
    images = [scan(middle, None, True) for middle in (MIDDLE, MIDDLE + SHIFT)]
    (fixed, fixed_lungs), (moving, moving_lungs) = images
    start, size = [0, 0, 30], [*moving.grid.size[:2], moving.grid.size[2] - 30]
    cut = moving.grid.crop(start, size)
    moving, moving_lungs = (Volume(volume.data[30:], cut) for volume in (moving, moving_lungs))
    found = airless(fixed, moving, fixed_lungs, moving_lungs, shift(), shift(), LATTICE)
    assert not bool(found.any())
