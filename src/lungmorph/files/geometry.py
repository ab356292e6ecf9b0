"""From the numbers of a file to a Grid, and back to ITK."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..space import Grid

PathLike = str | os.PathLike[str]

SPACING_LIMITS_MM = (0.05, 50.0)


def grid_of(image: sitk.Image | sitk.ImageFileReader, path: PathLike) -> Grid:
    """The grid of the first three axes of an image, or of a reader that has seen its header.

    Raises:
        InputError: spacing, direction or size as no CT has them.
    """
    dimension = image.GetDimension()
    spacing = tuple(image.GetSpacing()[:3])
    direction = np.reshape(image.GetDirection(), (dimension, dimension))[:3, :3]
    return checked_grid(path, image.GetSize()[:3], spacing, image.GetOrigin()[:3], direction)


def checked_grid(
    path: PathLike,
    size: Sequence[int],
    spacing: Sequence[float],
    origin: Sequence[float],
    direction: np.ndarray,
) -> Grid:
    """A Grid whose numbers come from a file, or one clear line."""
    low, high = SPACING_LIMITS_MM
    if not all(low <= s <= high for s in spacing):
        raise InputError(
            path,
            expected=f"a spacing between {low:g} and {high:g} mm",
            found="x".join(f"{s:.4g}" for s in spacing) + " mm",
            do="correct the header",
        )
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
        raise InputError(
            path,
            expected="an orthonormal direction",
            found=str(np.round(direction, 4).tolist()),
            do="resample the image to an orthogonal grid",
        )
    if np.linalg.det(direction) < 0:
        raise InputError(
            path,
            expected="a right-handed direction",
            found=f"a left-handed one, {np.round(direction, 4).tolist()}",
            do='reorder its voxels, for example by SimpleITK.DICOMOrient(image, "LPS"), or give the DICOM folder it '
            "was made of",
        )
    if not np.isfinite(origin).all():
        raise InputError(path, expected="an origin in mm", found=str(tuple(origin)))
    if min(size) < 2:
        raise InputError(
            path,
            expected="a 3D image with at least 2 voxels along every axis",
            found="x".join(str(n) for n in size),
        )
    x, y, z = (int(n) for n in size)
    sx, sy, sz = (float(s) for s in spacing)
    ox, oy, oz = (float(o) for o in origin)
    return Grid((x, y, z), (sx, sy, sz), (ox, oy, oz), tuple(map(tuple, direction)))


def place_on_grid(image: sitk.Image, grid: Grid) -> None:
    """Give a ``SimpleITK.Image`` the geometry of a Grid."""
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection([v for row in grid.direction for v in row])


def describe(grid: Grid) -> str:
    """Size, spacing, origin and, where turned, direction in one line."""
    if np.allclose(grid.direction, np.eye(3)):
        return str(grid)
    return f"{grid} by {np.round(grid.direction, 4).tolist()}"
