"""Where the voxels of an image lie in the patient.

World frame: ITK's. Physical points are in millimetres, LPS: +x to the patient's Left, +y to the
Posterior, +z to the Superior. An index is (i, j, k) along (x, y, z); array axes are (z, y, x), so
``array[k, j, i]`` is the voxel with index (i, j, k), and voxel *centres* lie at whole indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]
_EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Grid:
    """A regular lattice of voxel centres in the world (LPS, mm), as ITK defines it.

    Args:
        size: number of voxels along (x, y, z), each at least 1.
        spacing: distance of neighbouring centres in mm along (x, y, z), each above 0.
        origin: world position of the centre of voxel (0, 0, 0).
        direction: 3x3; *column* a is the unit vector in which index axis a runs (row-major tuple of
            rows, exactly what ``SimpleITK.Image.GetDirection`` returns when reshaped to 3x3).

    Raises:
        ValueError: a size below 1, a spacing that is not positive and finite, or a direction that
            is not a right-handed orthonormal matrix.

    Convention: index (i, j, k) is at ``origin + direction @ (spacing * (i, j, k))``.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[tuple[float, float, float], ...] = _EYE

    def __post_init__(self) -> None:
        fix = object.__setattr__
        fix(self, "size", tuple(int(n) for n in self.size))
        fix(self, "spacing", tuple(float(s) for s in self.spacing))
        fix(self, "origin", tuple(float(o) for o in self.origin))
        rows = np.asarray(self.direction, dtype=np.float64).reshape(3, 3)
        fix(self, "direction", tuple(tuple(float(v) for v in row) for row in rows))
        if len(self.size) != 3 or min(self.size) < 1:
            raise ValueError(f"a grid has three sizes of at least 1, not {self.size}")
        if len(self.spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in self.spacing):
            raise ValueError(f"a grid has three positive spacings in mm, not {self.spacing}")
        if len(self.origin) != 3 or not np.isfinite(self.origin).all():
            raise ValueError(f"a grid has a finite origin in mm, not {self.origin}")
        if not np.isfinite(rows).all() or np.abs(rows.T @ rows - np.eye(3)).max() > 1e-3:
            raise ValueError(f"the axes of a grid are orthonormal, not {rows.tolist()}")
        if np.linalg.det(rows) < 0:
            raise ValueError(f"the axes of a grid are right-handed, not {rows.tolist()}")

    # ---------------------------------------------------------------- matrices

    @cached_property
    def index_to_world_matrix(self) -> Float:
        """4x4 homogeneous matrix from index (i, j, k) to world (x, y, z) in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(self.direction) * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @cached_property
    def world_to_index_matrix(self) -> Float:
        """4x4 homogeneous matrix from world (x, y, z) in mm to index (i, j, k)."""
        return np.asarray(np.linalg.inv(self.index_to_world_matrix), dtype=np.float64)

    @cached_property
    def world_to_normalized_matrix(self) -> Float:
        """4x4 matrix from world mm to the [-1, 1] frame of ``torch.grid_sample``.

        Convention: ``align_corners=True`` (-1 and 1 are the *centres* of the outer voxels), order
        (x, y, z). An axis of one voxel maps to 0.
        """
        matrix = np.eye(4)
        for axis, n in enumerate(self.size):
            half = (n - 1) / 2
            matrix[axis, axis] = 1 / half if half else 0.0
            matrix[axis, 3] = -1.0 if half else 0.0
        return matrix @ self.world_to_index_matrix

    # ---------------------------------------------------------------- points and vectors

    def to_world(self, index: ArrayLike) -> Float:
        """Indices (..., 3), (i, j, k), fractions allowed -> world points (..., 3), LPS mm."""
        return transform_points(self.index_to_world_matrix, index)

    def to_index(self, points: ArrayLike) -> Float:
        """World points (..., 3), LPS mm -> continuous indices (..., 3), (i, j, k)."""
        return transform_points(self.world_to_index_matrix, points)

    def contains(self, points: ArrayLike, reach: ArrayLike = 0.5) -> NDArray[np.bool_]:
        """Whether world points (..., 3) lie inside the voxels.

        Args:
            points: LPS mm.
            reach: so far beyond the outermost centres along (i, j, k), in voxels; below 0 within them.
        """
        index, beyond = self.to_index(points), np.asarray(reach)
        last = np.asarray(self.size) - 1
        return np.all((index >= -beyond) & (index <= last + beyond), axis=-1)

    def snap(self, points: ArrayLike) -> Float:
        """World points (..., 3) -> world position of the centre of the nearest voxel."""
        return self.to_world(np.rint(self.to_index(points)))

    # ---------------------------------------------------------------- extent

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape (D, H, W): the size in the order (z, y, x)."""
        return (self.size[2], self.size[1], self.size[0])

    @property
    def voxels(self) -> int:
        """How many voxels there are."""
        return int(np.prod(self.size))

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in cubic millimetres."""
        return float(np.prod(self.spacing))

    @cached_property
    def corners(self) -> Float:
        """(8, 3) world positions of the outer corners of the corner voxels (not their centres)."""
        ends = [(-0.5, n - 0.5) for n in self.size]
        return self.to_world(np.array(list(product(*ends))))

    @property
    def center(self) -> Float:
        """World position of the middle of the lattice."""
        return self.to_world((np.asarray(self.size) - 1) / 2)

    def bounds(self) -> tuple[Float, Float]:
        """Smallest and largest world coordinate (x, y, z) that any voxel touches."""
        return self.corners.min(axis=0), self.corners.max(axis=0)

    # ---------------------------------------------------------------- other grids

    @classmethod
    def covering(
        cls, low: ArrayLike, high: ArrayLike, spacing: float | Sequence[float], margin: float = 0.0
    ) -> Grid:
        """The world-aligned grid (direction = identity) whose voxels cover a world box.

        Args:
            low, high: opposite corners of the box, LPS mm.
            spacing: mm, one number or (x, y, z).
            margin: mm added on every side.
        """
        step = np.broadcast_to(np.asarray(spacing, dtype=np.float64), (3,))
        low = np.asarray(low, dtype=np.float64) - margin
        high = np.asarray(high, dtype=np.float64) + margin
        size = np.maximum(np.ceil((high - low) / step - 1e-6).astype(int), 1)
        first = (low + high) / 2 - (size - 1) / 2 * step
        return cls(tuple(size), tuple(step), tuple(first))

    def with_spacing(self, spacing: float | Sequence[float]) -> Grid:
        """The same axes and middle, another spacing, covering at least the same box."""
        step = np.broadcast_to(np.asarray(spacing, dtype=np.float64), (3,))
        extent = np.asarray(self.size) * np.asarray(self.spacing)
        size = np.maximum(np.ceil(extent / step - 1e-6).astype(int), 1)
        axes = np.asarray(self.direction)
        first = self.center - axes @ ((size - 1) / 2 * step)
        return Grid(tuple(size), tuple(step), tuple(first), self.direction)

    def positions_of(self, other: Grid) -> tuple[Float, Float, Float] | None:
        """Where the voxels of another grid lie along (x, y, z), in voxels of this one; None if its axes are not parallel to these."""
        matrix = self.world_to_index_matrix @ other.index_to_world_matrix
        steps = np.diag(matrix)[:3]
        # by how much of a voxel the far corner would be off
        askew = np.abs(matrix[:3, :3] - np.diag(steps)) @ np.asarray(other.size, dtype=float)
        if (askew > 1e-6).any():
            return None
        # rounded, so that what lies on a voxel or on its edge does so exactly
        x, y, z = (
            np.round(step * np.arange(n) + first, 9)
            for step, n, first in zip(steps, other.size, matrix[:3, 3], strict=True)
        )
        return x, y, z

    def crop(self, start: Sequence[int], size: Sequence[int]) -> Grid:
        """The voxels from index ``start`` on; a negative start or a larger size pads instead."""
        width, height, depth = size
        first = tuple(self.to_world(start))
        return Grid((width, height, depth), self.spacing, first, self.direction)

    def part_around(
        self, points: ArrayLike, margin: float, blocks: tuple[int, int, int] = (1, 1, 1)
    ) -> Grid:
        """The smallest :meth:`crop` that shows world points (N, 3) and so many mm around them, as far as this grid goes.

        It begins where the whole grid begins a block of so many voxels, and has whole ones as far as there are any.
        """
        at, reach = self.to_index(points), np.asarray(self.in_voxels(margin))
        last = np.asarray(self.size) - 1
        start = np.clip(np.floor(at.min(axis=0) - reach), 0, last).astype(int)
        end = np.clip(np.ceil(at.max(axis=0) + reach), start, last).astype(int)
        start -= start % blocks
        end = np.minimum(end + np.asarray(blocks) - 1, last)
        return self.crop(start.tolist(), (end - start + 1).tolist())

    def slabs(self, voxels: int) -> Iterator[tuple[int, Grid]]:
        """The grid in slabs of whole slices and about so many voxels: the first slice of each, and its grid."""
        width, height, depth = self.size
        thick = max(1, voxels // (height * width))
        for first in range(0, depth, thick):
            yield first, self.crop((0, 0, first), (width, height, min(thick, depth - first)))

    def blocks(self, spacing: float) -> tuple[int, int, int]:
        """How many voxels along (x, y, z) make blocks of about ``spacing`` mm; at least one, at most all."""
        x, y, z = (
            min(max(1, int(spacing / step + 0.25)), count)
            for step, count in zip(self.spacing, self.size, strict=True)
        )
        return x, y, z

    def in_blocks(self, factors: tuple[int, int, int]) -> Grid:
        """The grid of whole blocks of so many voxels along (x, y, z); voxels left over at the end are left out."""
        x, y, z = (count // factor for count, factor in zip(self.size, factors, strict=True))
        dx, dy, dz = (step * factor for step, factor in zip(self.spacing, factors, strict=True))
        first = self.to_world([(factor - 1) / 2 for factor in factors])
        return Grid((x, y, z), (dx, dy, dz), tuple(first), self.direction)

    def divided(self, factors: tuple[int, int, int]) -> Grid:
        """The grid whose blocks of so many voxels along (x, y, z) are the voxels of this one; see :meth:`in_blocks`."""
        x, y, z = (count * factor for count, factor in zip(self.size, factors, strict=True))
        dx, dy, dz = (step / factor for step, factor in zip(self.spacing, factors, strict=True))
        first = self.to_world([(1 / factor - 1) / 2 for factor in factors])
        return Grid((x, y, z), (dx, dy, dz), tuple(first), self.direction)

    def in_voxels(self, mm: float) -> tuple[float, float, float]:
        """A length in mm as so many voxels along (x, y, z) of the grid's own axes."""
        x, y, z = (mm / step for step in self.spacing)
        return x, y, z

    def same_as(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Equal size, and every corner within ``tolerance`` mm: what one may index with one array."""
        return self.size == other.size and bool(
            np.abs(self.corners - other.corners).max() <= tolerance
        )

    def __str__(self) -> str:
        size = "x".join(str(n) for n in self.size)
        step = "x".join(f"{s:.4g}" for s in self.spacing)
        first = ", ".join(f"{o:.4g}" for o in self.origin)
        turned = "" if self.direction == _EYE else ", turned"
        return f"{size} voxels of {step} mm at ({first}){turned}"


def transform_points(matrix: Float, points: ArrayLike) -> Float:
    """Apply a 4x4 homogeneous matrix to points (..., 3) in float64."""
    points = np.asarray(points, dtype=np.float64)
    return points @ matrix[:3, :3].T + matrix[:3, 3]
