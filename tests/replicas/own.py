"""Scans of one's own as a user would have them on disk, written by SimpleITK, for tests of datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from geometry import place
from lungmorph.space import Grid

#: Large enough for two lungs, oblique, so that a frame that is mixed up shows.
CHEST = Grid(
    (40, 30, 28),
    (6.0, 6.0, 6.5),
    (-110.0, 35.0, -290.0),
    (
        (0.995004165278026, -0.0998334166468282, 0.0),
        (0.0998334166468282, 0.995004165278026, 0.0),
        (0.0, 0.0, 1.0),
    ),
)


def chest(seed: int = 0) -> np.ndarray:
    """A block of tissue with two lungs in air, HU, (z, y, x) on CHEST; the base differs from the apex."""
    hu = np.full(CHEST.shape, -1000.0)
    hu[:, 3:-3, 3:-3] = 40.0
    lungs = lung_boxes()
    hu[lungs] = -800.0
    noise = np.random.default_rng(seed).normal(0, 15, hu.shape)
    return np.rint(hu + noise).clip(-1024, 2000).astype(np.int16)


def lung_boxes() -> np.ndarray:
    """Where :func:`chest` has lung."""
    lungs = np.zeros(CHEST.shape, bool)
    lungs[2:20, 7:23, 6:17] = lungs[2:20, 7:23, 23:34] = True
    return lungs


def in_lungs(count: int, seed: int = 0) -> np.ndarray:
    """World points (N, 3), LPS mm, inside the lungs of :func:`chest`."""
    k, j, i = np.nonzero(lung_boxes())
    rng = np.random.default_rng(seed)
    at = rng.choice(len(i), count, replace=False)
    index = np.stack([i, j, k], axis=1)[at] + rng.uniform(-0.4, 0.4, (count, 3))
    return to_world(index)


def to_world(index: np.ndarray, grid: Grid = CHEST) -> np.ndarray:
    """Indices (N, 3) to world points, by the definition."""
    return np.asarray(grid.origin) + (index * grid.spacing) @ np.asarray(grid.direction).T


def write(path: Path, values: np.ndarray, grid: Grid = CHEST) -> Path:
    """An image file of any format that SimpleITK writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(values)
    place(image, grid)
    sitk.WriteImage(image, str(path))
    return path


def write_mask(path: Path, mask: np.ndarray | None = None, grid: Grid = CHEST) -> Path:
    """A mask as uint8; the lungs of :func:`chest` if none is given."""
    return write(path, (lung_boxes() if mask is None else mask).astype(np.uint8), grid)


def write_points(path: Path, points: np.ndarray, columns: str = "x,y,z") -> Path:
    """Points, or pairs of points, as a CSV in LPS mm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, points, fmt="%.6f", delimiter=",", header=columns, comments="")
    return path


def write_pairs(path: Path, fixed: np.ndarray, moving: np.ndarray) -> Path:
    """Pairs as the columns fixed_x, ..., moving_z."""
    columns = ",".join(f"{side}_{axis}" for side in ("fixed", "moving") for axis in "xyz")
    return write_points(path, np.concatenate([fixed, moving], axis=1), columns)
