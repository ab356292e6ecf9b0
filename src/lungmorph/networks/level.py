"""One level of a multi-level network: coarse in the middle, full resolution at both ends."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import (
    SLOPE,
    Convolution,
    FieldUpsampling,
    activation,
    field_head,
    full_precision,
    halving,
    run,
)
from .config import LevelConfig
from .correlation import CorrelationMatch
from .unet import UNet

# Voxels of the working lattice are divided by this before they enter, so that displacements and
# intensities are of like size.
DISPLACEMENT_SCALE = 10.0


class Level(nn.Module):
    """s down-sampling convolutions, a U-Net body at 1 / 2**s, s up-samplings (Hering et al. 2019).

    The last up-sampling doubles the displacement itself, so that hardly anything is computed at
    full resolution, where the voxels are.
    """

    def __init__(self, config: LevelConfig, carried: int = 0) -> None:
        """``carried``: channels of the features that :meth:`with_features` is given, 0 for none."""
        super().__init__()
        self.recompute = False
        self.scale = 2.0 ** max(config.downsamplings - 1, 0)
        self.match: CorrelationMatch | None = None
        channels = 5 if config.correlation is None else 1
        entry: list[nn.Module] = []
        for features in config.entry:
            entry += [halving(channels, features), activation()]
            channels = features
        if config.correlation is not None:
            # the same layers for both images, and a map of features without a sign's preference
            entry.append(Convolution(channels, channels))
            self.match = CorrelationMatch(config.correlation, config.body[0])
            channels += config.body[0] + 3 + 3
        self.entry = nn.Sequential(*entry)
        self.body = UNet(channels + carried, config.body, config.blocks, config.norm)
        channels = config.body[0]
        out: list[nn.Module] = [
            nn.LeakyReLU(SLOPE)
        ]  # not in place: the features are wanted as they are
        for features in reversed(config.entry[1:]):
            out += [nn.ConvTranspose3d(channels, features, 4, 2, padding=1), activation()]
            channels = features
        out.append(field_head(channels))
        self.out = nn.Sequential(*out)
        self.up = FieldUpsampling() if config.downsamplings > 0 else nn.Identity()

    def forward(self, fixed: Tensor, warped: Tensor, so_far: Tensor | None) -> Tensor:
        """The update u of the displacement, that acts before ``so_far``.

        Args:
            fixed: (B, 1, D, H, W) in [0, 1]; sizes multiples of the config's ``divisor``.
            warped: the moving image warped by ``so_far``, same shape.
            so_far: (B, 3, D, H, W) in voxels; None (all zero) for the first level.

        Returns:
            (B, 3, D, H, W) in voxels of the working lattice, channels (x, y, z).
        """
        return self.with_features(fixed, warped, so_far, None)[0]

    def with_features(
        self, fixed: Tensor, warped: Tensor, so_far: Tensor | None, carried: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The update as in :meth:`forward`, and the features of the body, for the next level to carry.

        Args:
            carried: features of the level before, at any resolution; None if the level carries none.
        """
        if so_far is None:
            batch, _, *shape = fixed.shape
            so_far = fixed.new_zeros((batch, 3, *shape))
        before = so_far / DISPLACEMENT_SCALE
        shift: Tensor | None = None
        if self.match is None:
            x = self._run(self.entry, torch.cat((fixed, warped, before), dim=1))
        else:
            features = self._run(self.entry, fixed)
            moving_features = self._run(self.entry, warped)
            correlation, shift = self._run(self.match, features, moving_features)
            depth, height, width = shift.shape[2:]
            before = F.adaptive_avg_pool3d(before, (depth, height, width))
            x = torch.cat((features, correlation, shift, before), dim=1)
        if carried is not None:
            carried = F.interpolate(
                carried, size=x.shape[2:], mode="trilinear", align_corners=False
            )
            x = torch.cat((x, carried), dim=1)
        body = self._run(self.body, x)
        update = self._run(self.out, body)
        if shift is not None:
            # the shift is in voxels of the body, the update in voxels half or as wide
            wide = fixed.shape[-1] / shift.shape[-1] / self.scale
            update = update + wide * F.interpolate(
                shift, size=update.shape[2:], mode="trilinear", align_corners=False
            )
        # the head thinks in voxels of its own, coarser lattice: one learning rate suits all levels
        return full_precision(self.up(update)) * self.scale, body

    def _run(self, part: nn.Module, *inputs: Tensor) -> Any:
        return run(part, *inputs, recompute=self.recompute)
