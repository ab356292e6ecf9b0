import numpy as np
import pytest
import torch
from scipy import ndimage

from lungmorph.ops import box_mean, dilated, eroded, gaussian, normalize_locally

IMAGE = torch.rand(1, 2, 11, 9, 13, generator=torch.Generator().manual_seed(0))


def test_box_mean_is_scipys_uniform_filter() -> None:
    for radius in (0, 1, 3, (3, 0, 1)):
        along_xyz = np.broadcast_to(radius, 3)
        sides = 2 * along_xyz[::-1] + 1
        expected = ndimage.uniform_filter(IMAGE[0, 1].numpy(), sides, mode="nearest")
        np.testing.assert_allclose(box_mean(IMAGE, radius)[0, 1], expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 2, 5, 6, 7), (1, 1, 1, 2, 3)])  # also shorter than the box
@pytest.mark.parametrize("radius", [1, 2, 4, (0, 1, 2)])
def test_the_gradient_of_a_box_mean_is_that_of_differences(shape, radius) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: box_mean(x, radius), image.requires_grad_())


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


def test_masks_grow_and_shrink_by_cubes() -> None:
    mask = torch.rand(9, 12, 10, generator=torch.Generator().manual_seed(1)) > 0.97
    cube = np.ones((5, 5, 5))
    grown = ndimage.binary_dilation(mask.numpy(), cube)
    np.testing.assert_array_equal(dilated(mask, 2).numpy(), grown)
    shrunk = ndimage.binary_erosion(grown, cube, border_value=1)
    np.testing.assert_array_equal(eroded(torch.from_numpy(grown), 2).numpy(), shrunk)
