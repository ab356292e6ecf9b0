"""A displacement that is asked for on any grid: what the steps of a registration hand to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..space import Grid
from ..space.sampling import sample_grid

#: v in mm along the world's axes, (3, D, H, W), at the centres of any world-aligned grid; T(x) = affine(x) + v(x).
Displacement = Callable[[Grid], Tensor]


def nothing(grid: Grid) -> Tensor:
    """What is left after the pre-alignment before anything is known of it."""
    return torch.zeros(3, *grid.shape)


def sampled(v: Tensor, grid: Grid) -> Displacement:
    """A field (3, D, H, W) given on one grid, on any other; continued by its nearest value."""
    return lambda at: sample_grid(v, grid, at)


def mean_of(found: Sequence[Displacement]) -> Displacement:
    """The mean of several, at every point."""
    return lambda at: torch.stack([one(at) for one in found]).mean(dim=0)
