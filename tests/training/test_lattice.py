"""Pairs on the lattice that the trained level sees, against blocks averaged by numpy."""

import numpy as np
import torch

from lungmorph.training.lattice import averaged_pair
from lungmorph.training.source import Mixed, at_factor

SHAPE = (6, 7, 9)  # the last block is incomplete along two axes


def pair() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "fixed": torch.randn(1, 1, *SHAPE, generator=generator),
        "moving": torch.randn(1, 1, *SHAPE, generator=generator),
        "fixed_mask": torch.rand(1, 1, *SHAPE, generator=generator) > 0.4,
        "displacement": torch.randn(1, 3, *SHAPE, generator=generator),
        "fixed_points": torch.tensor([[0.5, 0.5, 0.5], [5.0, 3.0, 2.0]]),
        "moving_points": torch.tensor([[2.5, 0.5, 4.5], [5.0, 3.0, 2.0]]),
    }


def blocks(array: np.ndarray, factor: int) -> np.ndarray:
    whole = array[..., : 3 * factor, : 3 * factor, : 4 * factor]
    shape = (*array.shape[:2], 3, factor, 3, factor, 4, factor)
    return whole.reshape(shape).mean(axis=(3, 5, 7))


def test_every_entry_of_a_pair_on_blocks_of_two() -> None:
    given = pair()
    found = averaged_pair(given, 2)
    np.testing.assert_allclose(found["fixed"], blocks(given["fixed"].numpy(), 2), atol=1e-6)
    np.testing.assert_allclose(found["moving"], blocks(given["moving"].numpy(), 2), atol=1e-6)
    # half as many voxels to go
    field = blocks(given["displacement"].numpy(), 2) / 2
    np.testing.assert_allclose(found["displacement"], field, atol=1e-6)
    share = blocks(given["fixed_mask"].numpy().astype(float), 2)
    np.testing.assert_array_equal(found["fixed_mask"], share > 0.5)
    # the middle of the first block of 2 x 2 x 2 is its voxel 0
    np.testing.assert_allclose(found["fixed_points"], [[0, 0, 0], [2.25, 1.25, 0.75]])
    np.testing.assert_allclose(found["moving_points"], [[1, 0, 2], [2.25, 1.25, 0.75]])


class Source:
    def __init__(self, name: float, can: bool = False) -> None:
        self.name = name
        if can:
            self.at = lambda factor: Source(self.name + factor)

    def pair(self, step: int) -> dict[str, torch.Tensor]:
        return {"fixed": torch.full((1, 1, 4, 4, 4), float(self.name))}


def test_source_that_can_make_coarse_pairs_is_asked_to_and_others_are_averaged() -> None:
    assert at_factor(Source(1), 2).pair(0)["fixed"].shape == (1, 1, 2, 2, 2)
    able = at_factor(Source(1, can=True), 2).pair(0)["fixed"]
    assert able.shape == (1, 1, 4, 4, 4)
    assert float(able.mean()) == 3
    both = at_factor(Mixed([(Source(1), 1.0), (Source(5, can=True), 1.0)], seed=0), 2)
    seen = {(p["fixed"].shape[-1], float(p["fixed"].mean())) for p in map(both.pair, range(20))}
    assert seen == {(2, 1.0), (4, 7.0)}


def test_mixture_follows_the_shares_and_the_number_alone() -> None:
    sources = [Source(0), Source(1)]
    mixed = Mixed([(sources[0], 1.0), (sources[1], 3.0)], seed=4)
    drawn = [float(mixed.pair(n)["fixed"].mean()) for n in range(400)]
    assert 0.68 < np.mean(drawn) < 0.82
    assert float(mixed.pair(7)["fixed"].mean()) == drawn[7]
