"""What a transform or landmarks that do not fit may have been meant as: an inverse, another order, frame or unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..space import Composite, DisplacementField, Grid, Landmarks, Transform, Volume
from ..space.sampling import sample_world

#: Points of the lung that are looked at, and voxels that are compared, mm.
POINTS, LATTICE_MM = 30_000, 3.0
#: A reading is worth telling if the scans are then so alike, and so much more than they are as given.
ALIKE, GAIN = 0.6, 0.15
#: A reading of landmarks is worth telling if their error is then less than this share.
LANDMARKS_SHARE = 0.5
#: Steps of the fixed point that inverts at the points.
_STEPS = 30

IN_VOXELS = "displacements in voxels of the fixed scan instead of mm"
INVERSE = "its inverse (made from moving to fixed points, or with the two scans swapped)"
OTHER_ORDER = "its parts in the opposite order"
POSITIONS = "where points go instead of by how much they are displaced"
RAS = "one in RAS instead of LPS (x and y reversed)"


@dataclass(frozen=True)
class Reading:
    """A way to read a transform.

    Attributes:
        name: for people.
        correlation: of the scans in the lungs, read so.
        as_given: the same, read as it was given.
    """

    name: str
    correlation: float
    as_given: float

    @property
    def said(self) -> str:
        """In a sentence."""
        return (
            f"Taken as {self.name}, the transform would fit far better: correlation of the scans in the lungs"
            f" {self.correlation:.2f} instead of {self.as_given:.2f}."
        )


def better_reading(
    fixed: Volume, moving: Volume, fixed_lungs: Volume, transform: Transform
) -> Reading | None:
    """How a transform would fit far better; None if no reading makes the scans far more alike.

    Args:
        fixed, moving: CTs, HU.
        fixed_lungs: mask, on any grid.
        transform: fixed to moving points, LPS mm, as it was read.
    """
    points = torch.as_tensor(fixed_lungs.points(POINTS))
    here = _values(fixed.reduce(LATTICE_MM), points)
    there = moving.reduce(LATTICE_MM)

    def correlation(mapped: Tensor) -> float:
        found = float(torch.corrcoef(torch.stack([here, _values(there, mapped)]))[0, 1])
        return found if np.isfinite(found) else 0.0

    given = correlation(transform.map_points(points))
    read = [
        (correlation(mapped), name) for name, mapped in _readings(transform, points, fixed.grid)
    ]
    best, name = max(read)
    if best < max(ALIKE, given + GAIN):
        return None
    return Reading(name, best, given)


def better_landmarks(
    transform: Transform, landmarks: tuple[Landmarks, Landmarks], error_mm: float
) -> str | None:
    """As what landmarks would fit far better, in words; None if that is nothing known.

    Args:
        transform: fixed to moving points, LPS mm.
        landmarks: (fixed, moving), as they were read.
        error_mm: their mean error so.
    """
    fixed, moving = (points.points for points in landmarks)
    turn = np.array([-1.0, -1.0, 1.0])
    read = {
        "points in RAS": (fixed * turn, moving * turn),
        "those of the two scans swapped": (moving, fixed),
    }
    found = {
        name: float(np.linalg.norm(transform.apply(start) - end, axis=1).mean())
        for name, (start, end) in read.items()
    }
    best = min(found, key=lambda name: found[name])
    if found[best] > LANDMARKS_SHARE * error_mm:
        return None
    return f"taken as {best}, it would be {found[best]:.2g} mm"


def _readings(transform: Transform, points: Tensor, grid: Grid) -> Iterator[tuple[str, Tensor]]:
    """Names, and where the points (N, 3) then go."""
    moved = transform.map_points(points) - points
    turn = points.new_tensor([-1.0, -1.0, 1.0])
    yield INVERSE, _inverted(transform, points)
    if isinstance(transform, Composite) and len(transform.parts) > 1:
        yield OTHER_ORDER, Composite(transform.parts[::-1]).map_points(points)
    yield RAS, points + turn * moved
    yield RAS, turn * transform.map_points(turn * points)
    yield POSITIONS, moved
    yield POSITIONS, turn * moved
    axes = np.asarray(grid.direction) * np.asarray(grid.spacing)
    yield IN_VOXELS, points + moved @ points.new_tensor(axes.T)


def _inverted(transform: Transform, points: Tensor) -> Tensor:
    """Where the points (N, 3) come from: y with T(y) = x, as far as the fixed point converges."""
    at = points
    if isinstance(transform, DisplacementField):
        # scanner frames can lie decimetres apart, and the field with the moving one
        at = points - transform.data.double().mean(dim=(1, 2, 3))
    for _ in range(_STEPS):
        at = at - (transform.map_points(at) - points)
    return at


def _values(image: Volume, points: Tensor) -> Tensor:
    """Of an image at points (N, 3), HU; air beyond it."""
    data = image.data.float().clamp(-1000, 200)[None]
    return sample_world(data, image.grid, points[None, None].float(), fill=-1000.0)[0, 0, 0]
