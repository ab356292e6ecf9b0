"""Points that know in which frame they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .grid import Float, Grid


@dataclass(frozen=True)
class Landmarks:
    """N points of one image, (N, 3), world LPS mm.

    Args:
        points: (N, 3), LPS mm.
        frame: which image they lie in: "fixed" or "moving", or any name of one's own. Two sets are
            compared only in the same frame.

    Raises:
        ValueError: not (N, 3), or not finite.
    """

    points: Float
    frame: str = "fixed"

    def __post_init__(self) -> None:
        points = np.array(self.points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"landmarks are (N, 3), not {points.shape}")
        if not np.isfinite(points).all():
            raise ValueError("landmarks are finite numbers in mm")
        object.__setattr__(self, "points", points)

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def from_index(
        cls, index: ArrayLike, grid: Grid, frame: str = "fixed", first: int = 0
    ) -> Landmarks:
        """From voxel indices (N, 3), (i, j, k), of ``grid``, counted from ``first`` (DIR-Lab: 1)."""
        return cls(grid.to_world(np.asarray(index, dtype=np.float64) - first), frame)

    def snap(self, grid: Grid) -> Landmarks:
        """Every point moved to the centre of its nearest voxel (how DIR-Lab's own error is counted)."""
        return Landmarks(grid.snap(self.points), self.frame)

    def distance_to(self, other: Landmarks) -> Float:
        """(N,) distances in mm, pair by pair.

        Raises:
            ValueError: other frame or other number of points.
        """
        if self.frame != other.frame:
            raise ValueError(
                f"points in the frame {self.frame!r} and in {other.frame!r} have no distance; "
                "apply the transform to one of them first"
            )
        if len(self) != len(other):
            raise ValueError(f"{len(self)} points cannot be paired with {len(other)}")
        return np.linalg.norm(self.points - other.points, axis=1)
