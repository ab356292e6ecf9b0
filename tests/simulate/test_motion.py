import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lungmorph.errors import InputError
from lungmorph.ops import jacobian_determinant
from lungmorph.simulate import Breath, Draw, breathing_field, fit_motion, load_motion, random_field
from lungmorph.simulate.breathing import (
    LEAST_DETERMINANT,
    least_determinant,
    lung_box,
    slide,
    without_folds,
)
from lungmorph.simulate.splines import smooth_noise
from lungmorph.space import Grid, Volume

GRID = Grid((64, 48, 60), (5.0, 5.0, 5.0), (-160.0, -120.0, -150.0))


def data_folder() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("LUNGMORPH_DATA", default))


def two_lungs() -> Volume:
    z, y, x = torch.meshgrid(*(torch.arange(n) * 5.0 for n in GRID.shape), indexing="ij")
    x, y, z = x - 160, y - 120, z - 150
    mask = torch.zeros(GRID.shape, dtype=torch.bool)
    for side in (-1, 1):
        mask |= ((x - side * 65) / 52) ** 2 + (y / 80) ** 2 + (z / 110) ** 2 < 1
    return Volume(mask, GRID)


def test_smooth_noise_has_unit_deviation_and_is_one_patient_at_any_spacing():
    fine = Grid((96, 72, 90), (10 / 3,) * 3, tuple(GRID.center - np.array([95, 71, 89]) * 5 / 3))
    a, b = (smooth_noise(Draw(3), g, 20.0)[0] for g in (GRID, fine))
    assert float(a.std()) == pytest.approx(1.0, abs=0.15)
    seen = Volume(b, fine).resample(GRID).data
    assert float((seen - a)[2:-2, 2:-2, 2:-2].abs().mean()) < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_random_fields_have_their_amplitude_and_no_folds(seed):
    field = random_field(Draw(seed), GRID, 12.0)
    assert least_determinant(field, GRID) > LEAST_DETERMINANT
    assert float(field.norm(dim=0).max()) <= 12.01
    assert torch.equal(field, random_field(Draw(seed), GRID, 12.0))


def test_a_fold_is_removed():
    field = torch.zeros(3, *GRID.shape)
    field[0, 20:40, 20:30, 30:40] = 30.0
    assert least_determinant(field, GRID) < 0
    assert least_determinant(without_folds(field, GRID), GRID) > LEAST_DETERMINANT


@pytest.mark.parametrize("seed", range(3))
def test_breathing_grows_to_the_base_and_points_the_right_way(seed):
    lungs = two_lungs()
    field = breathing_field(Draw(seed), lungs, Breath(25.0, 8.0, 5.0, random=0.0))
    assert least_determinant(field, GRID) > LEAST_DETERMINANT
    inside = lungs.data
    z = torch.arange(60)[:, None, None].expand(GRID.shape)
    base, apex = inside & (z < 16), inside & (z > 45)
    assert float(field[2][base].mean()) < -8  # the diaphragm of the moving image is lower
    assert abs(float(field[2][apex].mean())) < 3
    y = torch.arange(48)[None, :, None].expand(GRID.shape)
    assert float(field[1][inside & (y < 16)].mean()) < -2  # and its chest is further out
    x = torch.arange(64)[None, None].expand(GRID.shape)
    assert float(field[0][inside & (x > 44)].mean()) > 0.5
    assert float(field[0][inside & (x < 20)].mean()) < -0.5
    # a deeper moving breath: the lung is bigger there
    volume = jacobian_determinant(field[None], GRID.spacing)[0, 0][inside].mean()
    assert float(volume) > 1.02


def test_lungs_slide_along_the_chest_wall_but_are_not_torn_off():
    lungs = two_lungs()
    field = torch.zeros(3, *GRID.shape)
    field[2] = -15.0
    moved = slide(field, lungs, 1.0)
    assert least_determinant(moved, GRID) > LEAST_DETERMINANT
    centre = (30, 24, 45)
    assert float(moved[2][centre]) == pytest.approx(-15.0, abs=0.5)
    outside = (30, 24, 32 + 26)  # lateral of the left lung
    assert abs(float(moved[2][outside])) < 6.0
    # a motion across the wall is carried on to the wall
    field[2], field[0] = 0.0, 10.0
    assert float(slide(field, lungs, 1.0)[0][outside]) > 8.0


