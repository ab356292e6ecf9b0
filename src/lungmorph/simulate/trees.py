"""Branching trees that fill a region: the vessels and airways of a lung.

A branch runs part of the way to the middle of the points that it has to supply; the points are then
split in two across their longest direction, and each half gets a branch of its own, until every point
has been reached (the space-filling idea of Kitaoka et al. 1999 and Tawhai et al. 2004). Radii follow
Murray's law: r^m is the sum of the children's r^m. All branches of one generation grow at once.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .randomness import Draw
from .tubes import Tubes

Float = NDArray[np.float64]


def grow_tree(
    draw: Draw,
    root: Tensor,
    targets: Tensor,
    leaf_radius: float,
    largest_radius: float,
    exponent: float = 2.9,
    least_points: int = 1,
) -> Tubes:
    """A tree from ``root`` (3,) to every one of ``targets`` (N, 3), mm.

    Args:
        leaf_radius: mm, of the branch to a single target.
        largest_radius: mm, nothing is thicker.
        exponent: m of Murray's law; 3 is the classical value, lungs have 2.3 to 3.
        least_points: branches that supply fewer targets are left out (airways end earlier).
    """
    rng = np.random.default_rng(draw.integer(0, 2**31))
    points = targets.double().numpy()
    group = np.zeros(len(points), dtype=np.int64)
    start = root.double().numpy()[None]
    before = np.full(1, largest_radius)
    parts: list[Tubes] = []
    while len(points):
        count = np.bincount(group).astype(float)
        middle = _sums(points, group) / count[:, None]
        radius = np.minimum(leaf_radius * count ** (1 / exponent), largest_radius)
        single = count == 1
        share = np.where(single, 1.0, rng.uniform(0.18, 0.42, len(count)))[:, None]
        end = start + share * (middle - start)
        drawn = count >= least_points
        first = np.minimum(before, 1.25 * radius)
        last = np.where(single, 0.7 * radius, radius)
        parts.append(_bent(rng, start[drawn], end[drawn], first[drawn], last[drawn]))

        # each group in two across its longest direction, at a random share of its points
        around = points - middle[group]
        spread = _sums((around[:, :, None] * around[:, None]).reshape(-1, 9), group).reshape(
            -1, 3, 3
        )
        axis = np.linalg.eigh(spread)[1][:, :, 2] + rng.normal(0, 0.2, (len(count), 3))
        order = np.lexsort(((around * axis[group]).sum(1), group))
        rank = np.empty(len(points))
        rank[order] = np.arange(len(points)) - np.repeat(
            np.cumsum(count) - count, count.astype(int)
        )
        cut = np.clip(
            np.round(count * rng.uniform(0.3, 0.7, len(count))), 1, np.maximum(count - 1, 1)
        )
        child = 2 * group + (rank >= cut[group])
        alive = drawn[group] & ~single[group]
        points = points[alive]
        used, group = np.unique(child[alive], return_inverse=True)
        start, before = end[used // 2], radius[used // 2]
    return Tubes.join(parts)


def grow_twigs(draw: Draw, tree: Tubes, targets: Tensor, radius: float) -> Tubes:
    """A thin bent branch to every one of ``targets`` (N, 3) from the tree's nearest end, mm."""
    rng = np.random.default_rng(draw.integer(0, 2**31))
    nearest = torch.cat([torch.cdist(part, tree.end).argmin(dim=1) for part in targets.split(500)])
    start, end = tree.end[nearest].double().numpy(), targets.double().numpy()
    thick = rng.uniform(0.8, 1.3, len(end)) * radius
    return _bent(rng, start, end, thick, 0.6 * thick)


def _sums(values: Float, group: NDArray[np.int64]) -> Float:
    """Sums of the rows (N, C) of each group, (G, C)."""
    return np.stack([np.bincount(group, weights=column) for column in values.T], axis=1)


def _bent(rng: np.random.Generator, start: Float, end: Float, r0: Float, r1: Float) -> Tubes:
    """Branches of two straight parts with a random knee: vessels are never straight."""
    length = np.linalg.norm(end - start, axis=1, keepdims=True)
    knee = (start + end) / 2 + rng.normal(0, 0.06, start.shape) * length
    middle = (r0 + r1) / 2
    columns = ((start, knee), (knee, end), (r0, middle), (middle, r1))
    a, b, c, d = (torch.as_tensor(np.concatenate(x), dtype=torch.float32) for x in columns)
    return Tubes(a, b, c, d)
