import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lungmorph.ops import compose, gaussian, integrate, invert, jacobian_determinant, sample, warp
from lungmorph.ops.sample import identity_points

SHAPE = (14, 12, 16)


def field(seed: int, size: float, sigma: float = 2.5) -> torch.Tensor:
    noise = torch.randn(1, 3, *SHAPE, generator=torch.Generator().manual_seed(seed))
    smooth = gaussian(noise, sigma)
    return smooth * (size / smooth.abs().max())


def image(seed: int = 0) -> torch.Tensor:
    return gaussian(torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(seed)), 1.5)


def test_warp_is_scipys_map_coordinates() -> None:
    u = field(1, 3.0)
    index = np.indices(SHAPE).astype(float)
    at = index + u[0].flip(0).double().numpy()  # channels (x, y, z) -> axes (z, y, x)
    expected = ndimage.map_coordinates(image()[0, 0].double().numpy(), at, order=1, mode="nearest")
    np.testing.assert_allclose(warp(image(), u)[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_sampling_does_not_depend_on_threads(threads: int) -> None:
    before = torch.get_num_threads()
    points = identity_points(SHAPE, image()) + 0.1
    expected = torch.nn.functional.grid_sample(
        image(), points, align_corners=True, padding_mode="border"
    )
    try:
        torch.set_num_threads(threads)
        assert torch.equal(sample(image(), points), expected)
    finally:
        torch.set_num_threads(before)


@given(st.integers(0, 500))
@settings(deadline=None, max_examples=15)
def test_composition_is_one_warp_after_the_other(seed: int) -> None:
    first, then = field(seed, 1.5, 3.5), field(seed + 1, 1.5, 3.5)
    ramp = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in SHAPE], indexing="ij"))[
        None
    ]
    twice = warp(warp(ramp, then), first)
    once = warp(ramp, compose(first, then))
    inner = (..., slice(3, -3), slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(twice[inner], once[inner], atol=0.02)


@given(st.integers(0, 500))
@settings(deadline=None, max_examples=15)
def test_inverse_undoes_the_field(seed: int) -> None:
    u = field(seed, 1.3)  # none of these folds; at 2.0 some do, and two of them cannot be undone
    v, missed = invert(u)
    assert float(missed.abs().max()) < 0.1
    inner = (..., slice(3, -3), slice(3, -3), slice(3, -3))
    assert float(compose(v, u)[inner].abs().max()) < 0.05


def test_integrating_a_linear_velocity_is_the_exponential() -> None:
    """x' = a x has the flow x exp(a): a stretch by exp(0.1) about the middle."""
    x = torch.arange(float(SHAPE[2])) - 7.5
    velocity = torch.zeros(1, 3, *SHAPE)
    velocity[:, 0] = 0.1 * x
    displacement = integrate(velocity, steps=8)
    np.testing.assert_allclose(
        displacement[0, 0, 5, 5, 4:12], (np.exp(0.1) - 1) * x[4:12], atol=2e-3
    )


def test_integrating_backwards_gives_the_inverse() -> None:
    velocity = field(3, 1.5, 3.5)
    there, back = integrate(velocity), integrate(-velocity)
    inner = (..., slice(3, -3), slice(3, -3), slice(3, -3))
    assert float(compose(there, back)[inner].abs().max()) < 0.03


def test_jacobian_in_mm_of_an_anisotropic_stretch() -> None:
    spacing = (0.7, 1.3, 2.5)
    u = torch.zeros(1, 3, *SHAPE)
    z, y, x = (torch.arange(float(n)) for n in SHAPE)
    u[:, 0] = 0.2 * 0.7 * x
    u[:, 1] = -0.1 * 1.3 * y[:, None]
    u[:, 2] = 0.5 * 2.5 * z[:, None, None]
    np.testing.assert_allclose(jacobian_determinant(u, spacing), 1.2 * 0.9 * 1.5, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_what_is_read(threads: int) -> None:
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 2, 5, 6, 7, generator=generator)
    points = torch.rand(1, 3, 5, 7, 3, generator=generator) * 2.4 - 1.2  # 105: odd
    expected = F.grid_sample(image, points, padding_mode="border", align_corners=True)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert torch.equal(sample(image, points), expected)
    finally:
        torch.set_num_threads(before)
