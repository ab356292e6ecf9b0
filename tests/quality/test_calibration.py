import numpy as np
import pytest

from lungmorph.quality.calibration import auc, reliability


def test_auc_of_known_scores():
    assert auc([1, 2, 3, 4], [False, False, True, True]) == 1.0
    assert auc([4, 3, 2, 1], [False, False, True, True]) == 0.0
    assert auc([1, 1, 1, 1], [False, True, False, True]) == 0.5
    # of six pairs of a positive and a negative, five are in order
    assert auc([1, 2, 3, 4, 5], [False, False, True, False, True]) == pytest.approx(5 / 6)
    assert np.isnan(auc([1, 2], [True, True]))


def test_reliability_of_known_outcomes():
    rng = np.random.default_rng(0)
    chance = rng.uniform(0, 1, 200_000)
    happened = rng.uniform(0, 1, 200_000) < chance
    assert reliability(chance, happened).expected_error < 0.01
    sure = reliability(np.full(10, 0.95), np.arange(10) < 5)
    assert sure.expected_error == pytest.approx(0.45)
    assert (sure.predicted[0], sure.happened[0], sure.share[0]) == pytest.approx((0.95, 0.5, 1))


def test_reliability_of_nothing_and_of_no_probabilities():
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability([], [])
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability([1.2], [True])
