"""Closed planar contours to a mask on the grid of an image, whatever its orientation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..space import Grid, Volume
from ..space.grid import Float

#: A contour belongs to a slice that is nearer than this part of the distance between slices.
SLICE_PART = 0.25


@dataclass(frozen=True)
class Placed:
    """Contours on the slices of a grid.

    Attributes:
        by_slice: polygons (N, 2) in voxel indices (i, j), by the index k of their slice.
        between: world distance in mm to the nearest slice, of the contours that lie between two.
        outside: how many lie above the last slice or below the first.
        tilted: how many do not lie in the plane of the slices.
    """

    by_slice: dict[int, list[Float]]
    between: tuple[float, ...] = ()
    outside: int = 0
    tilted: int = 0

    @property
    def skipped_slices(self) -> int:
        """Slices between the first and the last with contours that have none."""
        used = self.by_slice
        return max(used) - min(used) + 1 - len(used) if used else 0


def place_contours(contours: Sequence[Float], grid: Grid) -> Placed:
    """Sort contours, points (N, 3) in LPS mm, into the slices of a grid.

    Contours that are there twice count once, wherever they begin and whichever way they run.
    """
    by_slice: dict[int, list[Float]] = defaultdict(list)
    seen: set[bytes] = set()
    between, outside, tilted = [], 0, 0
    for points in contours:
        index = grid.to_index(points)
        height = float(index[:, 2].mean())
        k = round(height)
        if np.abs(index[:, 2] - height).max() > SLICE_PART:
            tilted += 1
        elif abs(height - k) > SLICE_PART:
            between.append(abs(height - k) * grid.spacing[2])
        elif not 0 <= k < grid.size[2]:
            outside += 1
        elif (mark := np.unique(np.round(index, 3) + 0.0, axis=0).tobytes()) not in seen:
            seen.add(mark)
            by_slice[k].append(index[:, :2])
    return Placed(dict(by_slice), tuple(between), outside, tilted)


def fill_contours(placed: Placed, grid: Grid) -> Volume:
    """The mask of placed contours: voxels whose centre lies inside an odd number of them.

    So a contour inside another is a hole, and so is the inner loop of a keyhole.
    """
    mask = np.zeros(grid.shape, dtype=bool)
    for k, polygons in placed.by_slice.items():
        for polygon in polygons:
            mask[k] ^= inside_polygon(polygon, grid.shape[1:])
    return Volume(torch.from_numpy(mask), grid)


def covers_voxel(placed: Placed, grid: Grid) -> bool:
    """Whether the centre of some voxel lies inside a contour: a marked seed may be smaller than a voxel."""
    shape = grid.shape[1:]
    return any(
        inside_polygon(polygon, shape).any()
        for polygons in placed.by_slice.values()
        for polygon in polygons
    )


def inside_polygon(polygon: Float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which lattice points (rows, columns) lie inside a closed polygon, by the even-odd rule.

    Args:
        polygon: vertices (N, 2), (column, row), in units of the lattice; the last joins the first.
        shape: rows, columns.

    Edges are half open, so of two polygons that share an edge exactly one has the points on it.
    """
    rows, columns = shape
    x0, y0 = polygon.T
    x1, y1 = np.roll(polygon, -1, axis=0).T
    up = y1 > y0
    low, high = np.where(up, y0, y1), np.where(up, y1, y0)
    first = np.clip(np.ceil(low), 0, rows).astype(int)
    last = np.clip(np.ceil(high), 0, rows).astype(int)  # rows first to last - 1 are crossed
    counts = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(polygon)), counts)
    row = first[edge] + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (x1 - x0)[edge] / (y1 - y0)[edge]
    crossing = x0[edge] + (row - y0[edge]) * slope
    column = np.clip(np.ceil(crossing), 0, columns).astype(int)
    toggles = np.zeros((rows, columns + 1), dtype=np.int64)
    np.add.at(toggles, (row, column), 1)
    return np.cumsum(toggles[:, :columns], axis=1) % 2 == 1
