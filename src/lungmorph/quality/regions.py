"""Parts of the lungs for which figures are given apart: each lung in thirds of its height.

Lobes would be better; their fissures are not segmented here, and thirds need nothing but the mask.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..space import Volume

#: From foot to head.
THIRDS = ("lower", "middle", "upper")
#: A part of the mask that is smaller than this share of the whole is no lung of its own.
LEAST_SHARE = 0.1
#: Two lungs lie side by side if so much of either, at the side of the other, lies beyond all but as much of that.
WIDTH = 0.1


def lung_regions(lungs: Volume) -> dict[str, NDArray[np.bool_]]:
    """Masks (D, H, W) on the grid of ``lungs`` by name: "right lower", ..., "left upper".

    A mask in one piece (one lung, or two that touch), or in pieces that do not lie side by side, is called "lung". Patient's
    right is LPS -x.

    Raises:
        ValueError: the mask is empty.
    """
    mask = lungs.data.numpy() > 0
    if not mask.any():
        raise ValueError("the lung mask is empty")
    out = {}
    for name, part in _sides(mask, lungs).items():
        index = np.argwhere(part)[:, ::-1]
        height = lungs.grid.to_world(index)[:, 2]
        low, high = np.percentile(height, (0.5, 99.5))
        third = np.clip(((height - low) / max(high - low, 1e-6) * 3).astype(int), 0, 2)
        for number, where in enumerate(THIRDS):
            region = np.zeros_like(mask)
            i, j, k = index[third == number].T
            region[k, j, i] = True
            if region.any():
                out[f"{name} {where}"] = region
    return out


def _sides(mask: NDArray[np.bool_], lungs: Volume) -> dict[str, NDArray[np.bool_]]:
    """Right and left, if the large pieces of the mask lie side by side; else all of it, as "lung"."""
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    large = [n for n in range(1, count + 1) if sizes[n] >= LEAST_SHARE * mask.sum()]
    across = {n: lungs.grid.to_world(np.argwhere(labels == n)[:, ::-1])[:, 0] for n in large}
    large.sort(key=lambda n: across[n].mean())
    # a lung may be in several pieces, one above the other
    splits = [(large[:n], large[n:]) for n in range(1, len(large))]
    halves = [
        tuple(np.concatenate([across[n] for n in part]) for part in split) for split in splits
    ]
    gaps = [np.quantile(left, WIDTH) - np.quantile(right, 1 - WIDTH) for right, left in halves]
    if not gaps or max(gaps) <= 0:
        return {"lung": mask}
    best = int(np.argmax(gaps))
    middles = [half.mean() for half in halves[best]]
    # what belongs to neither goes to the side on which it lies
    x = lungs.grid.to_world(np.argwhere(mask)[:, ::-1])[:, 0]
    is_right = np.zeros_like(mask)
    is_right[mask] = np.abs(x - middles[0]) <= np.abs(x - middles[1])
    right, left = (np.isin(labels, part) for part in splits[best])
    is_right = (is_right | right) & ~left
    return {"right": mask & is_right, "left": mask & ~is_right}
