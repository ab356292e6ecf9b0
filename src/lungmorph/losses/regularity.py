"""How rough a displacement field is.

Convention: ``displacement`` is (B, 3, D, H, W), channels (x, y, z), in mm along the lattice's axes
with ``spacing`` in mm along (x, y, z). On an isotropic lattice, voxels with the default spacing of
one give the same diffusion, total variation and Jacobian. All return a scalar, a mean over voxels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops import smallest_determinant
from .masking import masked_mean

Spacing = tuple[float, float, float]
_UNIT: Spacing = (1.0, 1.0, 1.0)


def diffusion(displacement: Tensor, mask: Tensor | None = None, spacing: Spacing = _UNIT) -> Tensor:
    """Mean of |grad u|^2, summed over the nine derivatives (Fischer & Modersitzki 2002).

    Args:
        displacement, spacing: see the module's convention.
        mask: (B or 1, 1, D, H, W); a difference counts where both its voxels are inside.
    """
    total = displacement.new_zeros(())
    for axis, step in enumerate(spacing):
        dim = 4 - axis
        if displacement.shape[dim] > 1:
            slope = displacement.diff(dim=dim) / step
            energy = (slope * slope).sum(dim=1, keepdim=True)
            total = total + masked_mean(energy, _both(mask, dim))
    return total


def bending_energy(
    displacement: Tensor, mask: Tensor | None = None, spacing: Spacing = _UNIT
) -> Tensor:
    """Mean squared second derivatives, mixed ones twice; 0 for affine fields (Rueckert et al. 1999).

    Unit 1/mm^2. Args as in :func:`diffusion`; a difference counts where all its voxels are inside.
    """
    total = displacement.new_zeros(())
    for first in range(3):
        for second in range(first, 3):
            dims = (4 - first, 4 - second)
            sizes = [displacement.shape[dim] for dim in dims]
            if min(sizes) < (3 if first == second else 2):
                continue
            bend, inside = displacement, mask
            for dim in dims:
                bend, inside = bend.diff(dim=dim), _both(inside, dim)
            bend = bend / (spacing[first] * spacing[second])
            energy = (bend * bend).sum(dim=1, keepdim=True)
            total = total + (1 if first == second else 2) * masked_mean(energy, inside)
    return total


def isotropic_tv(
    displacement: Tensor,
    mask: Tensor | None = None,
    spacing: Spacing = _UNIT,
    smooth: float = 1e-3,
) -> Tensor:
    """Mean of |grad u|, all nine derivatives under one root: jumps cost their height, not its square.

    So the lung may slide along the chest wall (Vishnevskiy et al. 2017).

    Args:
        displacement, spacing: as in :func:`diffusion`.
        mask: (B or 1, 1, D, H, W); a voxel counts where it and its next one along every axis are inside.
        smooth: rounds the root off near 0 (no unit); a field at rest still costs 0.
    """
    common = tuple(max(n - 1, 1) for n in displacement.shape[2:])
    energy = displacement.new_zeros((displacement.shape[0], 1, *common))
    inside = None if mask is None else _corner(mask, common).to(torch.bool)
    for axis, step in enumerate(spacing):
        dim = 4 - axis
        if displacement.shape[dim] > 1:
            slope = _corner(displacement.diff(dim=dim), common) / step
            energy = energy + (slope * slope).sum(dim=1, keepdim=True)
            both = _both(mask, dim)
            if inside is not None and both is not None:
                inside = inside & _corner(both, common)
    values = (energy + smooth**2).sqrt() - smooth
    return masked_mean(values, inside)


def jacobian_penalty(
    displacement: Tensor,
    mask: Tensor | None = None,
    spacing: Spacing = _UNIT,
    margin: float = 0.0,
) -> Tensor:
    """Mean of max(margin - det J, 0): 0 as long as no voxel folds, then growing with the fold.

    det J is the smallest of the eight one-sided determinants, so a fold between voxels counts too.

    Args:
        displacement, mask, spacing: as in :func:`diffusion`.
        margin: determinant (no unit) that voxels are asked to keep above.
    """
    return masked_mean((margin - smallest_determinant(displacement, spacing)).clamp_min(0), mask)


def _both(mask: Tensor | None, dim: int) -> Tensor | None:
    """Where a voxel and its next one along ``dim`` are both inside."""
    if mask is None:
        return None
    size = mask.shape[dim] - 1
    return mask.narrow(dim, 0, size).to(torch.bool) & mask.narrow(dim, 1, size).to(torch.bool)


def _corner(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    return values[:, :, : shape[0], : shape[1], : shape[2]]
