"""There and back, with fields that end somewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.geometry import OBLIQUE, small_affine

from lungmorph.measures import inverse_consistency
from lungmorph.space import Affine, Composite, DisplacementField, Grid


def shift(x: float, grid: Grid) -> DisplacementField:
    data = torch.zeros(3, *grid.shape)
    data[0] = x
    return DisplacementField(data, grid)


def test_of_a_way_back_that_is_off_by_a_known_vector() -> None:
    forward = small_affine(3, OBLIQUE)
    off = Affine.from_parts(np.eye(3), (0.3, -0.4, 1.2))
    points = OBLIQUE.to_world(np.random.default_rng(1).uniform(2, 14, (500, 3)))
    found = inverse_consistency(forward, Composite([forward.inverse(), off]), points)
    assert found is not None
    assert found.mean == pytest.approx(1.3)
    assert found.p95 == pytest.approx(1.3)
    assert found.max == pytest.approx(1.3)
    assert found.counted_percent == 100.0


def test_counts_only_paths_inside_both_fields() -> None:
    wide = Grid((20, 10, 10))
    short = Grid((10, 10, 10))  # x up to 9.5
    points = np.stack([np.arange(20.0), np.full(20, 5.0), np.full(20, 5.0)], axis=1)
    found = inverse_consistency(shift(3.0, wide), shift(-3.0, short), points)
    assert found is not None
    assert found.max == pytest.approx(0.0, abs=1e-6)  # else: 3 mm, where the field back has ended
    assert found.counted_percent == pytest.approx(100 * 7 / 20)  # x = 0 .. 6 lands within 9.5
    short_first = inverse_consistency(shift(3.0, short), shift(-3.0, wide), points)
    assert short_first is not None
    assert short_first.counted_percent == pytest.approx(50.0)
    far = points + 100.0
    assert inverse_consistency(shift(3.0, wide), shift(-3.0, short), far) is None


def test_what_a_chain_covers_follows_the_point() -> None:
    grid = Grid((10, 10, 10))
    away = Affine.from_parts(np.eye(3), (100.0, 0, 0))
    points = np.array([[5.0, 5, 5], [-95.0, 5, 5]])
    assert Affine.identity().covers(points).tolist() == [True, True]
    assert shift(1.0, grid).covers(points).tolist() == [True, False]
    assert Composite([away, shift(1.0, grid)]).covers(points).tolist() == [False, True]
    assert Composite([shift(1.0, grid), away]).covers(points).tolist() == [True, False]
