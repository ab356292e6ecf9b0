"""Local likeness of two images."""

from __future__ import annotations

from torch import Tensor

from ..losses import lncc

#: Contrast (standard deviation) below which a window counts as flat, HU.
FLAT_HU = 10.0


def local_correlation(a: Tensor, b: Tensor, region: Tensor, radius: int = 2) -> float:
    """Mean local normalised cross-correlation (LNCC) of two CTs over a region.

    Other than the correlation over the whole lung it does not mind that the lung gets lighter where it
    is stretched, and a few bright vessels or the chest wall cannot carry it.

    Args:
        a, b: (D, H, W), HU, on one grid.
        region: bool, (D, H, W): centres of the windows; these reach beyond it.
        radius: of the cubic window, voxels.
    """
    first, second = ((image.float() / 1000)[None, None] for image in (a, b))
    return float(lncc(first, second, region[None, None].float(), radius, FLAT_HU / 1000))
