"""The Jacobian of a mapping x -> x + u(x): how volumes change, and where space folds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .warp import squared_length

#: Determinants computed at a time: nine gradients of a whole scan at once would take gigabytes.
SLAB_VOXELS = 2_000_000


def jacobian_determinant(displacement: Tensor, spacing: tuple[float, float, float]) -> Tensor:
    """det(I + du/dx) of the whole mapping, central differences, one-sided at the border.

    Args:
        displacement: (B, 3, D, H, W) in mm along the lattice's own axes, channels (x, y, z).
        spacing: mm between neighbours along (x, y, z).

    Returns:
        (B, 1, D, H, W), without unit, never clipped; <= 0 means folded. A rotation of the lattice
        does not change it, so components along the world axes of a turned grid must first be turned
        into the grid's own axes.
    """
    batch, _, depth, height, width = displacement.shape
    thick = max(1, SLAB_VOXELS // (batch * height * width))
    slabs = []
    for first in range(0, depth, thick):
        # with the neighbours that the differences at its ends reach for
        low, high = max(0, first - 1), min(depth, first + thick + 1)
        slab = _determinant(_gradients(displacement[:, :, low:high], spacing))
        slabs.append(slab[:, :, first - low :][:, :, :thick])
    return torch.cat(slabs, dim=2)


def smallest_determinant(displacement: Tensor, spacing: tuple[float, float, float]) -> Tensor:
    """The smallest of the eight one-sided determinants of every voxel.

    Convention and shapes as in :func:`jacobian_determinant`. Central differences can miss a fold
    between neighbours; all eight combinations of forward and backward differences being positive is
    the stricter condition (Karacali & Davatzikos 2004).
    """
    batch, _, depth, height, width = displacement.shape
    thick = max(1, SLAB_VOXELS // (8 * batch * height * width))
    slabs = []
    for first in range(0, depth, thick):
        low, high = max(0, first - 1), min(depth, first + thick + 1)
        part = displacement[:, :, low:high]
        slab = _smallest([_sides(part, axis, step) for axis, step in enumerate(spacing)])
        slabs.append(slab[:, :, first - low :][:, :, :thick])
    return torch.cat(slabs, dim=2)


def determinant_below(
    displacement: Tensor, spacing: tuple[float, float, float], least: float
) -> Tensor:
    """Where :func:`smallest_determinant` is below ``least`` (0 to 1): bool (B, 1, D, H, W).

    Much faster than asking it for all voxels: no singular value of I + G is less than 1 - |G|, so that
    determinants are computed only where the gradient G is long.
    """
    below, rows, where = _steep(displacement, spacing, least)
    if rows:
        lowest = [_smallest(part)[0, 0, 0, 0] for part in _parts(rows, SLAB_VOXELS // 8)]
        below[where] = torch.cat(lowest) < least
    return below


def kept_above(
    displacement: Tensor,
    spacing: tuple[float, float, float],
    least: float,
    factors: Sequence[float],
) -> list[bool]:
    """For each of some factors, 0 to 1, whether no :func:`smallest_determinant` of that times the field is below ``least``.

    As fast as :func:`determinant_below`, and a device is waited for but twice.
    """
    _, rows, _ = _steep(displacement, spacing, least)
    if not rows:
        return [True] * len(factors)
    scale = displacement.new_tensor(factors)[:, None, None, None, None]
    lowest = [
        _smallest([(scale * ahead, scale * behind) for ahead, behind in part]).amin(
            dim=(1, 2, 3, 4)
        )
        for part in _parts(rows, SLAB_VOXELS // len(factors))
    ]
    kept: list[bool] = (torch.stack(lowest).amin(dim=0) >= least).tolist()
    return kept


def _parts(rows: list[tuple[Tensor, Tensor]], most: int) -> list[list[tuple[Tensor, Tensor]]]:
    """Rows (1, 3, 1, 1, N) of at most so many voxels."""
    (first, _), *_ = rows
    starts = range(0, first.shape[-1], max(1, most))
    return [[(a[..., n : n + most], b[..., n : n + most]) for a, b in rows] for n in starts]


def _steep(
    displacement: Tensor, spacing: tuple[float, float, float], least: float
) -> tuple[Tensor, list[tuple[Tensor, Tensor]], tuple[Tensor, ...]]:
    """Where a determinant may be below ``least``: bool (B, 1, D, H, W); the differences there, as rows (1, 3, 1, 1, N),
    none if N is 0; and the places."""
    sides = [_sides(displacement, axis, step) for axis, step in enumerate(spacing)]
    longest = sum(torch.maximum(squared_length(a), squared_length(b)) for a, b in sides)
    assert isinstance(longest, Tensor)
    steep = longest > (1 - least ** (1 / 3)) ** 2
    item, channel, k, j, i = steep.nonzero().unbind(dim=1)
    rows = []
    if len(item) > 0:
        for pair in sides:
            ahead, behind = (side[item, :, k, j, i].T[None, :, None, None] for side in pair)
            rows.append((ahead, behind))
    return steep, rows, (item, channel, k, j, i)


def _sides(displacement: Tensor, axis: int, step: float) -> tuple[Tensor, Tensor]:
    """Forward and backward differences along an axis of the lattice, each (B, 3, D, H, W)."""
    dim = 4 - axis
    size = displacement.shape[dim]
    if size == 1:
        zero = torch.zeros_like(displacement)
        return zero, zero
    diff = displacement.diff(dim=dim) / step
    ahead = torch.cat((diff, diff.narrow(dim, size - 2, 1)), dim=dim)
    behind = torch.cat((diff.narrow(dim, 0, 1), diff), dim=dim)
    return ahead, behind


def _smallest(sides: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Of all eight combinations at once: on a GPU one operation on eight times as much takes no longer."""
    x, y, z = (torch.stack(pair) for pair in sides)
    return _determinant([x[:, None, None], y[None, :, None], z[None, None]]).amin(dim=(0, 1, 2))


def _gradients(displacement: Tensor, spacing: tuple[float, float, float]) -> list[Tensor]:
    """[du/dx, du/dy, du/dz], each (B, 3, D, H, W)."""
    out = []
    for axis, step in enumerate(spacing):
        dim, n = 4 - axis, displacement.shape[4 - axis]
        if n == 1:
            out.append(torch.zeros_like(displacement))
            continue
        # as torch.gradient, in half the time
        first, second, last_but_one, last = (
            displacement.narrow(dim, k, 1) for k in (0, 1, n - 2, n - 1)
        )
        inner = displacement.narrow(dim, 2, n - 2) - displacement.narrow(dim, 0, n - 2)
        parts = [(second - first) * 2, inner, (last - last_but_one) * 2]
        out.append(torch.cat(parts, dim=dim).mul_(0.5 / step))
    return out


def _determinant(gradients: list[Tensor]) -> Tensor:
    """(..., 3, D, H, W) each -> (..., 1, D, H, W)."""
    (a, d, g), (b, e, h), (c, f, i) = (part.unbind(dim=-4) for part in gradients)
    a, e, i = a + 1, e + 1, i + 1
    return (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)).unsqueeze(-4)
