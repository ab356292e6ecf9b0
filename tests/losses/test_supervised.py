"""Landmark distance and forward-backward consistency against scipy, on an anisotropic lattice."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from lungmorph import losses

SHAPE = (6, 7, 9)
SPACING = (0.8, 1.5, 2.5)


def field(seed: int, size: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(1, 3, *SHAPE, generator=generator, dtype=torch.float64)


def read(values: torch.Tensor, at: np.ndarray) -> np.ndarray:
    """(3, ...) at (3, ...) voxels (x, y, z); beyond the edge, what is at the edge."""
    channels = values[0].numpy()
    return np.stack([map_coordinates(c, at[::-1], order=1, mode="nearest") for c in channels])


def test_landmark_distance_is_in_mm_along_each_axis() -> None:
    u = field(0)
    rng = np.random.default_rng(1)
    fixed, moving = (rng.uniform(0, np.array(SHAPE[::-1]) - 1, (20, 3)) for _ in range(2))
    expected = np.linalg.norm((fixed + read(u, fixed.T).T - moving) * SPACING, axis=1)
    points = torch.as_tensor(fixed), torch.as_tensor(moving)
    found = losses.landmark_distance(u, *points, SPACING, smooth=0)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_landmark_that_is_hit_has_a_gradient_of_zero() -> None:
    u = torch.zeros(1, 3, *SHAPE, requires_grad=True)
    point = torch.tensor([[2.0, 3.0, 1.0]])
    distance = losses.landmark_distance(u, point, point)
    (gradient,) = torch.autograd.grad(distance.sum(), u)
    assert float(distance.detach()) == pytest.approx(0, abs=1e-7)
    assert float(gradient.abs().max()) == 0


def test_landmark_distance_in_a_moving_scan_that_is_seen_through_an_affine() -> None:
    """x = A p: what is missed by d on the lattice is missed by A d in the scan."""
    u = torch.zeros(1, 3, 4, 4, 4)
    point = torch.tensor([[1.0, 1.0, 1.0]])
    affine = torch.tensor([[0.0, -2.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.0, 3.0]])
    missed = torch.tensor([[0.0, 1.0, 2.0]])
    found = losses.landmark_distance(u, point, point - missed, (1.0, 1.0, 2.0), 0, affine)
    assert float(found) == pytest.approx((2.0**2 + 2.0**2 + 12.0**2) ** 0.5)


def test_gradient_of_the_landmark_distance() -> None:
    points = torch.tensor([[2.3, 3.1, 1.7], [5.5, 2.2, 3.4]], dtype=torch.float64)
    u = field(3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: losses.landmark_distance(v, points, points + 1.3, SPACING), (u,)
    )


def test_there_and_back_is_what_a_point_misses_itself_by() -> None:
    there, back = field(4, 0.7), field(5, 0.7)
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in SHAPE), indexing="ij")
    moved = np.stack([x, y, z]) + there[0].numpy()
    missed = there[0].numpy() + read(back, moved)
    length = np.sqrt(((missed * np.array(SPACING)[:, None, None, None]) ** 2).sum(axis=0))
    mask = torch.zeros(1, 1, *SHAPE, dtype=torch.bool)
    mask[..., 2:-2, 2:-2, 2:-2] = True
    found = losses.forward_backward(there, back, mask, SPACING, smooth=0)
    assert float(found) == pytest.approx(length[mask[0, 0].numpy()].mean(), rel=1e-6)


def test_a_shift_and_its_opposite_undo_each_other() -> None:
    shift = torch.tensor([0.6, -1.1, 0.4]).view(1, 3, 1, 1, 1).expand(1, 3, *SHAPE)
    assert float(losses.forward_backward(shift, -shift)) < 1e-5
    length = 2 * np.linalg.norm(np.array([0.6, -1.1, 0.4]) * SPACING)
    found = losses.forward_backward(shift, shift, None, SPACING, smooth=0)
    assert float(found) == pytest.approx(length, rel=1e-5)
