"""Taking the folds out of a field."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

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
    for turn in range(rounds):
        bad = determinant_below(out, spacing, least)
        if turn == 0:
            found = int(bad.sum())
        if not bool(bad.any()):
            return out, found
        sigma = 0.8 + turn / 8
        pad = 4 + round(4 * sigma)
        # only the box around the trouble is touched
        box: list[slice] = []
        for dim in (2, 3, 4):
            others = [d for d in (2, 3, 4) if d != dim]
            hit = bad.any(dim=others[1]).any(dim=others[0])[0, 0].nonzero()
            first, last = int(hit.min()), int(hit.max())
            box.append(slice(max(0, first - pad), min(bad.shape[dim], last + 1 + pad)))
        where = (slice(None), slice(None), *box)
        reach = 2 * (1 + turn // 10) + 1
        near = F.max_pool3d(bad[where].float(), reach, stride=1, padding=reach // 2)
        share = gaussian(near, sigma).clamp_max(1)
        part = out[where]
        if turn == 0:
            out = out.clone()
        out[where] = part + share * (gaussian(part, sigma) - part)
    raise RuntimeError("the field still folds after smoothing")
