"""Where training pairs come from."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..simulate import Draw
from .lattice import averaged_pair

Pair = Mapping[str, Tensor]


class PairSource(Protocol):
    """An endless row of pairs, each made from its number alone, so that a run can be resumed."""

    def pair(self, step: int) -> Pair:
        """Pair number ``step`` on the working lattice, the same whenever it is asked for.

        Returns:
            ``fixed`` and ``moving`` (B, 1, D, H, W) in HU; ``fixed_mask`` (B, 1, D, H, W), bool, the
            lungs. Where they are known, ``displacement`` (B, 3, D, H, W) in voxels, channels (x, y, z),
            fixed -> moving; ``fixed_points`` and ``moving_points`` (N, 3), (x, y, z), matching landmarks
            as voxel indices of the lattice; ``stretch``, the volume change of the pre-alignment through which
            the moving image is seen, as a number. Other entries are ignored.
        """
        ...


@runtime_checkable
class Coarsening(Protocol):
    """A source that can make its pairs on a coarser lattice, which is cheaper than averaging them."""

    def at(self, factor: int) -> PairSource:
        """The same source on a lattice whose voxels are ``factor`` times as large."""
        ...


class _Averaged:
    def __init__(self, source: PairSource, factor: int) -> None:
        self.source, self.factor = source, factor

    def pair(self, step: int) -> Pair:
        return averaged_pair(self.source.pair(step), self.factor)


def at_factor(source: PairSource, factor: int) -> PairSource:
    """The source on a lattice whose voxels are ``factor`` times as large."""
    if factor == 1:
        return source
    return source.at(factor) if isinstance(source, Coarsening) else _Averaged(source, factor)


class Mixed:
    """Several sources, one of which makes each pair, drawn by their shares.

    Args:
        sources: with their shares, above 0.
        seed: of the draws.
    """

    def __init__(self, sources: Sequence[tuple[PairSource, float]], seed: int) -> None:
        self.sources, self.seed = list(sources), seed

    def pair(self, step: int) -> Pair:
        """As :meth:`PairSource.pair`."""
        left = Draw(self.seed, step, 21).uniform(0, sum(share for _, share in self.sources))
        for source, share in self.sources:
            left -= share
            if left <= 0:
                return source.pair(step)
        return self.sources[-1][0].pair(step)

    def at(self, factor: int) -> PairSource:
        """Every source on the coarser lattice."""
        return Mixed([(at_factor(s, factor), share) for s, share in self.sources], self.seed)


class _ByNumber(Dataset[Pair]):
    def __init__(self, source: PairSource) -> None:
        self.source = source

    def __getitem__(self, step: int) -> Pair:
        return self.source.pair(step)


def _leave_signals_to_the_parent(number: int) -> None:
    """Ctrl-C reaches workers too, whose pairs the last step still needs; a kill is to end them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def stream(source: PairSource, numbers: Sequence[int], workers: int = 0) -> Iterator[Pair]:
    """The pairs of these numbers, in order, made ahead by ``workers`` processes if any.

    The order and the pairs do not depend on the number of workers.
    """
    if workers == 0:
        return (source.pair(number) for number in numbers)
    loader = DataLoader(
        _ByNumber(source),
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        worker_init_fn=_leave_signals_to_the_parent,
        # otherwise the loader draws from the global random state
        generator=torch.Generator().manual_seed(0),
    )
    return iter(loader)
