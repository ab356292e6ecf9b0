from itertools import product

import numpy as np
import pytest
import torch

from lungmorph.ops import (
    determinant_below,
    gaussian,
    jacobian,
    jacobian_determinant,
    kept_above,
    smallest_determinant,
    unfold,
)

SPACING = (1.5, 1.5, 2.0)


def test_folds_are_taken_out_and_the_rest_is_kept() -> None:
    u = gaussian(torch.randn(1, 3, 40, 40, 40, generator=torch.Generator().manual_seed(2)), 4.0)
    u *= 2 / u.abs().max()
    u[..., 18:21, 18:21, 18:21] += 9.0
    assert float(smallest_determinant(u, SPACING).min()) < 0
    given = u.clone()
    out, found = unfold(u, SPACING)
    assert found > 0
    assert torch.equal(u, given), "the argument is left alone"
    assert float(smallest_determinant(out, SPACING).min()) >= 0.05
    far = torch.ones(1, 1, 40, 40, 40, dtype=torch.bool)
    far[..., 6:33, 6:33, 6:33] = False
    assert torch.equal(out[far.expand_as(out)], given[far.expand_as(out)])


def test_a_field_without_folds_is_returned_as_it_is() -> None:
    u = torch.zeros(1, 3, 8, 8, 8)
    out, found = unfold(u, SPACING)
    assert found == 0
    assert torch.equal(out, u)


def test_determinants_are_the_same_slab_by_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    u = torch.randn(2, 3, 11, 7, 6, generator=torch.Generator().manual_seed(3))
    whole, smallest = jacobian_determinant(u, SPACING), smallest_determinant(u, SPACING)
    for slices in (1, 2, 5, 10):
        monkeypatch.setattr(jacobian, "SLAB_VOXELS", 2 * 7 * 6 * slices)
        assert torch.equal(jacobian_determinant(u, SPACING), whole)
        monkeypatch.setattr(jacobian, "SLAB_VOXELS", 8 * 2 * 7 * 6 * slices)
        assert torch.equal(smallest_determinant(u, SPACING), smallest)
        assert torch.equal(determinant_below(u, SPACING, 0.3), smallest < 0.3)


def test_the_smallest_of_eight_one_sided_determinants() -> None:
    u = torch.randn(1, 3, 5, 6, 7, generator=torch.Generator().manual_seed(8)).double()
    sides = []
    for axis, step in enumerate(SPACING):
        slope = np.diff(u[0].numpy(), axis=3 - axis) / step
        ends = [np.take(slope, [n], axis=3 - axis) for n in (0, -1)]
        sides.append(
            [np.concatenate(part, 3 - axis) for part in ((slope, ends[1]), (ends[0], slope))]
        )
    dets = [
        np.linalg.det(np.stack(three).transpose(2, 3, 4, 1, 0) + np.eye(3))
        for three in product(*sides)
    ]
    np.testing.assert_allclose(smallest_determinant(u, SPACING)[0, 0], np.min(dets, axis=0))


def test_a_fold_between_two_voxels_is_seen_though_central_differences_miss_it() -> None:
    u = torch.zeros(1, 3, 6, 6, 12)
    u[
        :, 0, ..., 6
    ] = -2.0  # one voxel jumps over its neighbour; central differences see a slope of 0
    assert float(jacobian_determinant(u, (1.5, 1.5, 1.5))[..., 6].min()) > 0
    assert float(smallest_determinant(u, (1.5, 1.5, 1.5))[..., 6].min()) < 0


def test_noise_of_any_size_is_unfolded() -> None:
    u = 6 * torch.randn(1, 3, 24, 24, 24, generator=torch.Generator().manual_seed(1))
    out, _ = unfold(u, SPACING)
    assert float(smallest_determinant(out, SPACING).min()) >= 0.05


def test_the_quick_answer_is_the_full_one():
    generator = torch.Generator().manual_seed(5)
    for shape in ((2, 3, 9, 8, 7), (1, 3, 6, 1, 10)):
        for size in (0.3, 0.8, 2.0):
            u = torch.randn(shape, generator=generator) * size
            full = smallest_determinant(u, SPACING)
            for least in (0.05, 0.4):
                assert torch.equal(determinant_below(u, SPACING, least), full < least)
    assert bool((full < least).any())
    assert bool((full >= least).any())


def test_which_factors_keep_a_field_from_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    u = 3 * gaussian(torch.randn(1, 3, 12, 13, 14, generator=torch.Generator().manual_seed(4)), 1.0)
    factors = [0.85**n for n in range(20)]
    full = [bool((smallest_determinant(f * u, SPACING) >= 0.2).all()) for f in factors]
    assert True in full
    assert False in full
    for voxels in (jacobian.SLAB_VOXELS, 1000):
        monkeypatch.setattr(jacobian, "SLAB_VOXELS", voxels)
        assert kept_above(u, SPACING, 0.2, factors) == full
    assert kept_above(0 * u, SPACING, 0.2, factors) == [True] * len(factors)
