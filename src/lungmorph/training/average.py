"""A moving average of a network's weights: steadier than any single step."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """average <- d * average + (1 - d) * model, parameter by parameter.

    Args:
        average, model: of one architecture.
        decay: d in the long run.
        step: updates so far; the first ones use a smaller d, so that the start is soon forgotten.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    mine: list[Tensor] = list(average.parameters())
    theirs: list[Tensor] = list(model.parameters())
    # adds a multiple of the difference: a frozen weight, whose difference is 0, stays bit for bit
    for old, new in zip(mine, theirs, strict=True):
        old.add_(new - old, alpha=share)
