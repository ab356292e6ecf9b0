"""Mappings of the patient: affine, displacement field, and one after another.

Convention (ITK's, 3D Slicer's): a transform maps *fixed* points to *moving* points, LPS mm. To warp
the moving image, every voxel centre of the fixed grid is mapped and the moving image read there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..ops.jacobian import jacobian_determinant
from ..ops.warp import invert, length
from ..threads import side_by_side
from .grid import Float, Grid
from .landmarks import Landmarks
from .sampling import matrix_times_points, sample_grid, sample_world, world_points
from .volume import SLAB_VOXELS, Volume, warp_volume

_MAPPED_FRAME = {"fixed": "moving", "moving": "fixed"}


class Transform(ABC):
    """Maps fixed points to moving points, LPS mm."""

    @abstractmethod
    def map_points(self, points: Tensor) -> Tensor:
        """Points (..., 3), LPS mm -> mapped points (..., 3), in the dtype and on the device given."""

    def map_grid(self, grid: Grid, device: torch.device | str | None = None) -> Tensor:
        """Where the centres of a grid's voxels go: (D, H, W, 3), LPS mm, on ``device``."""
        return self.map_points(world_points(grid, device=device))

    @abstractmethod
    def inverse(self) -> Transform:
        """The mapping back."""

    @overload
    def apply(self, points: Landmarks) -> Landmarks: ...
    @overload
    def apply(self, points: ArrayLike) -> Float: ...
    def apply(self, points: Landmarks | ArrayLike) -> Landmarks | Float:
        """Map points (..., 3), LPS mm, in float64. Landmarks of "fixed" come back as "moving"."""
        if isinstance(points, Landmarks):
            frame = _MAPPED_FRAME.get(points.frame, points.frame)
            return Landmarks(self.apply(points.points), frame)
        at = torch.as_tensor(np.asarray(points, dtype=np.float64), device="cpu")
        return self.map_points(at).numpy()

    def covers(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether the mapping is known at points (..., 3), LPS mm: for a field, on its grid."""
        return np.ones(np.shape(points)[:-1], dtype=bool)

    def warp(self, volume: Volume, grid: Grid, fill: float | None = None) -> Volume:
        """``volume`` (of the moving frame) seen on ``grid`` (of the fixed frame).

        Linear interpolation for images, nearest for masks. ``fill`` is the value where the mapped
        point leaves the volume; None continues the nearest voxel, except for masks (False).
        """
        return warp_volume(volume, grid, self, fill=fill)

    def displacement_on(self, grid: Grid) -> DisplacementField:
        """The same mapping as displacements at the centres of ``grid``."""
        data = torch.empty((3, *grid.shape), dtype=torch.float32)
        for first, part in grid.slabs(SLAB_VOXELS):
            there = self.map_grid(part) - world_points(part)
            data[:, first : first + part.shape[0]] = there.movedim(-1, 0)
        return DisplacementField(data, grid)


@dataclass(frozen=True)
class Affine(Transform):
    """x -> A x + t with a 4x4 homogeneous ``matrix``, LPS mm, float64."""

    matrix: Float

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError("an affine transform is a finite 4x4 matrix")
        if not np.allclose(matrix[3], (0, 0, 0, 1)) or abs(np.linalg.det(matrix)) < 1e-9:
            raise ValueError("an affine transform ends in the row 0 0 0 1 and can be inverted")
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls) -> Affine:
        """The map that leaves every point where it is."""
        return cls(np.eye(4))

    @classmethod
    def from_parts(cls, linear: ArrayLike, translation: ArrayLike) -> Affine:
        """From a 3x3 matrix and a shift in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = linear
        matrix[:3, 3] = translation
        return cls(matrix)

    @property
    def linear(self) -> Float:
        """The 3x3 part."""
        return self.matrix[:3, :3]

    @property
    def translation(self) -> Float:
        """The shift in mm, (3,)."""
        return self.matrix[:3, 3]

    def map_points(self, points: Tensor) -> Tensor:
        """See :meth:`Transform.map_points`."""
        return matrix_times_points(self.matrix, points)

    def inverse(self) -> Affine:
        """The exact inverse."""
        return Affine(np.asarray(np.linalg.inv(self.matrix), dtype=np.float64))

    def after(self, first: Affine) -> Affine:
        """The affine that does ``first`` and then this."""
        return Affine(self.matrix @ first.matrix)


@dataclass(frozen=True)
class DisplacementField(Transform):
    """x -> x + u(x): ``data`` (3, D, H, W) float32, mm along the *world* axes (x, y, z), on ``grid``.

    Convention: linear interpolation between centres. As in ``itk::DisplacementFieldTransform`` the
    displacement is zero beyond half a voxel outside the outer centres, so a field should cover every
    point that it is used on.
    """

    data: Tensor
    grid: Grid

    def __post_init__(self) -> None:
        if tuple(self.data.shape) != (3, *self.grid.shape):
            raise ValueError(
                f"displacements of shape {tuple(self.data.shape)} on a grid of {self.grid.shape}"
            )

    def map_points(self, points: Tensor) -> Tensor:
        """See :meth:`Transform.map_points`."""
        flat = points.reshape(1, 1, -1, 3) if points.ndim != 4 else points
        found = sample_world(self.data.to(points.device), self.grid, flat, fill=0.0)
        return points + found.movedim(0, -1).reshape(points.shape)

    def map_grid(self, grid: Grid, device: torch.device | str | None = None) -> Tensor:
        """See :meth:`Transform.map_grid`."""
        data = self.data if device is None else self.data.to(device)
        found = sample_grid(data, self.grid, grid, fill=0.0)
        return world_points(grid, device=device).add_(found.movedim(0, -1))

    def covers(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether points lie inside the voxels of the field; elsewhere its displacement is zero."""
        return self.grid.contains(points)

    def displacement_on(self, grid: Grid) -> DisplacementField:
        """The same mapping at the centres of ``grid``; zero where that reaches beyond this field."""
        if grid.same_as(self.grid, 1e-6):
            return self
        if self.grid.positions_of(grid) is None:
            return super().displacement_on(grid)
        return DisplacementField(sample_grid(self.data, self.grid, grid, fill=0.0), grid)

    def inverse(self, grid: Grid | None = None) -> DisplacementField:
        """The field back, by fixed point. See :meth:`inverse_with_residual`."""
        return self.inverse_with_residual(grid)[0]

    def inverse_with_residual(
        self, grid: Grid | None = None, iterations: int = 60, tolerance: float = 0.01
    ) -> tuple[DisplacementField, Volume]:
        """The field that leads back, and how well.

        Args:
            grid: where to give it (a grid over the moving image); by default this field's own grid,
                shifted by the mean displacement.
            iterations: most iterations.
            tolerance: stop when all but one point in ten thousand are missed by less, mm.

        Returns:
            The inverse on ``grid``, and the distance in mm by which each point of it, mapped there
            and back, misses itself. Where ``grid`` reaches beyond this field, the field is continued
            by its nearest displacement.
        """
        # A common shift (scanner frames can lie decimetres apart) is taken out first, so that both
        # fields of the iteration live on one lattice.
        shift = self.data.double().mean(dim=(1, 2, 3)).numpy()
        target = grid or _shifted(self.grid, shift)
        lattice = _shifted(target, -shift)
        around = self.data - torch.as_tensor(shift, dtype=torch.float32)[:, None, None, None]
        field = sample_grid(around, self.grid, lattice)
        # from mm along the world axes to voxels along the lattice's axes, and back
        turn = np.asarray(lattice.direction)
        step = np.asarray(lattice.spacing)
        voxels = _turn(field, turn.T / step[:, None])
        found, _ = invert(
            voxels[None], iterations=iterations, tolerance=tolerance / float(step.max())
        )
        back = _turn(found[0], turn * step)
        back -= torch.as_tensor(shift, dtype=torch.float32)[:, None, None, None]
        # judged by the field itself, not by its copy on the lattice of the iteration
        start = world_points(target)
        there = start + back.movedim(0, -1)
        again = there + sample_world(self.data, self.grid, there).movedim(0, -1)
        miss = length((again - start).movedim(-1, 0)[None])[0, 0]
        return DisplacementField(back, target), Volume(miss, target)

    def jacobian(self, grid: Grid | None = None) -> Volume:
        """det of the whole mapping (1 = volume kept, <= 0 = folded), on ``grid`` or the field's own."""
        grid = grid or self.grid
        out = torch.empty(grid.shape, device=self.data.device)
        axes = np.asarray(grid.direction).T

        def slab(part: tuple[int, Grid]) -> None:
            first, inner = part
            # with the neighbours that the differences at its ends reach for
            low, high = max(0, first - 1), min(grid.shape[0], first + inner.shape[0] + 1)
            wide = grid.crop((0, 0, low), (*grid.size[:2], high - low))
            found = jacobian_determinant(
                _turn(self.displacement_on(wide).data, axes)[None], grid.spacing
            )
            out[first : first + inner.shape[0]] = found[0, 0, first - low :][: inner.shape[0]]

        # neighbours are computed twice, so thick ones; thicker than this they would be cut once more
        side_by_side(slab, list(grid.slabs(3 * SLAB_VOXELS)))
        return Volume(out, grid)


@dataclass(frozen=True)
class Composite(Transform):
    """One transform after another; ``parts[0]`` acts on the point first."""

    parts: Sequence[Transform]

    def map_points(self, points: Tensor) -> Tensor:
        """See :meth:`Transform.map_points`."""
        for part in self.parts:
            points = part.map_points(points)
        return points

    def covers(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether the whole path of points lies where its parts are known."""
        at = np.asarray(points, dtype=np.float64)
        known = np.ones(at.shape[:-1], dtype=bool)
        for part in self.parts:
            known &= part.covers(at)
            at = part.apply(at)
        return known

    def inverse(self) -> Composite:
        """The inverses in reverse order."""
        return Composite([part.inverse() for part in reversed(self.parts)])


def _shifted(grid: Grid, shift: Float) -> Grid:
    return Grid(grid.size, grid.spacing, tuple(np.asarray(grid.origin) + shift), grid.direction)


def _turn(vectors: Tensor, matrix: Float) -> Tensor:
    """Apply a 3x3 matrix to the channels of (3, D, H, W)."""
    turn = torch.as_tensor(matrix.copy(), dtype=vectors.dtype, device=vectors.device)
    return (turn @ vectors.reshape(3, -1)).reshape(vectors.shape)
