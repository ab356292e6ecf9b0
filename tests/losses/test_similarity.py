"""LNCC, MSE, mass and MIND against closed forms and slow, plain recomputations."""

import numpy as np
import pytest
import torch

from lungmorph import losses

SHAPE = (1, 1, 9, 8, 10)


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_lncc_does_not_see_a_linear_change_of_intensity():
    a = noise(*SHAPE, dtype=torch.float64)
    assert float(losses.lncc(a, 3 * a - 700, floor=1e-6)) == pytest.approx(1, abs=1e-9)
    assert float(losses.lncc(a, -2 * a + 5, floor=1e-6)) == pytest.approx(-1, abs=1e-9)
    # float32, far from 0: HU
    hu = 100 * noise(*SHAPE) - 900
    assert float(losses.lncc(hu, 2 * hu + 30, floor=0.01)) == pytest.approx(1, abs=1e-4)


def test_lncc_is_the_correlation_of_each_window():
    a, b = (
        noise(1, 1, 7, 7, 7, dtype=torch.float64),
        noise(1, 1, 7, 7, 7, seed=1, dtype=torch.float64),
    )
    mask = torch.zeros(1, 1, 7, 7, 7, dtype=torch.bool)
    centres = [(2, 3, 4), (3, 3, 3), (4, 2, 2)]
    expected = []
    for z, y, x in centres:
        mask[0, 0, z, y, x] = True
        window = np.s_[0, 0, z - 2 : z + 3, y - 2 : y + 3, x - 2 : x + 3]
        expected.append(np.corrcoef(a[window].numpy().ravel(), b[window].numpy().ravel())[0, 1])
    found = float(losses.lncc(a, b, mask, radius=2, floor=1e-9))
    assert found == pytest.approx(np.mean(expected), abs=1e-9)


def test_lncc_of_flat_patches_is_finite_with_a_bounded_gradient():
    a = torch.zeros(1, 1, 12, 12, 12)
    a[..., 6:] = noise(1, 1, 12, 12, 6) * 0.2
    for b in (torch.full_like(a, 0.5), a.clone(), torch.zeros_like(a)):
        b = b.requires_grad_()
        value = losses.lncc(a, b, radius=2, floor=0.01)
        (gradient,) = torch.autograd.grad(value, b)
        assert torch.isfinite(value)
        # away from the border, which a window reads more than once
        inner = gradient[..., 4:-4, 4:-4, 4:-4] * a.numel()
        assert float(inner.abs().max()) < 5**1.5 / 0.01


def test_empty_mask_costs_nothing_and_pulls_nowhere():
    a, b = noise(*SHAPE), noise(*SHAPE, seed=1).requires_grad_()
    value = losses.lncc(a, b, torch.zeros(SHAPE, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(value, b)
    assert float(value.detach()) == 0
    assert float(gradient.abs().max()) == 0


def test_mse_over_the_mask():
    a, b = torch.zeros(SHAPE), torch.full(SHAPE, 3.0)
    b[..., :5] = 100
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[..., 5:] = True
    assert float(losses.mse(a, b, mask)) == pytest.approx(9)


def test_mass_is_preserved_when_density_and_volume_change_together():
    moving = -600 + 50 * noise(*SHAPE)
    determinant = torch.rand(SHAPE, generator=torch.Generator().manual_seed(3)) + 0.5
    fixed = (moving + 1000) * determinant - 1000
    assert float(losses.mass_preserving_difference(fixed, moving, determinant)) < 1e-10
    # water against water of half the volume: half a g/ml apart
    water = torch.zeros(SHAPE)
    found = losses.mass_preserving_difference(water, water, torch.full(SHAPE, 0.5))
    assert float(found) == pytest.approx(0.25)


def test_mind_has_twelve_channels_of_right_angles():
    found = losses.mind_ssc(noise(2, 1, 9, 9, 9))
    assert found.shape == (2, 12, 9, 9, 9)
    assert float(found.min()) > 0
    assert torch.equal(found.amax(dim=1), torch.ones(2, 9, 9, 9))


def test_mind_is_the_patch_distance_of_neighbours():
    image = noise(1, 1, 11, 11, 11, dtype=torch.float64)
    array = image[0, 0].numpy()
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    centre, distances = np.array([5, 5, 5]), []
    for i, first in enumerate(steps):
        for second in steps[i + 1 :]:
            if np.any(np.add(first, second)):
                patches = [
                    array[tuple(slice(c - 1, c + 2) for c in centre + 2 * np.array(s))]
                    for s in (first, second)
                ]
                distances.append(np.mean((patches[0] - patches[1]) ** 2))
    distances = np.sort(np.array(distances) - min(distances))
    expected = np.sort(np.exp(-distances / distances.mean()))
    found = np.sort(losses.mind_ssc(image, floor=0)[0, :, 5, 5, 5].numpy())
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_mind_does_not_see_contrast_inverted_or_scaled():
    image = noise(1, 1, 12, 12, 12, dtype=torch.float64)
    assert float(losses.mind_ssc_difference(image, -5 * image + 3, floor=0)) < 1e-12
    other = noise(1, 1, 12, 12, 12, seed=1, dtype=torch.float64)
    assert float(losses.mind_ssc_difference(image, other)) > 0.01


def test_mind_of_a_flat_image_is_finite_with_finite_gradient():
    flat = torch.full((1, 1, 8, 8, 8), 0.3, requires_grad=True)
    value = losses.mind_ssc_difference(flat, noise(1, 1, 8, 8, 8))
    (gradient,) = torch.autograd.grad(value, flat)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: losses.lncc(a, b, radius=1),
        losses.mse,
        # the ends of the usual-noise clamp and the global mean are constants of the gradient
        lambda a, b: losses.mass_preserving_difference(a, b, 1 + 0.1 * a),
    ],
)
def test_gradients(loss):
    a = noise(1, 1, 4, 3, 4, dtype=torch.float64).requires_grad_()
    b = noise(1, 1, 4, 3, 4, seed=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(loss, (a, b))
