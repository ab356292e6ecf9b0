"""`accurate`: the mean of the way there and of the inverse of the way back."""

import numpy as np
import pytest
import torch

from lungmorph import register
from lungmorph.registration import Registration
from lungmorph.registration.memory import refine_bytes
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Grid


@pytest.fixture(scope="module")
def found(small_pair: SimulatedPair) -> dict[str, Registration]:
    scans = small_pair.fixed, small_pair.moving
    return {
        "there": register(*scans, levels=0),
        "accurate": register(*scans, preset="accurate", levels=0),
    }


def error(result: Registration, pair: SimulatedPair) -> float:
    mapped = result.transform.apply(pair.fixed_landmarks)
    return float(mapped.distance_to(pair.moving_landmarks).mean())


def test_it_is_nearer_to_the_truth(found, small_pair):
    assert error(found["accurate"], small_pair) < 0.97 * error(found["there"], small_pair)


def test_not_at_landmarks_alone(found, small_pair):
    points = small_pair.fixed_lungs.points(10_000)
    truth = small_pair.truth.apply(points)
    there, accurate = (
        np.linalg.norm(found[name].transform.apply(points) - truth, axis=1).mean()
        for name in ("there", "accurate")
    )
    assert accurate < 0.97 * there


def test_it_does_not_fold_and_is_judged_by_the_same_state(found):
    accurate = found["accurate"]
    assert float(accurate.transform.jacobian().data.min()) > 0
    assert accurate.metrics["folding"]["voxels"] == 0
    assert not torch.equal(accurate.transform.data, found["there"].transform.data)
    assert accurate.prealigned.matrix == pytest.approx(found["there"].prealigned.matrix)


def test_the_larger_of_both_sides_has_to_fit():
    fixed = Grid((100, 90, 80), (3.0, 3.0, 3.0))
    moving = Grid((300, 270, 240), (1.0, 1.0, 1.0))
    here, there = (fixed, fixed), (moving, moving)
    assert refine_bytes([here, there], 1.25) == refine_bytes([there], 1.25) > 0
    assert refine_bytes([here], 3.0) <= refine_bytes([here, there], 3.0)
