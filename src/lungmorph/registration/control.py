"""The displacement as the refinement moves it: control points of a cubic B-spline."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..ops.spline import cubic_weights, expand
from ..space import Grid


class ControlField:
    """Displacements in mm (world axes) as a cubic B-spline on a world-aligned lattice of control points."""

    def __init__(self, grid: Grid, coefficients: Tensor | None = None) -> None:
        self.grid = grid
        self.coefficients = torch.zeros(3, *grid.shape) if coefficients is None else coefficients

    def weights(self, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
        """Basis matrices along (z, y, x) from the control points to a world-aligned ``grid``.

        They are made on the CPU, like those of :meth:`fitted`: small, in float64, which not every device has.
        """
        out = []
        for axis in (2, 1, 0):
            at = grid.origin[axis] + np.arange(grid.size[axis]) * grid.spacing[axis]
            at = (at - self.grid.origin[axis]) / self.grid.spacing[axis]
            basis = cubic_weights(torch.as_tensor(at, device="cpu"), self.grid.size[axis])
            out.append(basis.float().to(self.coefficients.device))
        return out[0], out[1], out[2]

    def on(self, grid: Grid) -> Tensor:
        """(3, D, H, W): displacement in mm at the centres of a world-aligned grid."""
        return expand(self.coefficients, self.weights(grid))

    @classmethod
    def fitted(cls, grid: Grid, displacement: Tensor) -> ControlField:
        """The spline through values (3, D, H, W) in mm given at the control points themselves."""
        inverse = []
        for n in grid.shape:
            basis = cubic_weights(torch.arange(n, dtype=torch.float64, device="cpu"), n)
            inverse.append(torch.linalg.inv(basis).float().to(displacement.device))
        return cls(grid, expand(displacement, (inverse[0], inverse[1], inverse[2])))


def control_grid(region: Grid, spacing: float) -> Grid:
    """Control points so many mm apart, over a world-aligned box and one more beyond its ends."""
    low, high = region.bounds()
    return Grid.covering(low, high, spacing, margin=spacing)
