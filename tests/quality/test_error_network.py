import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from lungmorph.errors import InputError
from lungmorph.networks import DEFAULT_NAME
from lungmorph.networks.pretrained import _FOLDER
from lungmorph.quality.error_features import CHANNELS, SPACING_MM, error_features, error_lattice
from lungmorph.quality.error_network import (
    OFFSET_MM,
    ErrorConfig,
    ErrorNetwork,
    error_loss,
    expected_mm,
    probability_over,
)
from lungmorph.quality.error_weights import load_error_network, save_error_network
from lungmorph.registration.witnesses import Witnesses
from lungmorph.space import Affine, DisplacementField, Grid, Volume

#: Of two scanners: both oblique, anisotropic, in frames of their own.
FIXED = Grid(
    (56, 44, 34), (3.0, 4.0, 5.0), (90.0, -60.0, 200.0),
    tuple(map(tuple, Rotation.from_euler("xyz", [8, -12, 170], degrees=True).as_matrix())),
)  # fmt: skip
SHIFT = np.array([14.0, -9.0, 22.0])


def blobs(at):
    """HU of a made-up chest at world points: waves in a ball."""
    waves = np.sin(at[..., 0] / 9) * np.sin(at[..., 1] / 11) * np.sin(at[..., 2] / 10)
    return -700 + 500 * waves


def scan(grid, shift):
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    at = grid.to_world(np.stack([i, j, k], -1)) - shift
    return Volume(torch.from_numpy(blobs(at)).float(), grid), at


@pytest.fixture(scope="module")
def pair():
    moving_grid = Grid.covering(*(FIXED.bounds() + SHIFT), (3.5, 3.5, 4.0), margin=40.0)
    fixed, at = scan(FIXED, 0)
    moving, _ = scan(moving_grid, SHIFT)
    ball = np.linalg.norm(at - FIXED.center, axis=-1) < 55
    return fixed, moving, Volume(torch.from_numpy(ball), FIXED)


def shifted(by):
    return Affine.from_parts(np.eye(3), by)


def channel(features, name):
    return features[CHANNELS.index(name)]


def test_features_of_the_right_mapping_and_of_a_wrong_one(pair):
    """Both scans oblique, anisotropic and in other frames: the right mapping shows no difference, a wrong one does."""
    fixed, moving, lungs = pair
    grid = error_lattice(lungs)
    assert grid.spacing == (SPACING_MM,) * 3
    back = Witnesses(shifted(-SHIFT), shifted(SHIFT))
    right, inside, _ = error_features(fixed, moving, lungs, shifted(SHIFT), back)
    assert right.shape == (len(CHANNELS), *grid.shape)
    assert float(channel(right, "way back")[inside].max()) < 1e-3
    assert float(channel(right, "likeness, near")[inside].median()) > 0.8
    for name in ("likeness on the way back", "likeness on the second way"):
        assert float(channel(right, f"{name}, near")[inside].median()) > 0.8
    assert float(channel(right, "volume change")[inside].abs().max()) < 1e-3
    off = np.array([0.0, 0.0, 6.0])
    wrong, _, _ = error_features(fixed, moving, lungs, shifted(SHIFT + off), back)
    miss = channel(wrong, "way back")[inside].exp() - 1
    assert float(miss.median()) == pytest.approx(6.0, abs=0.01)
    assert (
        channel(wrong, "difference")[inside].mean()
        > 3 * channel(right, "difference")[inside].mean()
    )
    ml = float(inside.sum()) * grid.voxel_volume / 1e3
    assert ml == pytest.approx(4 / 3 * np.pi * 5.5**3, rel=0.03)


@pytest.mark.parametrize(
    ("spacings", "told"),
    [
        (((1.5, 2.0, 2.5), (1.0, 1.0, 1.0)), (1.5 * 2.0 * 2.5) ** (1 / 3)),
        (((1.0, 1.0, 1.0), (1.2, 1.2, 5.0)), (1.2 * 1.2 * 5.0) ** (1 / 3)),
        (((3.0, 4.0, 5.0), (1.0, 1.0, 1.0)), 3.0),
    ],
    ids=["fixed", "moving", "larger than the network knows"],
)
def test_the_voxels_of_the_coarser_scan_are_told(pair, spacings, told):
    fixed, moving, lungs = pair
    scans = (
        scan(of.grid.with_spacing(step), shift)[0]
        for of, step, shift in ((fixed, spacings[0], 0.0), (moving, spacings[1], SHIFT))
    )
    back = Witnesses(shifted(-SHIFT), shifted(SHIFT))
    features, _, _ = error_features(*scans, lungs, shifted(SHIFT), back)
    found = channel(features, "voxels")
    assert float(found.min()) == float(found.max()) == pytest.approx(np.log(told / 2), abs=1e-5)


def test_the_way_back_tells_direction_and_stretch(pair):
    fixed, moving, lungs = pair
    stretch = Affine.from_parts(np.diag([1.1, 1.0, 0.9]), SHIFT)
    witnesses = Witnesses(stretch.inverse(), shifted(SHIFT))
    features, inside, _ = error_features(fixed, moving, lungs, stretch, witnesses)
    assert float(channel(features, "way back")[inside].max()) < 1e-2
    change = channel(features, "volume change")[inside]
    assert float(change.median()) == pytest.approx(np.log(0.99), abs=1e-3)


