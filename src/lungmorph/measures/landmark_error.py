"""Landmark distance error (LDE), which the field also calls target registration error (TRE)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ..space import Grid, Landmarks
from ..space.grid import Float


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation (population), median, 95th percentile and maximum, mm."""

    mean: float
    sd: float
    median: float
    p95: float
    max: float

    @classmethod
    def of(cls, values: Float) -> Spread:
        """The spread of a list of numbers."""
        return cls(
            float(values.mean()),
            float(values.std()),
            float(np.median(values)),
            float(np.percentile(values, 95)),
            float(values.max()),
        )


@dataclass(frozen=True)
class LandmarkError:
    """Distances of N landmark pairs: continuous, and with points snapped to voxel centres.

    Published tables mix both; the snapped error is usually the lower one.
    """

    count: int
    continuous: Spread
    snapped: Spread | None

    def as_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return asdict(self)


def landmark_error(found: Landmarks, true: Landmarks, grid: Grid | None = None) -> LandmarkError:
    """The error of ``found`` (fixed landmarks mapped by a transform) against ``true``.

    Args:
        found, true: (N, 3) LPS mm, in the same frame.
        grid: of the moving image, to whose voxel centres both are snapped for the snapped error.

    Raises:
        ValueError: other frames or numbers of points.
    """
    continuous = Spread.of(found.distance_to(true))
    snapped = Spread.of(found.snap(grid).distance_to(true.snap(grid))) if grid else None
    return LandmarkError(len(found), continuous, snapped)


def percent_over(errors: Float, limit: float) -> float:
    """How many percent of the errors are above ``limit`` (same unit)."""
    return 100.0 * float((errors > limit).mean())
