"""Whether registering there and, independently, back leads to where one came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..space import Transform
from ..space.grid import Float


@dataclass(frozen=True)
class InverseConsistency:
    """By how many mm points miss themselves, of those whose path stays inside both transforms.

    Attributes:
        counted_percent: how many of the points that are.
    """

    mean: float
    p95: float
    max: float
    counted_percent: float


def inverse_consistency(
    forward: Transform, backward: Transform, points: Float
) -> InverseConsistency | None:
    """|backward(forward(x)) - x| over points (N, 3), LPS mm; None where no path stays inside both.

    Args:
        forward: maps fixed points to moving points.
        backward: made from the swapped pair, not by inverting ``forward``.
        points: of the fixed image.
    """
    there = forward.apply(points)
    inside = forward.covers(points) & backward.covers(there)
    if not inside.any():
        return None
    miss = np.linalg.norm(backward.apply(there[inside]) - points[inside], axis=1)
    return InverseConsistency(
        float(miss.mean()),
        float(np.percentile(miss, 95)),
        float(miss.max()),
        100.0 * float(inside.mean()),
    )
