import numpy as np
import torch

from lungmorph.ops import extent


def test_extent_is_where_a_mask_begins_and_ends() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        mask = rng.random((7, 6, 9)) > 0.98
        found = extent(torch.as_tensor(mask))
        if not mask.any():
            assert found is None
            continue
        ends = [(int(axis.min()), int(axis.max()) + 1) for axis in np.nonzero(mask)]
        assert found == ends


def test_of_an_empty_mask_there_is_none() -> None:
    assert extent(torch.zeros(3, 1, 2, dtype=torch.bool)) is None
