"""Surface distances against closed forms, an exact distance transform and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.spatial.distance import cdist

from lungmorph.measures import surface_distance

SPACING = (1.3, 0.9, 2.1)  # x, y, z


def ball(radius: float, shape: tuple[int, int, int] = (40, 72, 54)) -> torch.Tensor:
    z, y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    away = np.sqrt(
        (SPACING[2] * z[:, None, None]) ** 2
        + (SPACING[1] * y[:, None]) ** 2
        + (SPACING[0] * x) ** 2
    )
    return torch.from_numpy(away <= radius)


def test_of_concentric_spheres_is_the_difference_of_their_radii() -> None:
    found = surface_distance(ball(18.0), ball(25.0), SPACING)
    assert found is not None
    # the nearest step of a staircase is nearer than the sphere that it stands for; a voxel is up to 2.1 mm
    assert found.mean == pytest.approx(7.0, abs=0.5)
    assert found.p95 == pytest.approx(7.0, abs=1.5)
    assert found.max == pytest.approx(7.0, abs=2.5)
    same = surface_distance(ball(18.0), ball(18.0), SPACING)
    assert same is not None
    assert (same.mean, same.p95, same.max) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("axis", "step"), [(0, 2.1), (1, 0.9), (2, 1.3)])
def test_of_a_shifted_box_knows_which_axis_is_which(axis: int, step: float) -> None:
    a = torch.zeros(20, 20, 20, dtype=torch.bool)
    a[4:12, 5:13, 6:14] = True
    found = surface_distance(a, a.roll(3, dims=axis), SPACING)
    assert found is not None
    assert found.max == pytest.approx(3 * step)


def test_agrees_with_distance_transform_and_brute_force() -> None:
    rng = np.random.default_rng(4)
    masks = [rng.random((9, 11, 12)) > 0.7 for _ in range(2)]  # touches every side of the image
    edges = [mask & ~binary_erosion(mask) for mask in masks]
    sampling = SPACING[::-1]
    maps = [distance_transform_edt(~edge, sampling=sampling) for edge in edges]
    there, back = maps[1][edges[0]], maps[0][edges[1]]
    points = [np.argwhere(edge) * sampling for edge in edges]
    assert np.allclose(there, cdist(*points).min(axis=1))
    found = surface_distance(torch.from_numpy(masks[0]), torch.from_numpy(masks[1]), SPACING)
    assert found is not None
    assert found.mean == pytest.approx(np.concatenate((there, back)).mean())
    assert found.p95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert found.max == pytest.approx(max(there.max(), back.max()))


def test_of_an_empty_mask_does_not_exist() -> None:
    mask = ball(10.0)
    assert surface_distance(mask, torch.zeros_like(mask), SPACING) is None
    assert surface_distance(torch.zeros_like(mask), mask, SPACING) is None
