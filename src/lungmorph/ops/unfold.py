"""Taking the folds out of a field."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .extent import extent
from .jacobian import determinant_below
from .local import gaussian


def unfold(
    displacement: Tensor, spacing: tuple[float, float, float], least: float = 0.05, rounds: int = 80
) -> tuple[Tensor, int]:
    """Smooth a field, only where it must be, until it folds nowhere.

    Around every voxel one of whose eight one-sided determinants is below ``least`` the field is
    blended with its own Gaussian smoothing; the width grows from round to round, so that the place
    becomes as smooth as it takes. Elsewhere the field keeps every bit.

    Args:
        displacement: (1, 3, D, H, W) in mm along the lattice's axes.
        spacing: mm along (x, y, z).
        least: smallest determinant that is let stand.
        rounds: most rounds.

    Returns:
        The field, and the number of voxels that were below ``least`` at first.

    Raises:
        RuntimeError: still folded after all rounds.
    """
    out = displacement
    found = 0
    shape = tuple(displacement.shape[2:])
    box = [
        (0, n) for n in shape
    ]  # where folds can be: everywhere, and then where something was changed
    for turn in range(rounds):
        watched = _part(box)
        bad = determinant_below(out[watched], spacing, least)
        count = int(bad.sum())
        if turn == 0:
            found = count
        around = extent(bad[0, 0]) if count else None
        if around is None:
            return out, found
        sigma = 0.8 + turn / 8
        pad = 4 + round(4 * sigma)
        inner = [
            (max(0, a - pad), min(n, b + pad))
            for (a, b), n in zip(around, bad.shape[2:], strict=True)
        ]
        near = bad[_part(inner)].float()
        box = [(start + a, start + b) for (start, _), (a, b) in zip(box, inner, strict=True)]
        reach = 2 * (1 + turn // 10) + 1
        near = F.max_pool3d(near, reach, stride=1, padding=reach // 2)
        share = gaussian(near, sigma).clamp_max(1)
        part = out[_part(box)]
        if turn == 0:
            out = out.clone()
        out[_part(box)] = part + share * (gaussian(part, sigma) - part)
        # the differences of a neighbour change too; and room for the next round
        box = [
            (max(0, a - 2 * pad), min(n, b + 2 * pad)) for (a, b), n in zip(box, shape, strict=True)
        ]
    raise RuntimeError("the field still folds after smoothing")


def _part(box: list[tuple[int, int]]) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(a, b) for a, b in box))
