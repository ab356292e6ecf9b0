"""How good a registration is, in numbers that others can recompute."""

from .folding import Folding, folding
from .landmark_error import LandmarkError, landmark_error
from .overlap import correlation, dice

__all__ = ["Folding", "LandmarkError", "correlation", "dice", "folding", "landmark_error"]
