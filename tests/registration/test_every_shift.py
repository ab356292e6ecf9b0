"""Sums and correlations at every shift, against loops over the shifts."""

from itertools import product

import numpy as np
import pytest
import torch

from lungmorph.registration.every_shift import EveryShift

FIXED, MOVING = (4, 5, 6), (5, 3, 4)


def overlap(a: np.ndarray, b: np.ndarray, shift: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """a(x) and b(x + t) for all x that are in both."""
    of_a, of_b = [], []
    for n, m, t in zip(a.shape, b.shape, shift, strict=True):
        low, high = max(0, -t), min(n, m - t)
        of_a.append(slice(low, high))
        of_b.append(slice(low + t, high + t))
    return a[tuple(of_a)], b[tuple(of_b)]


def test_every_shift_is_what_a_loop_over_shifts_finds() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.standard_normal(FIXED), draw.standard_normal(MOVING)
    a_seen, b_seen = (draw.random(FIXED) > 0.2) * 1.0, (draw.random(MOVING) > 0.2) * 1.0
    every = EveryShift(torch.from_numpy(a_seen), torch.from_numpy(b_seen))
    inside = every.fixed_inside(torch.from_numpy(a)).numpy()
    other = every.moving_inside(torch.from_numpy(b)).numpy()
    alike = every.masked_correlation((torch.from_numpy(a), torch.from_numpy(b))).numpy()
    counted = 0
    for shift in product(*(range(1 - n, m) for n, m in zip(FIXED, MOVING, strict=True))):
        (x, y), (p, q) = overlap(a, b, shift), overlap(a_seen, b_seen, shift)
        assert inside[shift] == pytest.approx((x * q).sum(), abs=1e-9)
        assert other[shift] == pytest.approx((p * y).sum(), abs=1e-9)
        both = (p * q) > 0
        if both.sum() > 10:
            expected = np.corrcoef(x[both], y[both])[0, 1]
            assert alike[shift] == pytest.approx(expected, abs=1e-9)
            counted += 1
    assert counted > 50
