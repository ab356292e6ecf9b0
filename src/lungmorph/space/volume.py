"""A scalar image and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d

from ..ops.cubic import bent
from ..threads import side_by_side
from .grid import Float, Grid
from .sampling import near_edge, sample_grid, sample_world, world_points

#: Of what lies beyond a scan.
AIR_HU = -1024.0
#: Points mapped at a time: bounds the memory of resampling, whatever the size of the image.
SLAB_VOXELS = 500_000


class PointMap(Protocol):
    """Anything that maps world points (..., 3), LPS mm, in the dtype given."""

    def map_points(self, points: Tensor) -> Tensor:
        """The mapped points."""
        ...

    def map_grid(self, grid: Grid, device: torch.device | str | None = None) -> Tensor:
        """Where the centres of a grid's voxels go: (D, H, W, 3), LPS mm, on ``device``."""
        ...


class _Stay:
    """Every point where it is."""

    def map_points(self, points: Tensor) -> Tensor:
        return points

    def map_grid(self, grid: Grid, device: torch.device | str | None = None) -> Tensor:
        return world_points(grid, device=device)


@dataclass(frozen=True)
class Volume:
    """A 3D scalar image: ``data`` (D, H, W) = (z, y, x) on ``grid``.

    ``data`` is a floating point tensor (CT in HU), an integer tensor (labels) or a bool tensor (mask).

    Raises:
        ValueError: the shape of the data is not that of the grid.
    """

    data: Tensor
    grid: Grid

    def __post_init__(self) -> None:
        if tuple(self.data.shape) != self.grid.shape:
            raise ValueError(
                f"data of shape {tuple(self.data.shape)} on a grid of shape {self.grid.shape} (z, y, x)"
            )

    @property
    def is_mask(self) -> bool:
        """Whether the values are labels, which may not be averaged."""
        return not self.data.dtype.is_floating_point

    def points(self, count: int) -> Float:
        """About ``count`` world points (N, 3), LPS mm, evenly over the voxels above 0."""
        # one number a voxel: three would be gigabytes for the mask of a whole chest
        above = np.flatnonzero(self.data.numpy() > 0)
        k, j, i = np.unravel_index(above[:: max(1, len(above) // count)], self.grid.shape)
        return self.grid.to_world(np.stack([i, j, k], axis=-1))

    def resample(self, grid: Grid, fill: float | None = None, cubic: bool = False) -> Volume:
        """The image on another grid; linear for images, or nearly cubic, nearest for masks.

        ``fill``: value outside the image; None continues the nearest voxel (False for a mask).
        """
        if self.is_mask or self.grid.positions_of(grid) is None:
            return warp_volume(self, grid, _Stay(), fill, cubic)
        found = sample_grid(self.data.float()[None], self.grid, grid, fill, cubic)[0]
        return Volume(found.to(self.data.dtype), grid)

    def reduce(self, spacing: float) -> Volume:
        """Voxels averaged in whole blocks until none is finer than about ``spacing`` mm.

        What a coarser lattice should be read from, so that it does not alias. Averages are taken in
        the image's own frame and the grid follows exactly.
        """
        return self.in_blocks(self.grid.blocks(spacing))

    def in_blocks(self, factors: tuple[int, int, int]) -> Volume:
        """Averages over whole blocks of so many voxels along (x, y, z), floating point; those left over are left out."""
        data = self.data if self.data.dtype.is_floating_point else self.data.float()
        if max(factors) == 1:
            return Volume(data, self.grid)
        data = avg_pool3d(data[None, None], factors[::-1])[0, 0]
        return Volume(data, self.grid.in_blocks(factors))

    def crop_to(self, grid: Grid) -> Volume:
        """Cut out ``grid``, a :meth:`Grid.crop` of this volume's own grid that lies inside it."""
        start = self.grid.to_index(grid.origin).round().astype(int)
        i, j, k = (int(v) for v in start)
        d, h, w = grid.shape
        return Volume(self.data[k : k + d, j : j + h, i : i + w], grid)


def warp_volume(
    volume: Volume,
    grid: Grid,
    mapping: PointMap,
    fill: float | None = None,
    cubic: bool = False,
) -> Volume:
    """``volume`` read, for every voxel of ``grid``, at ``mapping.map_points`` of its centre."""
    fill_value = fill if fill is not None or not volume.is_mask else 0.0
    how = "nearest" if volume.is_mask else "cubic" if cubic else "linear"
    source = volume.data.float()[None]
    if how == "cubic":
        source = bent(source[None])[0]
    out = torch.empty(grid.shape, dtype=torch.float32, device=source.device)

    def slab(at: tuple[int, Grid]) -> None:
        first, inner = at
        points = mapping.map_grid(inner, source.device)
        part = sample_world(source, volume.grid, points, how, fill_value)[0]
        if fill_value is not None:
            # on the very edge of the volume float32 cannot tell inside from outside: once more in float64
            k, j, i = near_edge(volume.grid, points).nonzero().unbind(dim=1)
            if len(k) > 0:
                index = torch.stack([i, j, k], dim=1).cpu().numpy()
                # Apple's GPUs have no float64
                there = torch.device("cpu") if source.device.type == "mps" else source.device
                exact = torch.as_tensor(inner.to_world(index), device=there)
                exact = mapping.map_points(exact)[None, None]
                again = sample_world(source.to(there), volume.grid, exact, how, fill_value)
                part[k, j, i] = again[0, 0, 0].float().to(part.device)
        out[first : first + inner.shape[0]] = part

    side_by_side(slab, list(grid.slabs(SLAB_VOXELS)))
    if volume.data.dtype == torch.bool:
        return Volume(out > 0.5, grid)
    return Volume(out.to(volume.data.dtype), grid)
