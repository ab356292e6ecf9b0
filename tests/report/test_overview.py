"""The picture: its planes lie where they say, and it is drawn for grids of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from lungmorph.registration import Registration
from lungmorph.report.overview import draw, start_between
from lungmorph.report.planes import MARGIN_MM, middle_planes
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Affine, Grid, Volume

TURN = np.deg2rad(30)
OBLIQUE = (
    (np.cos(TURN), 0.0, np.sin(TURN)),
    (0.0, 1.0, 0.0),
    (-np.sin(TURN), 0.0, np.cos(TURN)),
)


def box_mask(grid: Grid, low: tuple[float, ...], high: tuple[float, ...]) -> Volume:
    points = grid.to_world(np.indices(grid.size).T)
    inside = ((points >= low) & (points <= high)).all(-1)
    return Volume(torch.from_numpy(inside), grid)


def test_planes_are_of_the_patient_and_not_of_the_scan() -> None:
    wide = Grid.covering((-150, -150, -150), (150, 150, 150), 3.0)
    oblique = Grid((110, 100, 75), (2.7, 3.0, 4.0), (-180.0, -150.0, -60.0), OBLIQUE)
    low, high = (-60, -40, -50), (60, 40, 50)
    for grid in (wide, oblique):
        for plane in middle_planes(box_mask(grid, low, high), wide):
            across, up = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}[plane.name]
            for extent, axis in ((plane.width_mm, across), (plane.height_mm, up)):
                assert extent == pytest.approx(high[axis] - low[axis] + 2 * MARGIN_MM, abs=8)
            assert np.allclose(plane.grid.direction, np.eye(3))
            assert low[plane.cuts] - 3 <= plane.at_mm <= high[plane.cuts] + 3


def test_pictures_have_the_letters_where_they_belong() -> None:
    grid = Grid.covering((-60, -60, -60), (60, 60, 60), 2.0)
    for plane in middle_planes(box_mask(grid, (-40, -40, -40), (40, 40, 40)), grid):
        # an image whose value is the position along one axis grows towards that axis' letter
        for axis, (growing, falling) in enumerate((("L", "R"), ("P", "A"), ("S", "I"))):
            if axis == plane.cuts:
                continue
            values = plane.grid.to_world(np.indices(plane.grid.size).T)[..., axis]
            shown = plane.picture(values.astype(np.float32))
            left, right, top, bottom = plane.letters
            ends = {left: shown[:, 0], right: shown[:, -1], top: shown[0], bottom: shown[-1]}
            assert ends[growing].mean() > ends[falling].mean() + 50


def test_other_scanner_frames_are_laid_on_each_other_and_a_breath_is_not() -> None:
    grid = Grid((110, 100, 75), (2.7, 3.0, 4.0), (-180.0, -150.0, -60.0), OBLIQUE)
    lungs = box_mask(grid, (-60, -40, -50), (60, 40, 50))
    breath = box_mask(grid, (-60, -40, -70), (60, 40, 50))
    start, name = start_between(lungs, breath)
    assert name == "as given"
    assert np.allclose(start.apply([1.0, 2, 3]), (1, 2, 3))
    away = np.array([250.0, -40, 1200])
    there = Grid(grid.size, grid.spacing, tuple(np.asarray(grid.origin) + away), grid.direction)
    start, name = start_between(lungs, Volume(lungs.data, there))
    assert name == "pre-aligned"
    assert np.allclose(start.apply([1.0, 2, 3]), (251, -38, 1203))


def test_sagittal_plane_goes_through_a_lung_and_not_between_them() -> None:
    grid = Grid.covering((-150, -100, -100), (150, 100, 100), 4.0)
    right = box_mask(grid, (-120, -60, -80), (-30, 60, 80)).data
    left = box_mask(grid, (30, -60, -80), (110, 60, 80)).data
    sagittal = middle_planes(Volume(left | right, grid), grid)[2]
    assert 30 <= abs(sagittal.at_mm) <= 120


@pytest.mark.parametrize("shift", [0.0, 60.0])
def test_overlay_is_grey_where_the_images_agree(
    small_pair: SimulatedPair, tmp_path: Path, shift: float
) -> None:
    """With the truth as transform the second column is grey, the first is not."""
    # scanner frames apart by `shift` are compared after the pre-alignment
    offset = Affine.from_parts(np.eye(3), (0.0, 0.0, shift))
    moving, lungs = (
        Volume(v.data, Grid(v.grid.size, v.grid.spacing, tuple(offset.apply(v.grid.origin))))
        for v in (small_pair.moving, small_pair.moving_lungs)
    )
    truth = small_pair.truth
    moved = truth.data.clone()
    moved[2] += shift
    result = Registration(
        fixed=small_pair.fixed,
        moving=moving,
        fixed_lungs=small_pair.fixed_lungs,
        moving_lungs=lungs,
        transform=type(truth)(moved, truth.grid),
        prealigned=offset,
        settings={"fixed": "/data/a/exhale.nii.gz", "moving": "/data/b/inhale.nii.gz"},
        seconds={"refine": 1.0},
    )
    draw(result, tmp_path / "o.png")
    picture = imread(tmp_path / "o.png")[..., :3]
    width = picture.shape[1] // 4
    rows = slice(picture.shape[0] // 6, -picture.shape[0] // 8)
    colour = [
        float(np.abs(picture[rows, c * width : (c + 1) * width, 0] - picture[rows, c * width : (c + 1) * width, 1]).mean())
        for c in (0, 1)
    ]  # fmt: skip
    assert colour[1] < 0.6 * colour[0]
