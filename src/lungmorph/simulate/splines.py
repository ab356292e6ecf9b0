"""Smooth random functions of space: cubic B-splines with random coefficients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..ops.spline import cubic_weights, expand
from ..space import Grid
from .randomness import Draw


def axis_positions(grid: Grid, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """World coordinates (W,), (H,), (D,) in mm of the voxel centres along x, y and z.

    Raises:
        ValueError: the axes of the grid are not those of the world.
    """
    if np.abs(np.asarray(grid.direction) - np.eye(3)).max() > 1e-6:
        raise ValueError(f"the simulation needs a grid along the world's axes, not {grid}")
    x, y, z = (
        torch.as_tensor(o + s * np.arange(n), dtype=torch.float32, device=device)
        for o, s, n in zip(grid.origin, grid.spacing, grid.size, strict=True)
    )
    return x, y, z


def smooth_noise(
    draw: Draw, grid: Grid, scale: float, channels: int = 1, device: torch.device | str = "cpu"
) -> Tensor:
    """Smooth random fields (channels, D, H, W), mean 0 and about unit deviation.

    Args:
        scale: distance of control points in mm.

    Convention: the control points hang on the middle of the grid and cover a fixed box of 520 mm
    for coarse scales, so that the same patient results at any spacing; fine noise (below 15 mm) is
    drawn for the grid at hand.
    """
    if scale >= 15:
        counts = [int(np.ceil(520 / scale)) + 4] * 3
    else:
        extent = np.asarray(grid.size) * np.asarray(grid.spacing)
        counts = [int(np.ceil(e / scale)) + 4 for e in extent]
    coefficients = draw.normals(channels, counts[2], counts[1], counts[0]).to(device)
    x, y, z = (
        cubic_weights((p - float(c)) / scale + (n - 1) / 2, n).to(device)
        for p, c, n in zip(axis_positions(grid), grid.center, counts, strict=True)
    )
    # a sum of independent coefficients: 0.479 is the mean sum of squares of the weights
    return expand(coefficients, (z, y, x)) / 0.479**1.5
