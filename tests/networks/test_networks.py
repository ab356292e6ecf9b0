"""Shapes, padding, the order of composition, freezing: what a network must do before it is trained."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from lungmorph.networks import (
    LevelConfig,
    MultiLevelConfig,
    VoxelMorphConfig,
    build,
    preprocess,
    two_level,
)
from lungmorph.networks.blocks import Convolution, FieldUpsampling, InstanceNorm, doubled, together
from lungmorph.networks.config import config_from_json
from lungmorph.ops import jacobian_determinant, warp

SMALL = MultiLevelConfig(
    levels=(
        LevelConfig(downsamplings=2, entry=(4, 6), body=(8, 10)),
        LevelConfig(downsamplings=1, entry=(4,), body=(6, 8), norm="none"),
        LevelConfig(downsamplings=0, entry=(), body=(4,)),
    )
)
VXM = VoxelMorphConfig(encoder=(4, 6), decoder=(6, 6), final=(4,))


def awake(config, seed=0):
    """A network whose last layers are not near zero, so that it does something."""
    network = build(config, seed).eval()
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and module.out_channels == 3:
            with torch.no_grad():
                module.weight.copy_(0.05 * torch.randn(module.weight.shape, generator=generator))
    return network


def images(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 1, *shape, generator=generator), torch.rand(
        1, 1, *shape, generator=generator
    )


@pytest.mark.parametrize("config", [SMALL, VXM, VXM.model_copy(update={"velocity": True})])
def test_untrained_network_is_almost_the_identity(config):
    fixed, moving = images(16, 8, 24)
    for displacement in build(config)(fixed, moving):
        assert displacement.shape == (1, 3, 16, 8, 24)
        assert 0 < float(displacement.detach().abs().max()) < 0.05


@pytest.mark.parametrize("config", [SMALL, VXM])
@pytest.mark.parametrize("shape", [(13, 17, 11), (7, 8, 9), (3, 5, 4)])
def test_any_size_is_padded_and_unpadded_exactly(config, shape):
    network, (fixed, moving) = awake(config), images(*shape)
    ends = [e for n in reversed(shape) for e in (0, -n % config.divisor)]
    by_hand = network(*(F.pad(image, ends, mode="replicate") for image in (fixed, moving)))
    for found, whole in zip(network(fixed, moving), by_hand, strict=True):
        assert found.shape[2:] == shape
        assert torch.equal(found, whole[:, :, : shape[0], : shape[1], : shape[2]])


def test_prefix_of_the_levels_gives_what_the_whole_gives():
    network, (fixed, moving) = awake(SMALL), images(16, 16, 8)
    whole = network(fixed, moving)
    assert len(whole) == 3
    for count in (1, 2, 3):
        prefix = network(fixed, moving, levels=count)
        assert all(torch.equal(a, b) for a, b in zip(prefix, whole[:count], strict=True))
    for wrong in (0, 4):
        with pytest.raises(ValueError, match="levels"):
            network(fixed, moving, levels=wrong)


class Given(nn.Module):
    """Stands in for a level: returns a known update and remembers what it was shown."""

    def __init__(self, update):
        super().__init__()
        self.update, self.seen = update, None

    def forward(self, fixed, warped, so_far):
        self.seen = (warped, so_far)
        return self.update(fixed, warped)


def test_levels_compose_update_first_then_what_was_there():
    """A level that finds exactly what is missing must leave warp(moving, total) = fixed."""
    # moving is a ramp along x, bent by a first level that depends on the place
    shape = (8, 16, 24)
    z, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    moving = x[None, None]
    first = torch.stack((0.05 * x + 0.1 * y, torch.zeros_like(y), torch.zeros_like(z)))[None]
    # seen through the first level: T(p) = 1.05 x + 0.1 y. The second moves along y only, which
    # changes x by way of the first: T(p + u) = 1.05 x + 0.1 (y + 2) -- but u + T(p) would not.
    second = torch.zeros_like(first)
    second[:, 1] = 2.0
    network = build(SMALL.model_copy(update={"levels": SMALL.levels[:2]}))
    levels = [Given(lambda *_: first), Given(lambda *_: second)]
    network.levels = nn.ModuleList(levels)
    totals = network(moving, moving)
    inside = (..., slice(0, 12), slice(0, 16))  # where nothing is read beyond the border
    expected = 1.05 * x + 0.1 * (y + 2)
    found = warp(moving, totals[1])[0, 0]
    torch.testing.assert_close(found[inside], expected[inside])
    torch.testing.assert_close(totals[1][0, 0][inside], (expected - x)[inside])
    # and the second level was shown the moving image as the first one left it, and its field
    torch.testing.assert_close(levels[1].seen[0], warp(moving, first))
    assert levels[1].seen[1] is totals[0] or torch.equal(levels[1].seen[1], first)
    assert levels[0].seen[1] is None


def test_shift_left_over_by_the_first_level_is_put_right_by_the_second():
    _, moving = images(16, 16, 16)
    fixed = warp(
        moving, torch.tensor([3.0, -2.0, 1.0]).view(1, 3, 1, 1, 1).expand(1, 3, 16, 16, 16)
    )

    def constant(*shift):
        return lambda f, _: f.new_tensor(shift).view(1, 3, 1, 1, 1).expand(1, 3, *f.shape[2:])

    network = build(SMALL.model_copy(update={"levels": SMALL.levels[:2]}))
    network.levels = nn.ModuleList([Given(constant(4, 0, 1)), Given(constant(-1, -2, 0))])
    total = network(fixed, moving)[-1]
    torch.testing.assert_close(warp(moving, total), fixed)


def test_freezing():
    network = build(SMALL)
    network.freeze([0, 2])
    learning = [any(p.requires_grad for p in level.parameters()) for level in network.levels]
    assert learning == [False, True, False]
    network.freeze([])
    assert all(p.requires_grad for p in network.parameters())
    with pytest.raises(ValueError, match="no such level"):
        network.freeze([3])


def test_every_weight_learns():
    network, (fixed, moving) = awake(SMALL), images(16, 16, 16)
    sum(d.square().sum() for d in network(fixed, moving)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_same_seed_same_weights_and_the_global_state_stays():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = build(SMALL, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    second, third = build(SMALL, seed=1), build(SMALL, seed=2)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(next(first.parameters()), next(third.parameters()))


def test_field_up_sampling_starts_as_trilinear_interpolation():
    field = torch.randn(1, 3, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(FieldUpsampling()(field), doubled(field))


def test_velocity_gives_an_invertible_field():
    network = awake(VXM.model_copy(update={"velocity": True}))
    with torch.no_grad():
        for module in network.final.modules():
            if isinstance(module, nn.Conv3d) and module.out_channels == 3:
                module.weight *= 10
    fixed, moving = images(16, 16, 16)
    displacement = network(fixed, moving)[0]
    assert float(displacement.detach().abs().max()) > 0.5
    assert float(jacobian_determinant(displacement.detach(), (1, 1, 1)).min()) > 0


def test_images_that_do_not_fit_are_refused():
    network = build(SMALL)
    with pytest.raises(ValueError, match="one lattice"):
        network(torch.zeros(1, 1, 8, 8, 8), torch.zeros(1, 1, 8, 8, 9))
    with pytest.raises(ValueError, match="one lattice"):
        network(torch.zeros(1, 2, 8, 8, 8), torch.zeros(1, 2, 8, 8, 8))


def test_window():
    hu = torch.tensor([-3000.0, -1000.0, -400.0, 200.0, 3000.0])
    torch.testing.assert_close(
        preprocess(hu.to(torch.int16), two_level()), torch.tensor([0, 0, 0.5, 1, 1])
    )


@pytest.mark.parametrize("config", [SMALL, VXM, two_level(4.0)])
def test_config_survives_json(config):
    assert config_from_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"downsamplings": 2, "entry": [4], "body": [8]},
        {"downsamplings": 1, "entry": [4], "body": []},
        {"downsamplings": 1, "entry": [4], "body": [8], "colour": "red"},
        {"downsamplings": 1, "entry": [4], "body": [8], "correlation": 9},
    ],
)
def test_level_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        LevelConfig(**wrong)


def test_window_upside_down_is_refused():
    with pytest.raises(ValidationError, match="window_hu"):
        two_level().__class__(levels=two_level().levels, window_hu=(200, -1000))


def test_weights_learn_from_thin_maps_in_bfloat16_as_in_float32():
    """torch fills that gradient with whatever lies in memory, be it finite or not."""
    convolution = Convolution(64, 64)
    x = torch.randn(1, 64, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    found = []
    for half in (False, True):
        convolution.zero_grad()
        del [torch.full((110592,), torch.nan) for _ in range(6)][:]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y = convolution(x)
        y.float().square().mean().backward()
        found.append(convolution.weight.grad.clone())
    torch.testing.assert_close(found[1], found[0], rtol=0.02, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 6, 3, 4, 5), (2, 6, 3, 4, 5), (1, 6, 1, 1, 1)])
def test_instance_norm_does_not_mind_how_channels_lie_in_memory(shape):
    norm = InstanceNorm(6)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 6))
        norm.bias.copy_(torch.linspace(-1, 1, 6))
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = []
    for x in (image.clone(), together(image)):
        y = norm(x.requires_grad_())
        wanted = (x, norm.weight, norm.bias)
        # not the plain sum of squares, which is the same for all normalised images
        found.append((y, *torch.autograd.grad((y * y.sigmoid()).sum(), wanted)))
    for plain, other in zip(*found, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-5)
    if shape[2] > 1:
        expected = F.instance_norm(image, weight=norm.weight, bias=norm.bias)
        torch.testing.assert_close(found[1][0], expected, rtol=1e-4, atol=1e-5)
