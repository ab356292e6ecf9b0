"""MIND-SSC: structure told by the self-similarity of a place's six neighbours."""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops import box_mean
from .masking import masked_mean

_NEIGHBOURS = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
# Two neighbours on opposite sides are left out: their distance is another than that of the others.
_PAIRS = tuple(
    (a, b)
    for a, b in combinations(_NEIGHBOURS, 2)
    if sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) == 2
)


def mind_ssc(image: Tensor, radius: int = 1, dilation: int = 2, floor: float = 1e-3) -> Tensor:
    """The self-similarity context descriptor (Heinrich et al. 2013).

    Args:
        image: (B, 1, D, H, W), any intensity unit.
        radius: of the patches compared, voxels.
        dilation: distance of the six neighbours, voxels.
        floor: contrast (unit of the image) below which a place counts as flat. Its descriptor is
            then all ones, as it is where the image is constant.

    Returns:
        (B, 12, D, H, W) in (0, 1]; the most similar pair of patches of a voxel has the value 1.
    """
    padded = F.pad(image, [dilation] * 6, mode="replicate")
    shifted = {offset: _shift(padded, offset, dilation) for offset in _NEIGHBOURS}
    distances = torch.cat([(shifted[a] - shifted[b]) ** 2 for a, b in _PAIRS], dim=1)
    distances = box_mean(distances, radius)
    distances = distances - distances.amin(dim=1, keepdim=True)
    scale = distances.mean(dim=1, keepdim=True)
    # the noise level of a voxel, kept within sight of the whole image's
    usual = scale.detach().mean()
    scale = torch.maximum(torch.minimum(scale, usual * 1e3), usual * 1e-3) + floor**2
    return torch.exp(-distances / scale)


def mind_ssc_difference(
    a: Tensor,
    b: Tensor,
    mask: Tensor | None = None,
    radius: int = 1,
    dilation: int = 2,
    floor: float = 1e-3,
) -> Tensor:
    """Mean squared difference of two images' MIND-SSC over the mask, a scalar.

    Arguments as in :func:`mind_ssc`; ``mask`` is (B or 1, 1, D, H, W), None for everywhere.
    """
    difference = mind_ssc(a, radius, dilation, floor) - mind_ssc(b, radius, dilation, floor)
    return masked_mean(difference**2, mask)


def _shift(padded: Tensor, offset: tuple[int, int, int], dilation: int) -> Tensor:
    for dim, step in zip((2, 3, 4), offset, strict=True):
        size = padded.shape[dim] - 2 * dilation
        padded = padded.narrow(dim, dilation + step * dilation, size)
    return padded
