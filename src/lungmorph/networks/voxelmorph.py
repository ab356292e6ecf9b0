"""VoxelMorph, the single-resolution network that the multi-level one is compared with."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops import integrate
from .blocks import Convolution, activation, doubled, field_head, full_precision, run
from .config import VoxelMorphConfig
from .padding import check_pair, pad_to_multiple, unpad


class VoxelMorph(nn.Module):
    """U-Net to displacement (Balakrishnan et al. 2019) or to velocity (Dalca et al. 2019).

    Called like :class:`~lungmorph.networks.MultiLevel`; it has one level.
    """

    def __init__(self, config: VoxelMorphConfig) -> None:
        super().__init__()
        self.config = config
        self._recompute = False
        channels = 2
        skips = [channels]
        self.encoder = nn.ModuleList()
        for features in config.encoder:
            self.encoder.append(_layer(channels, features, stride=2))
            channels = features
            skips.append(features)
        self.decoder = nn.ModuleList()
        skips.pop()
        for features in config.decoder:
            self.decoder.append(_layer(channels, features))
            channels = features + skips.pop()
        final: list[nn.Module] = []
        for features in config.final:
            final.append(_layer(channels, features))
            channels = features
        self.final = nn.Sequential(*final, field_head(channels))

    def forward(
        self,
        fixed: Tensor,
        moving: Tensor,
        levels: int | None = None,
        reduced: int = 1,
        own_lattice: bool = False,
    ) -> list[Tensor]:
        """The displacement, as a list of one.

        Args:
            fixed, moving: (B, 1, D, H, W) in [0, 1], on one lattice of any size (padded inside).
            levels: None or 1.
            reduced: 1, since it looks at every voxel.
            own_lattice: of no effect: its lattice is that of the images.

        Returns:
            [(B, 3, D, H, W)], voxels, channels (x, y, z), fixed -> moving.
        """
        check_pair(fixed, moving)
        if levels not in (None, 1):
            raise ValueError(f"VoxelMorph has one level, asked for {levels}")
        if reduced != 1:
            raise ValueError(f"VoxelMorph cannot look at images reduced by {reduced}")
        shape = tuple(fixed.shape[2:])
        x = pad_to_multiple(torch.cat((fixed, moving), dim=1), self.config.divisor)
        skips = []
        for layer in self.encoder:
            skips.append(x)
            x = run(layer, x, recompute=self._recompute)
        for layer in self.decoder:
            x = run(layer, x, recompute=self._recompute)
            x = torch.cat((F.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()), dim=1)
        for layer in self.final:
            x = run(layer, x, recompute=self._recompute)
        field = full_precision(x)
        if self.config.velocity:
            # integrated at half resolution, in voxels of that lattice: an eighth of the work
            half = integrate(F.avg_pool3d(field, 2) / 2, self.config.integration_steps)
            field = doubled(half) * 2
        return [unpad(field, shape)]

    def freeze(self, levels: Iterable[int]) -> None:
        """Keep level 0, the whole network, from being trained, or let it be trained."""
        frozen = set(levels)
        if frozen - {0}:
            raise ValueError(f"no such level: {sorted(frozen - {0})}; there is one")
        self.requires_grad_(not frozen)

    def recompute(self, on: bool) -> None:
        """Make activations again in the backward pass instead of keeping them: less memory, more time."""
        self._recompute = on


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    if stride == 1:
        return nn.Sequential(Convolution(inputs, outputs), activation())
    return nn.Sequential(nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1), activation())
