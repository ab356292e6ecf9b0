"""Where training pairs come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Pair = Mapping[str, Tensor]


class PairSource(Protocol):
    """An endless row of pairs, each made from its number alone, so that a run can be resumed."""

    def pair(self, step: int) -> Pair:
        """Pair number ``step`` on the working lattice, the same whenever it is asked for.

        Returns:
            ``fixed`` and ``moving`` (B, 1, D, H, W) in HU; ``fixed_mask`` (B, 1, D, H, W), bool, the
            lungs; and, where it is known, ``displacement`` (B, 3, D, H, W) in voxels, channels
            (x, y, z), fixed -> moving. Other entries are ignored.
        """
        ...


class _ByNumber(Dataset[Pair]):
    def __init__(self, source: PairSource) -> None:
        self.source = source

    def __getitem__(self, step: int) -> Pair:
        return self.source.pair(step)


def stream(source: PairSource, start: int, stop: int, workers: int = 0) -> Iterator[Pair]:
    """Pairs ``start`` to ``stop`` - 1, in order, made ahead by ``workers`` processes if any.

    The order and the pairs do not depend on the number of workers.
    """
    if workers == 0:
        return (source.pair(step) for step in range(start, stop))
    loader = DataLoader(
        _ByNumber(source),
        batch_size=None,
        sampler=range(start, stop),
        num_workers=workers,
        # otherwise the loader draws from the global random state
        generator=torch.Generator().manual_seed(0),
    )
    return iter(loader)
