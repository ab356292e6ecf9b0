"""The error network that ships, on a patient it has not seen, with a way back of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lungmorph.quality.error_weights import load_error_network
from lungmorph.quality.predict import PredictedError, predict_error
from lungmorph.registration.backward import register_back
from lungmorph.simulate import SimulatedPair
from lungmorph.space import DisplacementField, Transform
from lungmorph.space.sampling import world_points


@pytest.fixture(scope="module")
def backward(small_pair: SimulatedPair) -> Transform:
    pair = small_pair
    return register_back(pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)


def judged(pair: SimulatedPair, transform: Transform, backward: Transform) -> PredictedError:
    network, _ = load_error_network()
    return predict_error(network, pair.fixed, pair.moving, pair.fixed_lungs, transform, backward)


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
    small_pair: SimulatedPair, backward: Transform
) -> None:
    """At 3 mm the way back misses pockets above the diaphragm by many mm; some millilitres of them are doubted."""
    found = judged(small_pair, small_pair.truth, backward).summary
    lungs = small_pair.fixed_lungs
    ml = float(lungs.data.sum()) * lungs.grid.voxel_volume / 1e3
    assert sum(place["ml"] for place in found["places"]) < 0.003 * ml
    assert found["mean_mm"] < 0.6
    assert found["over_2mm_percent"] < 3


def test_a_local_failure_is_found_where_it_is(
    small_pair: SimulatedPair, backward: Transform
) -> None:
    spot = in_the_lung(small_pair)
    wrong = displaced(small_pair.truth, spot, 5.0)
    found = judged(small_pair, wrong, backward)
    assert found.places
    assert np.linalg.norm(np.array(found.places[0].at) - spot) < 8
    assert 2.0 < found.places[0].ml < 25.0
    error = found.within(found.mm, small_pair.fixed_lungs)
    i, j, k = np.rint(error.grid.to_index(spot)).astype(int)
    assert float(error.data[k, j, i]) == pytest.approx(5.0, abs=2.0)
    assert float(error.data[~small_pair.fixed_lungs.data].abs().max()) == 0.0


def test_a_registration_that_is_wrong_everywhere(
    small_pair: SimulatedPair, backward: Transform
) -> None:
    off = small_pair.truth.data + torch.tensor([3.0, -3.0, 3.0])[:, None, None, None]
    found = judged(small_pair, DisplacementField(off, small_pair.truth.grid), backward).summary
    assert found["mean_mm"] == pytest.approx(27**0.5, abs=1.5)
    assert found["over_2mm_percent"] > 90
