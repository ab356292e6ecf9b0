"""Where a mask begins and ends."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def extent(mask: Tensor) -> list[tuple[int, int]] | None:
    """First and last + 1 of what is True in a mask (D, H, W), along (z, y, x); None where nothing is.

    A device is waited for once.
    """
    depth, height, _ = mask.shape
    slices = mask.any(dim=2)
    hit = torch.cat((slices.any(dim=1), slices.any(dim=0), mask.any(dim=1).any(dim=0)))
    along = np.split(hit.numpy(force=True), [depth, depth + height])
    used = [np.flatnonzero(part) for part in along]
    if len(used[0]) == 0:
        return None
    return [(int(part[0]), int(part[-1]) + 1) for part in used]
