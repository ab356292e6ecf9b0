"""Local correlation and shares, recomputed with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lungmorph.measures import local_correlation, percent_over


def test_is_the_mean_of_correlations_in_windows() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(-800, 100, (11, 12, 13))
    b = 0.5 * a + rng.normal(0, 60, a.shape)
    region = np.zeros(a.shape, bool)
    region[3:8, 4:8, 5:8] = True
    expected = []
    for k, j, i in np.argwhere(region):
        window = (slice(k - 2, k + 3), slice(j - 2, j + 3), slice(i - 2, i + 3))
        expected.append(np.corrcoef(a[window].ravel(), b[window].ravel())[0, 1])
    found = local_correlation(*(torch.from_numpy(v) for v in (a, b, region)))
    assert found == pytest.approx(np.mean(expected), abs=0.02)  # flat windows count for less


def test_does_not_mind_a_slow_change_of_density() -> None:
    rng = np.random.default_rng(3)
    texture = rng.normal(0, 80, (20, 20, 20))
    slope = np.linspace(-950, -450, 20)[:, None, None]
    a, b = texture - 800, texture + slope
    everywhere = torch.ones(a.shape, dtype=torch.bool)
    assert local_correlation(torch.from_numpy(a), torch.from_numpy(b), everywhere) > 0.9
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] < 0.6


def test_a_share_is_of_what_lies_above() -> None:
    assert percent_over(np.array([1.0, 2.0, 2.5, 9.0]), 2.0) == 50.0
