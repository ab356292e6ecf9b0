"""Cost against numbers worked out by hand, and the choice of a setting that fits."""

import pytest
import torch
from torch import nn

from lungmorph.errors import InputError
from lungmorph.networks import (
    LevelConfig,
    MultiLevelConfig,
    VoxelMorphConfig,
    build,
    choose,
    lattice_shape,
    measure,
    most_bytes,
    two_level,
)

TINY = MultiLevelConfig(
    spacing_mm=4.0,
    levels=(
        LevelConfig(downsamplings=1, entry=(2,), body=(4,), norm="none"),
        LevelConfig(downsamplings=0, entry=(), body=(3,), norm="none"),
    ),
)


def test_multiply_adds_of_a_level_by_hand():
    first, second = measure(TINY, (8, 8, 8))
    half, full = 4**3, 8**3
    entry = half * 2 * 5 * 4**3
    body = half * 27 * (2 * 4 + 2 * 4 * 4)
    # the field enters its up-sampling with one voxel more at each end; each voxel meets 4^3 weights
    out = half * 27 * 4 * 3 + (4 + 2) ** 3 * 3 * 3 * 4**3
    assert first.multiply_adds == entry + body + out
    assert second.multiply_adds == full * 27 * (5 * 3 + 2 * 3 * 3 + 3 * 3)


@pytest.mark.parametrize("config", [two_level(), VoxelMorphConfig()])
def test_multiply_adds_and_parameters_are_those_of_a_real_run(config):
    network, shape = build(config).eval(), (16, 16, 32)
    counted = 0

    def count(module, inputs, output):
        nonlocal counted
        kernel = module.weight[0].numel()
        counted += kernel * (
            inputs[0].numel() if isinstance(module, nn.ConvTranspose3d) else output.numel()
        )

    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.rand(1, 1, *shape), torch.rand(1, 1, *shape))
    costs = measure(config, shape)
    assert sum(c.multiply_adds for c in costs) == counted
    assert sum(c.parameters for c in costs) == sum(p.numel() for p in network.parameters())


def test_memory_grows_with_the_lattice_and_the_levels():
    small, large = measure(two_level(), (32, 32, 32)), measure(two_level(), (64, 64, 64))
    assert large[1].peak_bytes >= large[0].peak_bytes > small[0].peak_bytes
    # what grows, grows with the voxels; all of it is more than the images and fields alone
    growth = large[1].peak_bytes - small[1].peak_bytes
    assert growth > 4 * (64**3 - 32**3) * (2 + 3 + 3)


@pytest.mark.parametrize("config", [TINY, two_level(), VoxelMorphConfig()])
def test_the_quick_bound_is_above_what_is_measured(config):
    for shape in ((24, 32, 40), (64, 64, 64)):
        assert measure(config, shape)[-1].peak_bytes < most_bytes(config, shape)


def test_lattice_covers_the_extent():
    assert lattice_shape((30, 20, 10), 5) == (3, 5, 7)
    assert lattice_shape((31, 20, 10), 5) == (3, 5, 8)


EXTENT = (240.0, 200.0, 260.0)


def test_full_setting_if_it_fits():
    assert choose(TINY, EXTENT, 10**12) == (2, 4.0)
    assert choose(TINY, EXTENT, 10**12, levels=1) == (1, 4.0)
    assert choose(TINY, EXTENT, 10**12, spacing_mm=2.5) == (2, 2.5)


def test_coarser_before_fewer_levels_and_what_is_chosen_fits():
    full = measure(TINY, lattice_shape(EXTENT, 4.0))[-1].peak_bytes
    levels, spacing = choose(TINY, EXTENT, full - 1)
    assert levels == 2
    assert 4.0 < spacing <= 8.0
    assert measure(TINY, lattice_shape(EXTENT, spacing))[levels - 1].peak_bytes < full


def test_what_was_asked_for_and_does_not_fit_is_told_with_what_would():
    full = measure(TINY, lattice_shape(EXTENT, 4.0))[-1].peak_bytes
    with pytest.raises(InputError) as error:
        choose(TINY, EXTENT, full - 1, levels=2, spacing_mm=4.0)
    assert f"{full / 1e9:.2f} GB for 2 level(s) at 4 mm" in str(error.value)
    levels, spacing = choose(TINY, EXTENT, full - 1)
    assert f"{levels} level(s) at {spacing:g} mm fit" in str(error.value)


def test_nothing_fits():
    with pytest.raises(InputError, match="free some memory"):
        choose(TINY, EXTENT, 1000)
