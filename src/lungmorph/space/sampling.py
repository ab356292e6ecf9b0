"""Between world millimetres and the frame in which torch samples: here and nowhere else."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..ops.along_axes import blended, blended_cubic, fill_beyond
from ..ops.cubic import bent, sample_cubic
from ..ops.sample import sample
from .grid import Float, Grid


def world_points(
    grid: Grid,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """World positions (D, H, W, 3), LPS mm, of the voxel centres.

    They are made on ``device``, or where torch makes new tensors if None.

    Convention: the sums run in ``dtype``; float32 is good to about 3e-5 mm at 500 mm.
    """
    matrix = grid.index_to_world_matrix
    i, j, k = (np.arange(n)[:, None] * matrix[:3, axis] for axis, n in enumerate(grid.size))
    k = k + matrix[:3, 3]
    x, y, z = (torch.as_tensor(a, dtype=dtype, device=device) for a in (i, j, k))
    return x[None, None] + y[None, :, None] + z[:, None, None]


def matrix_times_points(matrix: Float, points: Tensor) -> Tensor:
    """Apply a 4x4 homogeneous matrix to points (..., 3) in the points' own dtype."""
    diagonal = np.diag(matrix)[:3]
    if np.array_equal(matrix[:3, :3], np.diag(diagonal)):  # axis-aligned grids: five times as fast
        scale, shift = (
            torch.as_tensor(v.copy(), dtype=points.dtype, device=points.device)
            for v in (diagonal, matrix[:3, 3])
        )
        return torch.addcmul(shift, points, scale)
    linear = torch.as_tensor(matrix[:3, :3].T.copy(), dtype=points.dtype, device=points.device)
    shift = torch.as_tensor(matrix[:3, 3].copy(), dtype=points.dtype, device=points.device)
    return torch.addmm(shift, points.reshape(-1, 3), linear).reshape(points.shape)


def sample_world(
    data: Tensor,
    grid: Grid,
    points: Tensor,
    interpolation: str = "linear",
    fill: float | None = None,
) -> Tensor:
    """Values of an image at world points, with ITK's rule for what lies inside.

    Args:
        data: (C, D, H, W) on ``grid``, floating point; for "cubic" what :func:`lungmorph.ops.bent` made of an image.
        points: (d, h, w, 3), LPS mm, float32 or float64 (what is inside is decided in that).
        interpolation: "linear", "nearest" or "cubic".
        fill: value outside the image; None continues the nearest voxel.

    Returns:
        (C, d, h, w) in the dtype of ``points``; for "cubic" C is 1.

    Convention: as in ``itk::ResampleImageFilter`` a point is inside up to half a voxel beyond the
    outer centres, and there takes the value of the nearest centre.
    """
    normalized = matrix_times_points(grid.world_to_normalized_matrix, points)
    values = _read(data, normalized, interpolation)
    if fill is None:
        return values
    return values.masked_fill_(_beyond_edge(grid, normalized, points) > 0, fill)


def sample_carried(
    data: Tensor,
    grid: Grid,
    at: Grid,
    affine: Float,
    displacement: Tensor | None = None,
    interpolation: str = "linear",
    fill: float | None = None,
) -> Tensor:
    """Values of an image where the voxels of another grid are carried: :func:`sample_world` at affine(x) + displacement(x).

    Half as many passes over the points as by way of world points, and their coordinates lie apart, each in one piece.

    Args:
        data: (C, D, H, W) on ``grid``, as for :func:`sample_world`.
        at: the other grid.
        affine: 4x4, LPS mm.
        displacement: (3, d, h, w) float32 on that grid, mm along the axes of the world; none if None.
        interpolation, fill: as for :func:`sample_world`.

    Returns:
        (C, d, h, w) float32; for "cubic" C is 1.
    """
    if fill is not None and 1 in grid.size:  # what lies beyond one slice is told in mm
        points = matrix_times_points(affine, world_points(at, device=data.device))
        moved = points if displacement is None else points + displacement.movedim(0, -1)
        return sample_world(data, grid, moved, interpolation, fill)
    to_normalized = grid.world_to_normalized_matrix
    places = _places(to_normalized @ affine @ at.index_to_world_matrix, at.size, data.device)
    if displacement is not None:
        for row, place in zip(to_normalized[:3, :3], places, strict=True):
            for share, along in zip(row, displacement, strict=True):
                if share:
                    place.add_(along, alpha=float(share))
    normalized = places.movedim(0, -1)
    values = _read(data, normalized, interpolation)
    return values if fill is None else values.masked_fill_(_beyond_edge(grid, normalized) > 0, fill)


