"""How good a registration is, in numbers that others can recompute."""

from .consistency import InverseConsistency, inverse_consistency
from .extent import lung_extent
from .folding import ClippedJacobian, Folding, clipped_jacobian, folding
from .landmark_error import LandmarkError, Spread, landmark_error, percent_over
from .overlap import correlation, dice
from .similarity import local_correlation
from .surface import SurfaceDistance, surface_distance

__all__ = [
    "ClippedJacobian",
    "Folding",
    "InverseConsistency",
    "LandmarkError",
    "Spread",
    "SurfaceDistance",
    "clipped_jacobian",
    "correlation",
    "dice",
    "folding",
    "inverse_consistency",
    "landmark_error",
    "local_correlation",
    "lung_extent",
    "percent_over",
    "surface_distance",
]
