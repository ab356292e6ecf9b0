"""The few layers that all networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import Norm

SLOPE = 0.1


class InstanceNorm(nn.GroupNorm):
    """Instance norm as a group norm of one channel a group: three times faster on the CPU.

    Unlike torch's, it takes a lattice of a single voxel (giving its bias), which the deepest
    resolution of a small image may be.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, D, H, W), same shape out."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def normalization(features: int, norm: Norm) -> nn.Module:
    """Instance norm, or nothing: a batch is one pair, so batch norm is out of the question."""
    return InstanceNorm(features) if norm == "instance" else nn.Identity()


def activation() -> nn.Module:
    """The non-linearity used throughout."""
    return nn.LeakyReLU(SLOPE, inplace=True)


def halving(inputs: int, outputs: int) -> nn.Conv3d:
    """Strided convolution to half the resolution.

    The even kernel puts the coarse voxels in the middle of eight fine ones, where
    :func:`doubled` and the transposed convolutions look for them; an odd one would shift the field.
    """
    return nn.Conv3d(inputs, outputs, kernel_size=4, stride=2, padding=1)


def doubled(x: Tensor) -> Tensor:
    """(B, C, D, H, W) at twice the resolution, trilinear between voxel centres."""
    return F.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """x + two convolutions, each after norm and activation (He et al. 2016, pre-activation)."""

    def __init__(self, features: int, norm: Norm) -> None:
        super().__init__()
        self.path = nn.Sequential(
            normalization(features, norm),
            nn.LeakyReLU(SLOPE, inplace=norm != "none"),  # never overwrite x itself
            nn.Conv3d(features, features, 3, padding=1),
            normalization(features, norm),
            activation(),
            nn.Conv3d(features, features, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, D, H, W), same shape out."""
        return x + self.path(x)


class FieldUpsampling(nn.Module):
    """Learned doubling of a displacement field's resolution that starts as trilinear interpolation."""

    def __init__(self) -> None:
        super().__init__()
        # replicated border voxels go in and 3 voxels a side come off: exactly twice the size, and
        # no fading of the field to 0 at its border
        self.layer = nn.ConvTranspose3d(3, 3, kernel_size=4, stride=2, padding=3, bias=False)
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        kernel = line[:, None, None] * line[:, None] * line
        with torch.no_grad():
            self.layer.weight.copy_(torch.eye(3)[:, :, None, None, None] * kernel)

    def forward(self, field: Tensor) -> Tensor:
        """(B, 3, D, H, W) -> (B, 3, 2D, 2H, 2W); values keep their unit."""
        return self.layer(F.pad(field, [1] * 6, mode="replicate"))


def field_head(features: int) -> nn.Conv3d:
    """Features -> displacement, starting so near zero that an untrained network is the identity."""
    head = nn.Conv3d(features, 3, 3, padding=1)
    nn.init.normal_(head.weight, std=1e-5)
    assert head.bias is not None
    nn.init.zeros_(head.bias)
    return head
