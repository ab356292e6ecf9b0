"""Local likeness of two images."""

from __future__ import annotations

import torch
from torch import Tensor

from ..losses import lncc
from ..threads import side_by_side

#: Contrast (standard deviation) below which a window counts as flat, HU.
FLAT_HU = 10.0
#: Looked at at a time.
SLAB_VOXELS = 500_000


def local_correlation(a: Tensor, b: Tensor, region: Tensor, radius: int = 2) -> float:
    """Mean local normalised cross-correlation (LNCC) of two CTs over a region.

    Other than the correlation over the whole lung it does not mind that the lung gets lighter where it
    is stretched, and a few bright vessels or the chest wall cannot carry it.

    Args:
        a, b: (D, H, W), HU, on one grid.
        region: bool, (D, H, W): centres of the windows; these reach beyond it.
        radius: of the cubic window, voxels.
    """
    depth, height, width = a.shape
    thick = max(4 * radius, SLAB_VOXELS // (height * width))

    def slab(first: int) -> float:
        """Sum of the correlations of the windows in some slices."""
        inside = region[first : first + thick]
        count = int(inside.sum())
        if count == 0:
            return 0.0
        # with what the windows reach for
        low, high = max(0, first - radius), min(depth, first + thick + radius)
        one, other = ((image[low:high].float() / 1000)[None, None] for image in (a, b))
        mask = torch.zeros(1, 1, high - low, height, width)
        mask[0, 0, first - low :][: len(inside)] = inside
        return count * float(lncc(one, other, mask, radius, FLAT_HU / 1000))

    return sum(side_by_side(slab, range(0, depth, thick))) / max(int(region.sum()), 1)
