"""The bending energy of a field on a lattice: the squares of its second derivatives (Rueckert et al. 1999)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: What a lattice point has on the diagonal of the energy's Hessian, far from the border, for a weight of one: three times
#: the squares of (1, -2, 1), six times those of a mixed difference.
DIAGONAL = 3 * 6 + 6 * 4


def bending(v: Tensor, spacing: float) -> Tensor:
    """Sum of the squares of all second derivatives.

    Args:
        v: (3, D, H, W), mm.
        spacing: of the lattice, mm.

    Returns:
        (D, H, W), mm^-2.
    """
    first = [torch.gradient(v, spacing=spacing, dim=dim)[0] for dim in (1, 2, 3)]
    second = [torch.gradient(g, spacing=spacing, dim=dim)[0] for g in first for dim in (1, 2, 3)]
    return torch.stack([g.square().sum(dim=0) for g in second]).sum(dim=0)


def bending_force(u: Tensor, weight: Tensor) -> Tensor:
    """Gradient of half the sum of the squares of all second differences.

    Args:
        u: (3, D, H, W).
        weight: of the squares at every point, (D, H, W).

    Returns:
        (3, D, H, W). It is linear in u: also the product of the energy's Hessian with u.
    """
    out = torch.zeros_like(u)
    for a in (1, 2, 3):
        for b in range(a, 4):
            bend = u.diff(dim=a).diff(dim=b)
            # a straight difference is centred on its middle point, a mixed one is taken at its first
            at = weight[None]
            for dim in (1, 2, 3):
                at = at.narrow(dim, 1 if a == b == dim else 0, bend.shape[dim])
            # a mixed one counts twice, as (a, b) and as (b, a)
            bend = bend * at * (1 if a == b else 2)
            for dim in (a, b):
                ends = [0] * 6
                ends[2 * (3 - dim)] = ends[2 * (3 - dim) + 1] = 1
                bend = F.pad(bend, ends).diff(dim=dim).neg_()
            out += bend
    return out
