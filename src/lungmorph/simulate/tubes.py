"""Drawing tapered tubes (vessels, airways, ribs) into a grid, anti-aliased and fast.

Every tube is cut into short pieces, and every piece is drawn only into the small box of voxels
around it; pieces of equal box size are drawn together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..space import Grid

#: Voxels drawn at a time: bounds the memory.
CHUNK = 2_000_000


@dataclass(frozen=True)
class Tubes:
    """N straight tapered tubes: ``start``, ``end`` (N, 3) world mm; radii (N,) in mm."""

    start: Tensor
    end: Tensor
    start_radius: Tensor
    end_radius: Tensor

    @classmethod
    def join(cls, parts: list[Tubes]) -> Tubes:
        """All tubes of several sets."""
        return cls(
            torch.cat([p.start for p in parts]),
            torch.cat([p.end for p in parts]),
            torch.cat([p.start_radius for p in parts]),
            torch.cat([p.end_radius for p in parts]),
        )

    @classmethod
    def chain(cls, points: Tensor, radius: Tensor | float) -> Tubes:
        """A bent tube through ``points`` (N, 3) with a radius or one radius a point."""
        radii = torch.as_tensor(radius, dtype=torch.float32).expand(len(points))
        return cls(points[:-1], points[1:], radii[:-1], radii[1:])

    def moved(self, shift: Tensor) -> Tubes:
        """Shifted by ``shift`` (3,) mm."""
        return Tubes(self.start + shift, self.end + shift, self.start_radius, self.end_radius)

    def select(self, keep: Tensor) -> Tubes:
        """The tubes marked by ``keep`` (N,) bool."""
        return Tubes(
            self.start[keep], self.end[keep], self.start_radius[keep], self.end_radius[keep]
        )


def tube_depth(tubes: Tubes, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
    """(D, H, W) depth in mm below the nearest tube surface (positive inside), -1e3 far away.

    Correct within about a voxel of the surface and inside.
    """
    return _draw(tubes, grid, device, as_coverage=False)


def tube_coverage(tubes: Tubes, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
    """(D, H, W) share of each voxel that tubes fill, 0..1.

    Tubes thinner than a voxel keep their cross-section: they fade instead of disappearing, so the
    same vessels can be drawn at 1.5 and at 4 mm.
    """
    return _draw(tubes, grid, device, as_coverage=True)


def _draw(tubes: Tubes, grid: Grid, device: torch.device | str, as_coverage: bool) -> Tensor:
    step = np.asarray(grid.spacing)
    voxel = float(np.prod(step)) ** (1 / 3)
    start, end, r0, r1 = _pieces(tubes, 1.5 * voxel, grid, device)
    out = torch.full((grid.voxels,), 0.0 if as_coverage else -1e3, device=device)
    if len(start) == 0:
        return out.reshape(grid.shape)
    spacing = torch.as_tensor(step, dtype=torch.float32, device=device)
    size = torch.as_tensor(grid.size, device=device)
    reach = torch.maximum(r0, r1).clamp_min(0.56 * voxel) + 0.6 * voxel
    middle, half_length = (start + end) / 2, (end - start).abs() / 2
    half = ((half_length + reach[:, None]) / spacing).floor().long() + 1
    half = half.amax(dim=1)
    for n in half.unique().tolist():
        members = (half == n).nonzero()[:, 0]
        side = torch.arange(-n, n + 1, device=device)
        offsets = torch.stack(torch.meshgrid(side, side, side, indexing="ij"), -1).reshape(-1, 3)
        for some in members.split(max(1, CHUNK // len(offsets))):
            index = (middle[some] / spacing).round().long()[:, None] + offsets
            inside = ((index >= 0) & (index < size)).all(-1)
            position = index * spacing - start[some][:, None]
            axis = (end - start)[some][:, None]
            along = (position * axis).sum(-1) / (axis * axis).sum(-1).clamp_min(1e-6)
            along = along.clamp_(0, 1)
            distance = (position - along[..., None] * axis).square_().sum(-1).sqrt_()
            radius = r0[some][:, None] + along * (r1 - r0)[some][:, None]
            if as_coverage:
                drawn = radius.clamp_min(0.56 * voxel)
                share = (radius / (0.56 * voxel)).square().clamp_max_(1)
                value = share * (0.5 + (drawn - distance) / voxel).clamp_(0, 1)
                inside &= value > 0
            else:
                value = radius - distance
            flat = (index[..., 2] * size[1] + index[..., 1]) * size[0] + index[..., 0]
            out.scatter_reduce_(0, flat[inside], value[inside], "amax")
    return out.reshape(grid.shape)


def _pieces(
    tubes: Tubes, length: float, grid: Grid, device: torch.device | str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tubes cut to pieces of at most ``length`` mm, in mm from the grid's first voxel centre."""
    origin = torch.as_tensor(grid.origin, dtype=torch.float32)
    start, end = (tubes.start - origin).to(device), (tubes.end - origin).to(device)
    r0, r1 = tubes.start_radius.to(device), tubes.end_radius.to(device)
    # tubes that cannot touch the grid cost nothing
    high = torch.as_tensor(np.asarray(grid.size) * np.asarray(grid.spacing), device=device)
    far = torch.maximum(r0, r1)[:, None] + 2 * length
    keep = ((torch.minimum(start, end) < high + far) & (torch.maximum(start, end) > -far)).all(1)
    start, end, r0, r1 = start[keep], end[keep], r0[keep], r1[keep]
    count = ((end - start).norm(dim=1) / length).ceil().clamp_min(1).long()
    which = torch.repeat_interleave(torch.arange(len(count), device=device), count)
    first = count.cumsum(0) - count
    number = torch.arange(len(which), device=device) - first[which]
    low, top = number / count[which], (number + 1) / count[which]
    axis, taper = (end - start)[which], (r1 - r0)[which]
    return (
        start[which] + low[:, None] * axis,
        start[which] + top[:, None] * axis,
        r0[which] + low * taper,
        r0[which] + top * taper,
    )
