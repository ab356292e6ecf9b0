"""Draws for the simulation: a torch generator with an integer seed, always on the CPU.

The same seed gives the same patient on every device, because only these small draws are random.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Draw:
    """Random numbers from one integer seed."""

    def __init__(self, *seed: int) -> None:
        # Seeds are mixed (a multiplicative hash), so that (1, 2) and (2, 1) or neighbours differ.
        mixed = 0x9E3779B97F4A7C15
        for part in seed:
            mixed = ((mixed ^ (int(part) + 0x7F4A7C15)) * 0xBF58476D1CE4E5B9) % (1 << 64)
            mixed ^= mixed >> 31
        self.generator = torch.Generator().manual_seed(mixed % (1 << 63))

    def uniform(self, low: float, high: float) -> float:
        """One number between ``low`` and ``high``."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.uniform(0, 1) < probability

    def integer(self, low: int, high: int) -> int:
        """One of low, ..., high - 1."""
        return int(torch.randint(low, high, (), generator=self.generator))

    def uniforms(self, *shape: int) -> Tensor:
        """Numbers in [0, 1), float32, CPU."""
        return torch.rand(shape, generator=self.generator)

    def normals(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32, CPU."""
        return torch.randn(shape, generator=self.generator)

    def permutation(self, count: int) -> Tensor:
        """0, ..., count - 1 in random order."""
        return torch.randperm(count, generator=self.generator)