def _read(data: Tensor, normalized: Tensor, interpolation: str) -> Tensor:
    """Values of an image (C, D, H, W) at points (d, h, w, 3) in [-1, 1], in the dtype of these: (C, d, h, w)."""
    at = normalized[None].to(data.dtype)
    if interpolation == "cubic":
        found = sample_cubic(data[None], at)
    else:
        mode = {"linear": "bilinear", "nearest": "nearest"}[interpolation]
        found = sample(data[None], at, mode=mode, padding="border")
    return found[0].to(normalized.dtype)


def _places(matrix: Float, size: tuple[int, int, int], device: torch.device) -> Tensor:
    """A 4x4 matrix times the indices of a lattice (x, y, z): (3, D, H, W) float32."""
    i, j, k = (np.arange(n)[:, None] * matrix[:3, axis] for axis, n in enumerate(size))
    x, y, z = (
        torch.as_tensor(a.T, dtype=torch.float32, device=device) for a in (i, j, k + matrix[:3, 3])
    )
    return (x[:, None, None] + y[:, None, :, None]) + z[:, :, None, None]


def sample_grid(
    data: Tensor, grid: Grid, at: Grid, fill: float | None = None, cubic: bool = False
) -> Tensor:
    """Values of an image at the voxels of another grid: :func:`sample_world`, but faster where the axes are parallel.

    Args:
        data: (C, D, H, W) on ``grid``, floating point; for ``cubic`` C is 1.
        at: the other grid.
        fill: value outside the image; None continues the nearest voxel.
        cubic: nearly as a cubic spline, else linear.

    Returns:
        (C, d, h, w).
    """
    along = grid.positions_of(at)
    if along is None:
        image, how = (bent(data[None])[0], "cubic") if cubic else (data, "linear")
        return sample_world(image, grid, world_points(at, device=data.device), how, fill)
    found = blended_cubic(data, along) if cubic else blended(data, along)
    return found if fill is None else fill_beyond(found, grid.size, along, fill)


def near_edge(grid: Grid, points: Tensor) -> Tensor:
    """Whether float32 cannot tell if world points (..., 3) are inside the image: bool (...)."""
    normalized = matrix_times_points(grid.world_to_normalized_matrix, points)
    return _beyond_edge(grid, normalized, points).abs() < 3e-6


def _beyond_edge(grid: Grid, normalized: Tensor, points: Tensor | None = None) -> Tensor:
    """How far points lie outside the image (negative inside), in units of about half its size.

    World points are needed where the image has but one slice.
    """
    edges = [n / (n - 1) if n > 1 else 1.0 for n in grid.size]
    away = [part.abs() - edge for part, edge in zip(normalized.unbind(-1), edges, strict=True)]
    # a maximum over so short an axis is slow
    beyond = torch.maximum(torch.maximum(away[0], away[1]), away[2])
    for axis, n in enumerate(grid.size):
        if n == 1:  # one slice: [-1, 1] cannot tell how far away a point is
            assert points is not None
            row = grid.world_to_index_matrix[axis]
            weights = torch.as_tensor(row[:3].copy(), dtype=points.dtype, device=points.device)
            slices = (points @ weights + float(row[3])).abs() - 0.5
            beyond = torch.maximum(beyond, slices)
    return beyond
