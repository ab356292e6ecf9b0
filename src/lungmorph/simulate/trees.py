"""Branching trees that fill a region: the vessels and airways of a lung.

A branch runs part of the way to the middle of the points that it has to supply; the points are then
split in two across their longest direction, and each half gets a branch of its own, until every point
has been reached (the space-filling idea of Kitaoka et al. 1999 and Tawhai et al. 2004). Radii follow
Murray's law: r^m is the sum of the children's r^m.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .randomness import Draw
from .tubes import Tubes


def grow_tree(
    draw: Draw,
    root: Tensor,
    targets: Tensor,
    leaf_radius: float,
    largest_radius: float,
    exponent: float = 2.7,
    least_points: int = 1,
) -> Tubes:
    """A tree from ``root`` (3,) to every one of ``targets`` (N, 3), mm.

    Args:
        leaf_radius: mm, of the branch to a single target.
        largest_radius: mm, nothing is thicker.
        exponent: m of Murray's law; 3 is the classical value.
        least_points: branches that supply fewer targets are left out (airways end earlier).
    """
    rng = np.random.default_rng(int(draw.integer(0, 2**31)))
    points = targets.double().numpy()
    rows: list[tuple[NDArray[np.float64], NDArray[np.float64], float, float]] = []
    todo = [(root.double().numpy(), points, 0.0)]
    while todo:
        start, group, before = todo.pop()
        middle = group.mean(axis=0)
        radius = min(leaf_radius * len(group) ** (1 / exponent), largest_radius)
        before = before or radius
        if len(group) < max(least_points, 2):
            if least_points <= 1:
                _bent(rng, rows, start, group[0], min(before, 1.3 * radius), 0.7 * radius)
            continue
        end = start + rng.uniform(0.3, 0.5) * (middle - start)
        _bent(rng, rows, start, end, (before + radius) / 2, radius)
        axis = np.linalg.svd(group - middle, full_matrices=False)[2][0] if len(group) > 2 else None
        axis = group[1] - group[0] if axis is None else axis + rng.normal(0, 0.2, 3)
        order = np.argsort((group - middle) @ axis)
        cut = int(np.clip(round(len(group) * rng.uniform(0.35, 0.65)), 1, len(group) - 1))
        todo += [(end, group[order[:cut]], radius), (end, group[order[cut:]], radius)]
    if not rows:
        empty = torch.zeros(0, 3)
        return Tubes(empty, empty, torch.zeros(0), torch.zeros(0))
    start, end, r0, r1 = (torch.as_tensor(np.array(c), dtype=torch.float32) for c in zip(*rows, strict=True))
    return Tubes(start, end, r0, r1)


def _bent(
    rng: np.random.Generator,
    rows: list[tuple[NDArray[np.float64], NDArray[np.float64], float, float]],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    r0: float,
    r1: float,
) -> None:
    """A branch of two straight parts with a random knee: vessels are never straight."""
    length = float(np.linalg.norm(end - start))
    knee = (start + end) / 2 + rng.normal(0, 0.06 * length, 3)
    rows.append((start, knee, r0, (r0 + r1) / 2))
    rows.append((knee, end, (r0 + r1) / 2, r1))
