"""A lattice in parts, so that what is computed of one stays near the processor, and each thread has its own."""

from __future__ import annotations

import torch
from torch import Tensor

from ..ops.local import normalize_locally
from ..threads import side_by_side

Block = tuple[slice, slice, slice]

#: About so many voxels are worked on at a time, by each thread.
BLOCK_VOXELS = 500_000
#: Contrast in HU below which a place counts as flat.
FLAT_HU = 40.0


def blocks_of(mask: Tensor) -> list[Block]:
    """Slabs of slices, each cut to what it has of the mask (D, H, W); together they hold all of it."""
    depth = len(mask)
    thick = _thickness(mask.shape)
    blocks = []
    for first in range(0, depth, thick):
        slab = mask[first : first + thick] > 0
        if not bool(slab.any()):
            continue
        ends = []
        for others in ((1, 2), (0, 2), (0, 1)):
            used = slab.any(dim=others[1]).any(dim=others[0]).nonzero()
            ends.append((int(used.min()), int(used.max()) + 1))
        (z0, z1), (y0, y1), (x0, x1) = ends
        blocks.append((slice(first + z0, first + z1), slice(y0, y1), slice(x0, x1)))
    return blocks


def normalized(image: Tensor, radius: tuple[int, int, int]) -> Tensor:
    """:func:`lungmorph.ops.normalize_locally` of (D, H, W), slab by slab.

    Args:
        image: HU.
        radius: of the window, voxels along (x, y, z).
    """
    out = torch.empty_like(image)
    depth = len(image)
    thick, half = _thickness(image.shape), radius[2]

    def slab(first: int) -> None:
        last = min(first + thick, depth)
        start = max(0, first - half)
        wide = image[start : last + half]
        found = normalize_locally(wide[None, None], radius, FLAT_HU)[0, 0]
        out[first:last] = found[first - start : last - start]

    side_by_side(slab, range(0, depth, thick))
    return out


def _thickness(shape: torch.Size) -> int:
    """Slices that are worked on at a time."""
    return max(8, BLOCK_VOXELS // (shape[1] * shape[2]))
