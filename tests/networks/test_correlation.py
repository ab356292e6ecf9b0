import numpy as np
import pytest
import torch

from lungmorph.networks import LevelConfig, MultiLevelConfig, build
from lungmorph.networks.correlation import (
    CorrelationMatch,
    _one_by_one,
    _plane_by_plane,
    correlation_volume,
    shifts,
)


def features(seed: int) -> torch.Tensor:
    return torch.randn(1, 6, 9, 8, 10, generator=torch.Generator().manual_seed(seed))


def test_correlation_volume_is_the_plain_double_loop() -> None:
    fixed, moving = features(0), features(1)
    found = correlation_volume(fixed, moving, 2)[0].numpy()
    a, b = fixed[0].numpy(), moving[0].numpy()
    k, j, i = 4, 3, 5
    for n, (x, y, z) in enumerate(shifts(2)):
        expected = (a[:, k, j, i] * b[:, k + z, j + y, i + x]).mean()
        np.testing.assert_allclose(found[n, k, j, i], expected, atol=1e-5)


def test_the_best_shift_is_the_shift_of_the_features() -> None:
    """moving(p + d) = fixed(p) is answered by d: direction, order of the axes and unit."""
    fixed = features(2)
    moving = torch.roll(fixed, (1, 0, -2), dims=(2, 3, 4))  # z, y, x
    match = CorrelationMatch(2, 4)
    with torch.no_grad():
        match.sharpness.fill_(60.0)
        shift = match(fixed, moving)[1]
    inner = shift[0, :, 3:6, 3:5, 3:7].reshape(3, -1).median(dim=1).values
    np.testing.assert_allclose(inner, (-2.0, 0.0, 1.0), atol=0.05)


def test_a_level_answers_in_voxels_of_the_working_lattice() -> None:
    """The best shift is carried up through both scales: 1 voxel of the body is 4 of the lattice."""
    for downsamplings, entry in ((1, (4,)), (2, (4, 6))):
        config = MultiLevelConfig(
            levels=(
                LevelConfig(downsamplings=downsamplings, entry=entry, body=(8,), correlation=1),
            )
        )
        network = build(config)
        level = network.levels[0]
        with torch.no_grad():
            level.match.sharpness.fill_(0.0)  # all shifts alike
            cube = torch.zeros_like(level.match.cube)
            cube[0] = 1.0  # ... and every one of them 1 voxel along x
            level.match.cube.copy_(cube)
            image = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
            found = network(image, image)[0][0, :, 4:12, 4:12, 4:12]
        expected = torch.tensor([2.0**downsamplings, 0.0, 0.0])[:, None, None, None]
        assert float((found - expected).abs().max()) < 0.01


@pytest.mark.parametrize("radius", [1, 2])
def test_what_a_gpu_takes_plane_by_plane_is_the_same(radius: int) -> None:
    fixed, wide = (
        torch.randn(2, 5, 4, 6, 7),
        torch.randn(2, 5, *(n + 2 * radius for n in (4, 6, 7))),
    )
    expected = _one_by_one(fixed, wide, radius)
    assert expected.shape == (2, (2 * radius + 1) ** 3, 4, 6, 7)
    torch.testing.assert_close(_plane_by_plane(fixed, wide, radius), expected)
