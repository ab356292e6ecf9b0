import numpy as np
import pytest
import torch
from scipy import ndimage

from lungmorph.ops import bent, gaussian, sample, sample_cubic


@pytest.fixture(scope="module")
def image():
    made = torch.randn(1, 1, 20, 24, 28, generator=torch.Generator().manual_seed(1))
    return gaussian(made, 0.6)


def points_in(image, index):
    """Indices (N, 3), (x, y, z), in the frame of sample."""
    last = torch.tensor(image.shape[:1:-1]) - 1
    return (2 * index / last - 1).reshape(1, 1, 1, -1, 3)


def test_between_voxels_it_is_near_the_cubic_spline_and_far_nearer_than_linear(image):
    generator = torch.Generator().manual_seed(2)
    size = torch.tensor(image.shape[:1:-1])
    index = 4 + torch.rand(4000, 3, generator=generator) * (size - 9)
    spline = ndimage.map_coordinates(
        image[0, 0].double().numpy(), index.flip(1).T.double().numpy(), order=3
    )
    at = points_in(image, index)
    cubic = sample_cubic(bent(image), at)[0, 0, 0, 0].numpy()
    linear = sample(image, at)[0, 0, 0, 0].numpy()
    apart, left = (float(np.square(values - spline).mean()) ** 0.5 for values in (linear, cubic))
    assert apart > 0.15 * spline.std()
    assert left < 0.45 * apart


def test_along_one_axis_it_is_the_spline_half_way(image):
    line = image[:, :, 10:11, 12:13].clone()
    index = torch.stack([torch.arange(6, 20) + 0.5, torch.zeros(14), torch.zeros(14)], dim=1)
    found = sample_cubic(bent(line), points_in(line, index.float()).nan_to_num(0.0))
    spline = ndimage.map_coordinates(
        line[0, 0, 0, 0].double().numpy(), [index[:, 0].numpy()], order=3
    )
    assert found.flatten().numpy() == pytest.approx(spline, abs=2e-3)


def test_on_voxels_and_beyond_the_border_nothing_is_added(image):
    index = torch.tensor(
        [[3.0, 5.0, 7.0], [0.0, 0.0, 0.0], [27.0, 23.0, 19.0], [-4.2, 5.0, 7.0], [31.7, 30.1, 25.6]]
    )
    at = points_in(image, index)
    assert torch.allclose(sample_cubic(bent(image), at), sample(image, at), atol=1e-4)


def test_a_ramp_stays_a_ramp():
    ramp = torch.arange(30.0).reshape(1, 1, 1, 1, 30).expand(1, 1, 12, 12, 30)
    index = torch.tensor([[12.3, 5.2, 6.7]])
    assert float(sample_cubic(bent(ramp), points_in(ramp, index))) == pytest.approx(12.3, abs=1e-3)
