"""Masks grown and shrunk by a ball of whole voxels (a radius of 1 is a voxel's six neighbours)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]

#: Beyond it, square distances do not fit a byte.
LARGEST = 11


def shrunk(mask: Bool, radius: int = 1) -> Bool:
    """What of a mask (2D or 3D) is farther than the radius from all that is outside it; beyond the image it is taken to go on.

    Raises:
        ValueError: a radius above ``LARGEST``.
    """
    if not 0 < radius <= LARGEST:
        raise ValueError(f"radius: 1 to {LARGEST} voxels, not {radius}")
    if radius == 1:
        return _without_rim(mask)
    limit = radius**2
    # the square distance to what is outside, if not farther: exact, for squares are added up axis by axis
    away = np.where(mask, np.uint8(limit + 1), np.uint8(0))
    for axis in range(mask.ndim):
        beyond = [(radius if a == axis else 0,) * 2 for a in range(mask.ndim)]
        wide = np.pad(away, beyond, mode="edge")
        for offset in range(-radius, radius + 1):
            first = radius + offset
            part = wide[(slice(None),) * axis + (slice(first, first + mask.shape[axis]),)]
            np.minimum(away, part + np.uint8(offset**2), out=away)
    return away > limit


def _without_rim(mask: Bool) -> Bool:
    """For a radius of 1, an eighth of the time: what has all its six neighbours."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        here, there = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] &= there[:-1]
        here[:-1] &= there[1:]
    return inner


def grown(mask: Bool, radius: int = 1) -> Bool:
    """A mask and all that is within the radius of it."""
    return ~shrunk(~mask, radius)


def opened(mask: Bool, radius: int = 1) -> Bool:
    """Shrunk and grown again: without what is thin."""
    return grown(shrunk(mask, radius), radius)


def closed(mask: Bool, radius: int = 1) -> Bool:
    """Grown and shrunk again: with its small gaps filled."""
    return shrunk(grown(mask, radius), radius)
