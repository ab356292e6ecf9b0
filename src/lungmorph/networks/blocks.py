"""The few layers that all networks share."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .config import Norm

SLOPE = 0.1
# torch takes the slow one of its two convolutions on the CPU for a batch of one unless
# channels * depth * height is above this
_FAST_FROM = 20480


class Convolution(nn.Conv3d):
    """3x3x3 convolution that keeps the size; on the CPU several times as fast as torch's own for small maps.

    Such a map is cut in two slabs, one voxel overlapping, that go through as a batch of two: for
    those torch takes the convolution of oneDNN. Same weights, same sums, up to rounding.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, D, H, W) -> (B, outputs, D, H, W)."""
        batch, channels, depth, height, _ = x.shape
        if depth == 2 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # in bfloat16 torch leaves the gradient of the weights undefined for maps so thin
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        small = channels * depth * height <= _FAST_FROM
        if x.device.type != "cpu" or batch > 1 or depth < 4 or not small:
            return super().forward(x)
        half = -(-depth // 2)
        wide = F.pad(x, (0, 0, 0, 0, 1, 1 + 2 * half - depth))
        slabs = torch.cat((wide[:, :, : half + 2], wide[:, :, half:]))
        first, second = F.conv3d(slabs, self.weight, self.bias, padding=(0, 1, 1)).split(1)
        return torch.cat((first, second[:, :, : depth - half]), dim=2)


def together(x: Tensor) -> Tensor:
    """(B, C, D, H, W) with the channels of a voxel side by side in memory, where that is faster: on the CPU.

    What is made of such a tensor is like it. oneDNN's convolutions are faster so, and interpolation takes an eighth of the time.
    """
    return x.contiguous(memory_format=torch.channels_last_3d) if x.device.type == "cpu" else x


def _are_together(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last_3d) and not x.is_contiguous()


def run(part: nn.Module, *inputs: Tensor, recompute: bool) -> Any:
    """``part(*inputs)``; with ``recompute`` its activations are made again in the backward pass.

    Gradient checkpointing (Chen et al. 2016): memory for time, the same numbers.
    """
    if recompute and torch.is_grad_enabled():
        return checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
    return part(*inputs)


def full_precision(field: Tensor) -> Tensor:
    """Half-precision values as float32: eight bits of a mantissa would round a field to steps."""
    return field.float() if field.dtype in (torch.float16, torch.bfloat16) else field


class InstanceNorm(nn.GroupNorm):
    """Instance norm as a group norm of one channel a group, three times faster on the CPU, or image by image as a batch norm.

    Unlike torch's, it takes a lattice of a single voxel (giving its bias), which the deepest
    resolution of a small image may be.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, D, H, W), same shape out."""
        if x[0, 0].numel() == 1 or not _are_together(x):
            return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        # of one image it is a batch norm, whose gradient is five to ten times as fast for such tensors
        images = [
            F.batch_norm(image, None, None, self.weight, self.bias, training=True, eps=self.eps)
            for image in x.split(1)
        ]
        return images[0] if len(images) == 1 else torch.cat(images)


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
    return enlarged(x, 2)


def enlarged(x: Tensor, factor: int) -> Tensor:
    """(B, C, D, H, W) at ``factor`` times the resolution, trilinear between voxel centres."""
    if factor == 1:
        return x
    return F.interpolate(x, scale_factor=float(factor), mode="trilinear", align_corners=False)


def averaged(x: Tensor, factor: int) -> Tensor:
    """(B, C, D, H, W) averaged in blocks of ``factor`` voxels a side; an incomplete last block is left out."""
    return x if factor == 1 else F.avg_pool3d(x, factor)


class ResidualBlock(nn.Module):
    """x + two convolutions, each after norm and activation (He et al. 2016, pre-activation)."""

    def __init__(self, features: int, norm: Norm) -> None:
        super().__init__()
        self.path = nn.Sequential(
            normalization(features, norm),
            nn.LeakyReLU(SLOPE, inplace=norm != "none"),  # never overwrite x itself
            Convolution(features, features),
            normalization(features, norm),
            activation(),
            Convolution(features, features),
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
        field = F.pad(full_precision(field), [1] * 6, mode="replicate")
        kind = field.device.type
        if kind == "meta" or not torch.is_autocast_enabled(kind):
            return self.layer(field)
        with torch.autocast(kind, enabled=False):
            return self.layer(field)


def field_head(features: int) -> nn.Conv3d:
    """Features -> displacement, starting so near zero that an untrained network is the identity."""
    head = nn.Conv3d(features, 3, 3, padding=1)
    nn.init.normal_(head.weight, std=1e-5)
    assert head.bias is not None
    nn.init.zeros_(head.bias)
    return head
