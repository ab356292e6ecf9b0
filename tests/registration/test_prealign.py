import numpy as np
import pytest
import torch
from tests.geometry import small_affine

from lungmorph.errors import InputError
from lungmorph.registration.lungs import lung_mask
from lungmorph.registration.prealign import prealign
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Affine, Grid, Volume


def carried(volume: Volume, by: Affine) -> Volume:
    """The same scan, seen in a frame moved by ``by`` (anatomy point p lies at by(p))."""
    low, high = by.apply(volume.grid.corners).min(0), by.apply(volume.grid.corners).max(0)
    grid = Grid.covering(low, high, 3.0)
    return by.inverse().warp(volume, grid, fill=-1000.0)


@pytest.mark.parametrize("shift", [(0, 0, 0), (310.0, -250.0, 1400.0)])
def test_an_affine_map_is_found_however_far_the_frames(
    small_pair: SimulatedPair, shift: tuple[float, ...]
) -> None:
    fixed, lungs = small_pair.fixed, small_pair.fixed_lungs
    true = Affine.from_parts(np.eye(3), shift).after(small_affine(4, fixed.grid, 15.0, 0.06))
    moving = carried(fixed, true)
    found = prealign(fixed, moving, lungs, lung_mask(moving))
    points = lungs.grid.to_world(lungs.data.nonzero().flip(1).numpy()[::200])
    error = np.linalg.norm(found.apply(points) - true.apply(points), axis=1)
    assert error.mean() < 1.5


@pytest.mark.parametrize(("first", "count"), [(0, 60), (35, 65)])
def test_a_lung_cut_off_in_one_scan_does_not_pull(
    small_pair: SimulatedPair, first: int, count: int
) -> None:
    fixed = small_pair.fixed
    part = fixed.crop_to(fixed.grid.crop((0, 0, first), (104, 84, count)))
    moving = Volume(
        part.data, Grid(part.grid.size, part.grid.spacing, tuple(np.asarray(part.grid.origin) + 80))
    )
    found = prealign(fixed, moving, lung_mask(fixed), lung_mask(moving))
    lungs = small_pair.fixed_lungs.data.clone()
    lungs[:first] = lungs[first + count :] = False
    points = fixed.grid.to_world(lungs.nonzero().flip(1).numpy()[::200])
    assert np.linalg.norm(found.apply(points) - (points + 80), axis=1).mean() < 4.0


def test_scans_without_a_common_lung_are_refused(small_pair: SimulatedPair) -> None:
    fixed = small_pair.fixed
    top = fixed.crop_to(fixed.grid.crop((0, 0, 74), (104, 84, 22)))
    ball = Grid((60, 60, 60), (3.0, 3.0, 3.0))
    centers = ball.to_world(np.argwhere(np.ones(ball.shape))[:, ::-1]) - ball.center
    inside = (np.abs(centers) < [80, 12, 8]).all(axis=1).reshape(ball.shape)
    hu = torch.where(torch.from_numpy(inside), -850.0, 40.0)
    other = Volume(hu, ball)
    with pytest.raises(InputError, match=r"top\.nii and ball\.nii: .*common"):
        prealign(top, other, lung_mask(top), Volume(hu < -500, ball), names=("top.nii", "ball.nii"))