def test_a_known_smooth_motion_is_found_in_spite_of_outliers():
    rng = np.random.default_rng(0)
    points = rng.uniform((0, 0, 0), (260, 200, 240), (1200, 3))

    def motion(p):
        s = p / 80
        return np.stack(
            (
                3 * np.sin(s[:, 1]),
                4 * np.cos(s[:, 2]),
                -0.08 * (240 - p[:, 2]) + 2 * np.sin(s[:, 0]),
            ),
            1,
        )

    moving = points + motion(points) + rng.normal(0, 0.3, points.shape)
    wrong = rng.choice(1200, 60, replace=False)
    moving[wrong] += rng.uniform(-40, 40, (60, 3))
    fitted = fit_motion(points, moving)
    lungs = Volume(torch.ones(26, 21, 25, dtype=torch.bool), Grid((25, 21, 26), (10.0,) * 3))
    grid = Grid((25, 21, 26), (10.0, 10.0, 10.0))
    # laid on a box of the very same measures, nothing is stretched
    size = fitted.high - fitted.low
    own = Grid((25, 21, 26), tuple(size / (24, 20, 25)), tuple(fitted.low))
    field = fitted.field_on(own, Volume(lungs.data, own)).numpy()
    world = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), -1).reshape(
        -1, 3
    )
    expected = motion(own.to_world(world))
    found = field[:, world[:, 2], world[:, 1], world[:, 0]].T
    error = np.linalg.norm(found - expected, axis=1)
    assert np.mean(error) < 0.5
    assert np.quantile(fitted.residuals, 0.5) < 0.8
    half = fitted.field_on(own, Volume(lungs.data, own), amplitude=0.5).numpy()
    assert np.allclose(half, field / 2, atol=1e-4)


def test_file_says_whether_it_counts_in_voxels_or_in_mm(tmp_path):
    points = np.random.default_rng(2).uniform(0, 60, (40, 6))
    points[:, 3:] = points[:, :3] + [1.0, 2.0, 4.0]

    def mean_of(*head, turn=1.0):
        rows = [",".join(map(str, row)) for row in points * turn]
        (tmp_path / "motion.csv").write_text("\n".join([*head, *rows]) + "\n")
        return load_motion(tmp_path / "motion.csv").coefficients.mean(dim=(1, 2, 3)).numpy()

    voxels = np.array([1.0, 2.0, 4.0]) * (1.75, 1.25, 1.75)
    pairs = "fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z"
    assert np.allclose(mean_of(), voxels, atol=0.01)
    keypoints = "exhale_i,exhale_j,exhale_k,inhale_i,inhale_j,inhale_k"
    assert np.allclose(mean_of(keypoints), voxels, atol=0.01)
    assert np.allclose(mean_of("# LPS mm", pairs), [1, 2, 4], atol=0.01)
    assert np.allclose(mean_of(pairs), [1, 2, 4], atol=0.01)
    turn = np.array([-1, -1, 1, -1, -1, 1])
    assert np.allclose(mean_of("# RAS mm", pairs, turn=turn), [1, 2, 4], atol=0.01)
    with pytest.raises(InputError, match="fixed_x"):
        mean_of("a,b,c,d,e,f")


def test_keypoint_tables_that_are_none_are_refused(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("1,2,3\n4,5,6\n")
    with pytest.raises(InputError, match="rows"):
        load_motion(bad)
    with pytest.raises(InputError):
        load_motion(tmp_path / "missing.csv")
    # of points in one slice no motion of a lung can be made
    flat = np.random.default_rng(1).uniform(0, 100, (40, 6))
    flat[:, [2, 5]] = 7
    np.savetxt(bad, flat, delimiter=",")
    with pytest.raises(InputError, match="at least 20 mm along x, y and z, found only"):
        load_motion(bad)


@pytest.mark.parametrize(
    "name", ["learn2reg_lung_keypoints/case_003.csv", "copdgene/case_01_landmarks.csv"]
)
def test_real_motion_fits_its_keypoints_and_carries_over(name):
    path = data_folder() / "motion" / name
    if not path.exists():
        pytest.skip(f"real keypoints not found at {path}")
    motion = load_motion(path)
    assert np.median(motion.residuals) < 2.0
    lungs = two_lungs()
    field = motion.field_on(GRID, lungs)
    assert least_determinant(field, GRID) > LEAST_DETERMINANT
    assert 2 < float(field[:, lungs.data].norm(dim=0).mean()) < 40


def test_the_box_of_a_mask():
    mask = torch.zeros(GRID.shape, dtype=torch.bool)
    mask[10:20, 5:8, 30:33] = True
    low, high = lung_box(Volume(mask, GRID))
    assert low.tolist() == [-10.0, -95.0, -100.0]
    assert high.tolist() == [0.0, -85.0, -55.0]
    with pytest.raises(ValueError, match="empty"):
        lung_box(Volume(torch.zeros_like(mask), GRID))
