"""From HU to what a network was trained on."""

from __future__ import annotations

from torch import Tensor

from .config import ModelConfig


def preprocess(hu: Tensor, config: ModelConfig) -> Tensor:
    """HU of any shape -> float32 in [0, 1]: the config's window, clipped outside.

    The window is part of the config, and so travels with the weights.
    """
    low, high = config.window_hu
    return ((hu.float() - low) / (high - low)).clamp(0, 1)
