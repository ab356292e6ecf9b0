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


def lung_regions(lungs: Volume) -> dict[str, NDArray[np.bool_]]:
    """Masks (D, H, W) on the grid of ``lungs`` by name: "right lower", ..., "left upper".

    A mask in one piece (one lung, or two that touch) is called "lung". Patient's right is LPS -x.

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
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    large = [n + 1 for n in np.argsort(sizes)[::-1][:2] if sizes[n] >= LEAST_SHARE * mask.sum()]
    if len(large) < 2:
        return {"lung": mask}
    middles = [
        lungs.grid.to_world(np.argwhere(labels == n)[:, ::-1]).mean(axis=0)[0] for n in large
    ]
    right, left = (large[n] for n in np.argsort(middles))
    # what belongs to neither goes to the side on which it lies
    x = lungs.grid.to_world(np.argwhere(mask)[:, ::-1])[:, 0]
    nearer_right = np.abs(x - min(middles)) <= np.abs(x - max(middles))
    side = np.zeros_like(labels)
    side[mask] = np.where(nearer_right, right, left)
    side[labels == right], side[labels == left] = right, left
    return {"right": mask & (side == right), "left": mask & (side == left)}