def test_a_place_that_one_witness_disputes_is_hardly_disputed(pair):
    """The geometric mean of both: 8 mm off by the way back, 0.5 mm by the second way there, make 2 mm."""
    fixed, moving, lungs = pair
    back, there = shifted([8.0, 0, 0] - SHIFT), shifted(SHIFT + np.array([0, 0.3, 0.4]))
    far = shifted(SHIFT + np.array([0, 8.0, 0]))
    for witnesses, expected in (
        (Witnesses(back, there), (8.0, 0.5, 2.0)),
        (Witnesses(back, far), (8.0, 8.0, 8.0)),
        (Witnesses(shifted(-SHIFT), there), (0.0, 0.5, 0.0)),
    ):
        features, inside, _ = error_features(fixed, moving, lungs, shifted(SHIFT), witnesses)
        for name, mm in zip(("way back", "second way there", "disputed"), expected, strict=True):
            miss = channel(features, name)[inside].exp() - 1
            assert float(miss.median()) == pytest.approx(mm, abs=0.01)


def test_the_images_tell_which_of_two_ways_is_right(pair):
    """Of a right mapping and a wrong one, each the other's witness: the fixed scan is alike where the right one leads."""
    fixed, moving, lungs = pair
    right, wrong = shifted(SHIFT), shifted(SHIFT + np.array([0, 0, 8.0]))
    back = shifted(-SHIFT)
    for judged, second, better in ((right, wrong, 1), (wrong, right, -1)):
        features, inside, _ = error_features(fixed, moving, lungs, judged, Witnesses(back, second))
        own = channel(features, "likeness, near")[inside].mean()
        other = channel(features, "likeness on the second way, near")[inside].mean()
        assert better * float(own - other) > 0.2


def test_beyond_the_edge_of_the_way_back_nothing_is_known(pair):
    fixed, moving, lungs = pair
    small = Grid.covering(FIXED.center + SHIFT - 20, FIXED.center + SHIFT + 20, 4.0)
    back = DisplacementField(
        torch.from_numpy(-SHIFT).float()[:, None, None, None].expand(3, *small.shape).contiguous(),
        small,
    )
    witnesses = Witnesses(back, shifted(SHIFT))
    features, inside, _ = error_features(fixed, moving, lungs, shifted(SHIFT), witnesses)
    miss = channel(features, "way back")[inside].exp() - 1
    assert float(miss.max()) == pytest.approx(20.0, abs=1e-2)
    assert 0.02 < float((miss < 0.1).float().mean()) < 0.5


def test_distribution_of_the_error():
    mean, spread = torch.tensor([2.0 + OFFSET_MM]).log(), torch.tensor([0.5])
    assert float(expected_mm(mean)) == pytest.approx(2.0)
    assert float(probability_over(2.0, mean, spread)) == pytest.approx(0.5)
    draws = (mean + spread * torch.randn(100_000, generator=torch.Generator().manual_seed(0))).exp()
    over = float((draws - OFFSET_MM > 5).float().mean())
    assert float(probability_over(5.0, mean, spread)) == pytest.approx(over, abs=0.005)


@pytest.mark.parametrize("learns", ["size", "class"])
def test_it_learns_from_what_it_may_see(learns):
    """An error that one channel shows is learned, whatever the other channels hold."""
    torch.manual_seed(0)
    config = ErrorConfig(features=(4, 6), channels=("warped", "way back"), learns=learns)
    network = ErrorNetwork(config)
    features = torch.randn(2, len(CHANNELS), 12, 12, 12)
    shown = torch.rand(2, 1, 12, 12, 12) * 2
    features[:, CHANNELS.index("way back")] = shown[:, 0]
    error, mask = shown.exp() - 1, shown > 0.05
    adam = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(120):
        loss = error_loss(network(features), error, mask, learns)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)  # as in training
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0] if learns == "class" else losses[-1] < losses[0] - 0.5
    mean, spread = network.eval().predict(features[0])
    chance = probability_over(2.0, mean, spread)
    assert float(chance[error[0, 0] > 3.5].mean()) > float(chance[error[0, 0] < 1].mean()) + 0.4
    others = features[0].clone()
    others[CHANNELS.index("fixed")] = 100.0  # not among its channels
    assert torch.equal(network.predict(others)[0], mean)


def test_sizes_that_do_not_divide():
    network = ErrorNetwork(ErrorConfig(features=(4, 6, 8))).eval()
    mean, spread = network.predict(torch.randn(len(CHANNELS), 13, 9, 17))
    assert mean.shape == spread.shape == (13, 9, 17)


def test_unknown_channels_and_keys():
    with pytest.raises(ValidationError, match="unknown channels: warp"):
        ErrorConfig(channels=("warp",))
    with pytest.raises(ValidationError, match="extra"):
        ErrorConfig.model_validate_json(json.dumps({"kind": "error", "width": 3}))


def test_weights_come_back(tmp_path):
    config = ErrorConfig(features=(4, 6), temperature=1.3)
    network = ErrorNetwork(config).eval()
    save_error_network(network, {"made": "in a test"}, tmp_path / "e.safetensors")
    again, card = load_error_network(tmp_path / "e.safetensors")
    assert (again.config, card) == (config, {"made": "in a test"})
    features = torch.randn(len(CHANNELS), 8, 8, 8)
    for one, other in zip(again.predict(features), network.predict(features), strict=True):
        assert torch.equal(one, other)


def test_weights_of_another_kind_and_none(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_error_network(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="config or card"):
        load_error_network(_FOLDER / f"{DEFAULT_NAME}.safetensors")
