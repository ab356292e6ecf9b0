import numpy as np
import torch
from scipy import ndimage

from lungmorph.ops import box_mean, gaussian, normalize_locally

IMAGE = torch.rand(1, 2, 11, 9, 13, generator=torch.Generator().manual_seed(0))


def test_box_mean_is_scipys_uniform_filter() -> None:
    for radius in (0, 1, 3):
        expected = ndimage.uniform_filter(IMAGE[0, 1].numpy(), 2 * radius + 1, mode="nearest")
        np.testing.assert_allclose(box_mean(IMAGE, radius)[0, 1], expected, atol=1e-5)


def test_gaussian_is_scipys_per_axis() -> None:
    expected = ndimage.gaussian_filter(
        IMAGE[0, 0].numpy(), (0.8, 0, 1.7), mode="nearest", truncate=3
    )
    np.testing.assert_allclose(gaussian(IMAGE, (1.7, 0.0, 0.8))[0, 0], expected, atol=2e-3)


def test_local_normalisation_forgets_gain_and_offset() -> None:
    plain = normalize_locally(IMAGE, 2, 0.0)
    changed = normalize_locally(IMAGE * 40 + 7, 2, 0.0)
    np.testing.assert_allclose(plain, changed, atol=1e-2)


def test_local_normalisation_of_a_flat_image_is_zero() -> None:
    flat = normalize_locally(torch.full((1, 1, 8, 8, 8), -850.0), 2, 30.0)
    assert torch.isfinite(flat).all()
    assert float(flat.abs().max()) < 1e-2
