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
    spacing = torch.as_tensor(step, dtype=torch.float32, device=device)
    reach = torch.maximum(r0, r1).clamp_min(0.5 * voxel) + 0.51 * voxel
    half = (((end - start).abs() / 2 + reach[:, None]) / spacing + 0.5).floor().long().amax(dim=1)
    half = half.cpu()
    for n in half.unique().tolist():
        members = (half == n).nonzero()[:, 0].to(device)
        for some in members.split(max(1, CHUNK // (2 * n + 1) ** 3)):
            flat, value = _boxes(
                start[some], end[some], r0[some], r1[some], n, grid, voxel, as_coverage
            )
            out.scatter_reduce_(0, flat, value, "amax")
    return out.reshape(grid.shape)


def _boxes(
    start: Tensor,
    end: Tensor,
    r0: Tensor,
    r1: Tensor,
    n: int,
    grid: Grid,
    voxel: float,
    as_coverage: bool,
) -> tuple[Tensor, Tensor]:
    """Flat voxel indices and values in the boxes of 2n+1 voxels about each of M pieces."""
    side = torch.arange(-n, n + 1, device=start.device)
    shape = ((-1, 1, 1, 2 * n + 1), (-1, 1, 2 * n + 1, 1), (-1, 2 * n + 1, 1, 1))
    place, axis, index, valid = [], [], [], []
    for a in range(3):
        first = ((start[:, a] + end[:, a]) / (2 * grid.spacing[a])).round().long()
        number = first[:, None] + side
        place.append((number * grid.spacing[a] - start[:, a, None]).reshape(shape[a]))
        axis.append((end[:, a] - start[:, a]).reshape(-1, 1, 1, 1))
        valid.append(((number >= 0) & (number < grid.size[a])).reshape(shape[a]))
        index.append(number.clamp(0, grid.size[a] - 1).reshape(shape[a]))
    length2 = (axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2).clamp_min(1e-6)
    along = (place[0] * axis[0] / length2 + place[1] * axis[1] / length2) + place[2] * axis[
        2
    ] / length2
    along = along.clamp_(0, 1)
    distance = (place[0] - along * axis[0]).square_()
    distance += (place[1] - along * axis[1]).square_()
    distance += (place[2] - along * axis[2]).square_()
    distance = distance.sqrt_()
    radius = r0.reshape(-1, 1, 1, 1) + along.mul_((r1 - r0).reshape(-1, 1, 1, 1))
    if as_coverage:
        # The ramp 0.5 + (drawn - d) / h holds pi (drawn^2 + h^2 / 12) of a cross-section, for drawn at
        # least h / 2: radius and share are chosen so that this is pi radius^2.
        share = (3 / voxel**2 * radius.square()).clamp_max_(1)
        drawn = radius.square_().sub_(voxel**2 / 12).clamp_min_(voxel**2 / 4).sqrt_()
        value = share * drawn.sub_(distance).div_(voxel).add_(0.5).clamp_(0, 1)
        value *= valid[0] & valid[1] & valid[2]
    else:
        value = (radius - distance).masked_fill_(~(valid[0] & valid[1] & valid[2]), -1e3)
    flat = (index[2] * grid.size[1] + index[1]) * grid.size[0] + index[0]
    return flat.reshape(-1), value.reshape(-1)


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
    keep = keep.nonzero()[:, 0]  # looked for once, not by each of the four
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
