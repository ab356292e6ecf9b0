"""From a config to a network."""

from __future__ import annotations

import torch

from .config import ModelConfig, MultiLevelConfig
from .multilevel import MultiLevel
from .voxelmorph import VoxelMorph

RegistrationNetwork = MultiLevel | VoxelMorph


def build(config: ModelConfig, seed: int = 0) -> RegistrationNetwork:
    """A network with fresh weights, drawn from ``seed``; the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(config, MultiLevelConfig):
            return MultiLevel(config)
        return VoxelMorph(config)
