"""How alike two images are: local correlation, squared difference, conserved mass."""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops import box_mean
from .masking import masked_mean


def lncc(
    a: Tensor, b: Tensor, mask: Tensor | None = None, radius: int = 3, floor: float = 0.01
) -> Tensor:
    """Mean local normalised cross-correlation, in [-1, 1]; 1 for images alike up to local contrast.

    The correlation keeps its sign: two CTs of one lung are never each other's negative.

    Args:
        a, b: (B, 1, D, H, W), any intensity unit; [0, 1] suits the default floor.
        mask: where the centres of the windows lie, (B or 1, 1, D, H, W); None for everywhere. The
            windows reach beyond it, so that the edge of the lung counts.
        radius: of the cubic window, voxels.
        floor: contrast (standard deviation, unit of the images) below which a window counts as flat:
            there the correlation goes to 0, and nowhere is the gradient of the sum over n-voxel windows
            more than sqrt(n) / floor.

    Returns:
        Scalar (Cachier et al. 2003; Avants et al. 2008).
    """
    # shifting both by a constant changes nothing but the rounding of "mean square - squared mean"
    a = a - a.detach().mean()
    b = b - b.detach().mean()
    moments = box_mean(torch.cat((a, b, a * a, b * b, a * b), dim=1), radius)
    mean_a, mean_b, square_a, square_b, product = moments.split(a.shape[1], dim=1)
    variance_a = (square_a - mean_a * mean_a).clamp_min(0) + floor**2
    variance_b = (square_b - mean_b * mean_b).clamp_min(0) + floor**2
    covariance = product - mean_a * mean_b
    return masked_mean(covariance / (variance_a * variance_b).sqrt(), mask)


def mse(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference of (B, C, D, H, W) images over the mask, a scalar."""
    return masked_mean((a - b) ** 2, mask)


def mass_preserving_difference(
    fixed: Tensor, warped: Tensor, determinant: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Mean squared difference of tissue density when breathing changes volume but not mass.

    A voxel of fixed tissue of density r_f fills ``determinant`` times its volume in the moving
    image, so r_f = determinant * r_m (Yin et al. 2009, there as tissue volume).

    Args:
        fixed: (B, 1, D, H, W), HU.
        warped: the moving image read at p + u(p), (B, 1, D, H, W), HU.
        determinant: of the mapping fixed -> moving, (B, 1, D, H, W), no unit
            (:func:`lungmorph.ops.jacobian_determinant`).
        mask: (B or 1, 1, D, H, W); None for everywhere.

    Returns:
        Scalar, in (g/ml)^2 as far as HU + 1000 is mg/ml.
    """
    density_fixed = (fixed + 1000) / 1000
    density_moving = (warped + 1000) / 1000
    return masked_mean((density_fixed - density_moving * determinant) ** 2, mask)
