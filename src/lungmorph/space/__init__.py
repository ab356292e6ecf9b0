"""Where things are: grids, images, points and transforms in one world frame (ITK's LPS, mm)."""

from .grid import Grid
from .landmarks import Landmarks
from .transform import Affine, Composite, DisplacementField, Transform
from .volume import AIR_HU, Volume

__all__ = [
    "AIR_HU",
    "Affine",
    "Composite",
    "DisplacementField",
    "Grid",
    "Landmarks",
    "Transform",
    "Volume",
]
