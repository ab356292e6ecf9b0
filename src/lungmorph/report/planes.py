"""Planes along the patient's axes in which a registration is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..space import Grid, Volume

MARGIN_MM = 15.0
#: About as many points as the picture has pixels across a panel.
POINTS_ACROSS = 480

#: name, axis that the plane cuts, letters (left, right, top, bottom) in radiological orientation
PLANES = (
    ("axial", 2, ("R", "L", "A", "P")),
    ("coronal", 1, ("R", "L", "S", "I")),
    ("sagittal", 0, ("A", "P", "S", "I")),
)


@dataclass(frozen=True)
class Plane:
    """A plane at right angles to one of the world's axes, as a grid of one voxel's thickness."""

    name: str
    cuts: int
    letters: tuple[str, ...]
    grid: Grid

    @property
    def axis(self) -> str:
        """Name of the axis that the plane cuts."""
        return "xyz"[self.cuts]

    @property
    def at_mm(self) -> float:
        """Where it cuts it, LPS mm."""
        return self.grid.origin[self.cuts]

    @property
    def width_mm(self) -> float:
        """Extent across."""
        return self._extent(1 if self.cuts == 0 else 0)

    @property
    def height_mm(self) -> float:
        """Extent from top to bottom."""
        return self._extent(1 if self.cuts == 2 else 2)

    def picture(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values (D, H, W) on the grid as rows and columns: top left is the first letter's corner."""
        flat = values.squeeze(2 - self.cuts)
        # +z is up in the patient, while rows run down; +y (posterior) is down already
        return flat if self.cuts == 2 else flat[::-1]

    def _extent(self, axis: int) -> float:
        return self.grid.size[axis] * self.grid.spacing[axis]


def middle_planes(lungs: Volume, shown: Grid) -> list[Plane]:
    """The axial, coronal and sagittal plane in which the lungs are widest.

    (The middle of both lungs' box would lie between them.) They are as large as the lungs with a
    margin, but no larger than the image.

    Args:
        lungs: bool, any grid.
        shown: grid of the image that is going to be drawn.
    """
    low, high = lungs.grid.bounds()
    lattice = Grid.covering(low, high, max(2.5, min(lungs.grid.spacing)))
    mask = lungs.resample(lattice).data.numpy()
    image_low, image_high = shown.bounds()
    ends = []
    middle = []
    for axis in range(3):
        area = mask.sum(axis=tuple(d for d in range(3) if d != 2 - axis)).astype(np.float64)
        used = np.nonzero(area)[0]
        smooth = np.convolve(area, np.ones(5) / 5, mode="same")
        world = lattice.origin[axis] + lattice.spacing[axis] * np.arange(len(area))
        middle.append(float(world[int(np.argmax(smooth))]))
        half = lattice.spacing[axis] / 2
        first = max(world[used[0]] - half - MARGIN_MM, image_low[axis])
        last = min(world[used[-1]] + half + MARGIN_MM, image_high[axis])
        ends.append((first, last))
    box_low, box_high = np.array(ends).T
    step = float((box_high - box_low).max()) / POINTS_ACROSS
    planes = []
    for name, cuts, letters in PLANES:
        low, high = box_low.copy(), box_high.copy()
        low[cuts] = high[cuts] = middle[cuts]
        planes.append(Plane(name, cuts, letters, Grid.covering(low, high, step)))
    return planes
