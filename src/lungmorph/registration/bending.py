"""The bending energy of a field on a lattice: the squares of its second derivatives (Rueckert et al. 1999)."""

from __future__ import annotations

import torch
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


class BendingForce:
    """Gradient of half the sum of the squares of all second differences, for one weight of them.

    It is linear in the field: also the product of the energy's Hessian with it. A solver asks for it again and again
    on lattices so small that the number of operations counts more than what they compute.
    """

    def __init__(self, weight: Tensor) -> None:
        """For a ``weight`` of the squares at every point, (D, H, W)."""
        self._weights: dict[tuple[int, int], Tensor] = {}
        for a in (1, 2, 3):
            for b in range(a, 4):
                at = weight[None]
                for dim in (1, 2, 3):
                    size = at.shape[dim] - (dim == a) - (dim == b)
                    # a straight difference is centred on its middle point, a mixed one is taken at its first
                    at = at.narrow(dim, 1 if a == b == dim else 0, size)
                # a mixed one counts twice, as (a, b) and as (b, a)
                self._weights[a, b] = (at if a == b else 2 * at).contiguous()

    def __call__(self, u: Tensor) -> Tensor:
        """Of a field (3, D, H, W) on the lattice of the weight: (3, D, H, W)."""
        out = torch.zeros_like(u)
        for a in (1, 2, 3):
            first = u.diff(dim=a)
            back = torch.zeros_like(first)
            for b in range(a, 4):
                _add_adjoint(back, b, first.diff(dim=b).mul_(self._weights[a, b]))
            _add_adjoint(out, a, back)
        return out


def _add_adjoint(out: Tensor, dim: int, difference: Tensor) -> None:
    """Add to ``out`` what the adjoint of its differences along ``dim`` makes of such a difference."""
    n = difference.shape[dim]
    out.narrow(dim, 1, n).add_(difference)
    out.narrow(dim, 0, n).sub_(difference)
