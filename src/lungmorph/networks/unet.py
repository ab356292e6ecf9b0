"""The U-Net body: residual blocks at a few resolutions, skips added."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from .blocks import Convolution, ResidualBlock, doubled, together
from .config import Norm


class UNet(nn.Module):
    """Residual encoder and decoder (Ronneberger et al. 2015); skips are added, not concatenated.

    Args:
        inputs: channels in.
        features: channels at each resolution, finest first; the output has ``features[0]``.
        blocks: residual blocks at each resolution, on the way down and on the way up.
        norm: see :class:`~lungmorph.networks.config.LevelConfig`.
    """

    def __init__(self, inputs: int, features: tuple[int, ...], blocks: int, norm: Norm) -> None:
        super().__init__()
        self.stem = Convolution(inputs, features[0])
        self.encoder = nn.ModuleList(_stage(n, blocks, norm) for n in features)
        pairs = list(pairwise(features))
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        # 1x1x1 before the interpolation: fewer channels to interpolate
        self.up = nn.ModuleList(nn.Conv3d(coarse, fine, 1) for fine, coarse in pairs)
        self.decoder = nn.ModuleList(_stage(fine, blocks, norm) for fine, _ in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, D, H, W) -> (B, features[0], D, H, W); sizes multiples of 2**(depth - 1)."""
        x = self.encoder[0](self.stem(together(x)))
        skips = []
        for down, stage in zip(self.down, list(self.encoder)[1:], strict=True):
            skips.append(x)
            x = stage(down(x))
        for up, stage in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = stage(skips.pop() + doubled(up(x)))
        return x


def _stage(features: int, blocks: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(features, norm) for _ in range(blocks)))
