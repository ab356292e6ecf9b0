"""The error network that ships, on a patient it has not seen, with witnesses of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lungmorph.quality.error_features import SPACING_MM
from lungmorph.quality.error_weights import load_error_network
from lungmorph.quality.predict import PredictedError, predict_error
from lungmorph.registration.witnesses import Witnesses, register_witnesses
from lungmorph.simulate import SimulatedPair
from lungmorph.space import DisplacementField, Transform, Volume
from lungmorph.space.sampling import world_points


@pytest.fixture(scope="module")
def witnesses(small_pair: SimulatedPair) -> Witnesses:
    pair = small_pair
    return register_witnesses(pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)


def judged(pair: SimulatedPair, transform: Transform, witnesses: Witnesses) -> PredictedError:
    network, _ = load_error_network()
    images = pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs
    return predict_error(network, *images, transform, witnesses)


def in_the_lung(pair: SimulatedPair) -> np.ndarray:
    """A place well inside the patient's left lung."""
    index = np.argwhere(pair.fixed_lungs.data.numpy())[:, ::-1]
    at = pair.fixed_lungs.grid.to_world(index)
    left = at[at[:, 0] > at[:, 0].mean()]
    middle = left.mean(axis=0)
    return left[np.linalg.norm(left - middle, axis=1).argmin()]


def displaced(truth: DisplacementField, spot: np.ndarray, by: float) -> DisplacementField:
    """The truth, but for a ball of 20 mm around a spot that is displaced, and a rim of 8 mm."""
    far = (world_points(truth.grid) - torch.as_tensor(spot).float()).norm(dim=-1)
    share = ((18 - far) / 8).clamp(0, 1)
    share = share * share * (3 - 2 * share)
    aim = torch.tensor([0.6, 0.64, 0.48])
    return DisplacementField(truth.data + by * aim[:, None, None, None] * share, truth.grid)


def test_a_perfect_registration_raises_next_to_no_alarm(
    small_pair: SimulatedPair, witnesses: Witnesses
) -> None:
    """At 3 mm both witnesses miss a pocket above the diaphragm; of three litres half a millilitre is called wrong."""
    found = judged(small_pair, small_pair.truth, witnesses).summary
    assert sum(place["ml"] for place in found["places"]) < 1.0
    assert found["undecided_percent"] < 0.3
    assert found["mean_mm"] < 0.35
    assert found["over_2mm_percent"] < 1.5


def test_noise_is_no_error(small_pair: SimulatedPair) -> None:
    """80 HU more of it: the judges follow it, and the scans are a little more alike where they lead than where the truth does."""
    pair = small_pair
    noise = torch.Generator().manual_seed(80)

    def noisy(scan: Volume) -> Volume:
        return Volume(scan.data + 80 * torch.randn(scan.data.shape, generator=noise), scan.grid)

    fixed, moving = noisy(pair.fixed), noisy(pair.moving)
    images = fixed, moving, pair.fixed_lungs, pair.moving_lungs
    network, _ = load_error_network()
    found = predict_error(network, *images, pair.truth, register_witnesses(*images))
    assert float((found.doubted & (found.gain > 0)).sum()) > 50, "else nothing is put to the test"
    assert not found.places
    assert found.summary["undecided_percent"] < 0.3


def test_lung_beyond_the_moving_scan_is_told_and_not_judged(
    small_pair: SimulatedPair, witnesses: Witnesses
) -> None:
    """Half of the lung is mapped to where the moving scan ends: no error is known there, and none is told."""
    pair = small_pair
    at = world_points(pair.truth.grid)
    middle = float(np.median(in_the_lung(pair)[2]))
    off = pair.truth.data.clone()
    off[2] += torch.where(at[..., 2] < middle, -500.0, 0.0)
    found = judged(pair, DisplacementField(off, pair.truth.grid), witnesses)
    lungs = pair.fixed_lungs.grid.to_world(np.argwhere(pair.fixed_lungs.data.numpy())[:, ::-1])
    share = 100 * float((lungs[:, 2] < middle).mean())
    assert found.summary["not_shown_percent"] == pytest.approx(share, abs=5)
    assert all(place.at[2] > middle - 10 for place in found.places)
    calm = judged(pair, pair.truth, witnesses).summary
    assert calm["not_shown_percent"] < 1
    assert found.summary["median_mm"] < calm["median_mm"] + 0.5


def test_a_local_failure_is_found_where_it_is(
    small_pair: SimulatedPair, witnesses: Witnesses
) -> None:
    spot = in_the_lung(small_pair)
    wrong = displaced(small_pair.truth, spot, 5.0)
    found = judged(small_pair, wrong, witnesses)
    assert found.places
    assert np.linalg.norm(np.array(found.places[0].at) - spot) < 8
    assert 2.0 < found.places[0].ml < 25.0
    error = found.within(found.mm, small_pair.fixed_lungs)
    i, j, k = np.rint(error.grid.to_index(spot)).astype(int)
    assert float(error.data[k, j, i]) == pytest.approx(5.0, abs=2.0)
    assert float(error.data[~small_pair.fixed_lungs.data].abs().max()) == 0.0


def test_a_registration_that_is_wrong_everywhere(
    small_pair: SimulatedPair, witnesses: Witnesses
) -> None:
    off = small_pair.truth.data + torch.tensor([3.0, -3.0, 3.0])[:, None, None, None]
    found = judged(small_pair, DisplacementField(off, small_pair.truth.grid), witnesses).summary
    assert found["mean_mm"] == pytest.approx(27**0.5, abs=1.5)
    assert found["over_2mm_percent"] > 90


def test_where_a_scan_ends_a_doubt_stays_undecided(
    small_pair: SimulatedPair, witnesses: Witnesses
) -> None:
    """The fixed scan ends in the middle of the lung: its last slice stands for all below, and proves nothing there."""
    pair = small_pair
    x, y, z = pair.fixed.grid.size
    upper = pair.fixed.grid.crop((0, 0, z // 2), (x, y, z - z // 2))
    fixed, lungs = pair.fixed.crop_to(upper), pair.fixed_lungs.crop_to(upper)
    off = pair.truth.data + torch.tensor([3.0, -3.0, 3.0])[:, None, None, None]
    wrong = DisplacementField(off, pair.truth.grid)
    network, _ = load_error_network()
    found = predict_error(network, fixed, pair.moving, lungs, pair.moving_lungs, wrong, witnesses)
    height = world_points(found.grid)[..., 2] - float(upper.bounds()[0][2])
    last = found.judged & (height < SPACING_MM)
    assert last.any()
    assert (found.doubted & last).sum() > 0.9 * last.sum()
    assert not (found.wrong.data & last).any()
    assert (found.undecided.data & last).equal(found.doubted & last)
    above = found.judged & (height > 2 * SPACING_MM)
    assert (found.wrong.data & above).sum() > 0.8 * above.sum()
