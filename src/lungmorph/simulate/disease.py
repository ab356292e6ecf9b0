"""Diseases put into an anatomy, invented or real: a tumour, and a part of a lung that has lost its air.

A collapsed part (atelectasis) is shrunk towards a place on the inner surface of its lung by a smooth
field and shows tissue instead of parenchyma; its neighbours spread into the room, as they do in
patients. Mass is therefore not conserved there: the blood stays, the air goes, and the walls fold up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops import gaussian
from ..space import Volume
from ..space.sampling import sample_world, world_points
from .anatomy import Anatomy
from .breathing import lung_box, slide, without_folds
from .pairs import Consolidation
from .randomness import Draw
from .splines import axis_positions, smooth_noise
from .tubes import Tubes, tube_coverage

PLACES = ("base", "hilum")


@dataclass(frozen=True)
class Collapse:
    """A part of a lung without air in one state and with air in the other.

    Attributes:
        field: (3, D, H, W) mm, from points of the collapsed state to the aerated one, without folds.
        consolidation: what is airless, on the grid of the aerated state.
    """

    field: Tensor
    consolidation: Consolidation

    def after(self, motion: Tensor) -> Tensor:
        """``motion`` (3, D, H, W) mm, then the re-inflation: one field without folds."""
        grid = self.consolidation.share.grid
        mapped = world_points(grid, device=motion.device) + motion.movedim(0, -1)
        return without_folds(motion + sample_world(self.field, grid, mapped), grid)


def collapse(
    draw: Draw,
    lungs: Volume,
    place: str | None = None,
    radius_mm: float | None = None,
    volume_left: float | None = None,
    check: bool = True,
) -> Collapse:
    """Let a part of one lung collapse.

    Args:
        lungs: mask of the aerated state, on a grid along the world's axes.
        place: "base" (behind, above the diaphragm, beside the spine) or "hilum"; drawn if None.
        radius_mm: of the part while it holds air, about; drawn from 40 to 70 if None.
        volume_left: of the part's volume in the collapsed state, about; drawn from 0.3 to 0.5 if None. Near
            the chest wall, which is held, it shrinks less.
        check: remove folds; False leaves that to the caller.

    Raises:
        ValueError: an empty mask, or no such place.
    """
    grid, device = lungs.grid, lungs.data.device
    place = place or PLACES[draw.integer(0, len(PLACES))]
    radius = radius_mm or draw.uniform(40, 70)
    left = volume_left or draw.uniform(0.3, 0.5)
    own, side = _one_lung(draw, lungs)
    middle = _inner_point(draw, own, side, place)
    axes = torch.tensor([draw.uniform(0.85, 1.15) for _ in range(3)], device=device) * radius
    away = world_points(grid, device=device) - middle.to(device)
    far = (away / axes).square().sum(-1).sqrt()  # 1 on the rim of the aerated part

    # the middle shrinks more, for the sake of the rim that is held
    stretch = (0.8 * left) ** (-1 / 3)
    # radius in the collapsed state -> in the aerated one: stretched inside, back to itself at 1.9
    reach = 1.9
    inner = 1 / stretch
    share = ((reach - far) / (reach - inner)).clamp(0, 1)
    outside = torch.where(far < inner, stretch, 1 + (1 - inner) / far.clamp_min(inner) * share)
    field = (away * (outside - 1)[..., None]).movedim(-1, 0).contiguous()
    field = field * _held(own)
    if check:
        field = without_folds(field, grid)
    field = slide(field, lungs, 0.9, check=check)

    # irregular, with a rim that still holds a little air; over the lung's half-filled surface voxels too
    edge = 0.16 * smooth_noise(draw, grid, 26.0, device=device)[0].clamp(-2, 2)
    near = F.max_pool3d(own.data.float()[None, None], 3, 1, 1)[0, 0]
    part = ((1 - far + edge) * radius / 7.0 + 0.5).clamp(0, 1) * near
    # airless lung has the HU of soft tissue, a little more with contrast in its blood
    tissue = draw.uniform(25, 55) + 6 * smooth_noise(draw, grid, 9.0, device=device)[0]
    where = Consolidation(Volume(part, grid), Volume(tissue, grid))
    return Collapse(field, where)


def with_tumour(anatomy: Anatomy, radius_mm: float, seed: int) -> Anatomy:
    """The anatomy with an irregular solid mass in one lung; the lung mask goes on over it.

    Args:
        radius_mm: mean radius; the surface is lobulated, a third in and out at most, and has spicules.

    Raises:
        ValueError: no place in the lungs is as large.
    """
    draw = Draw(seed, 13)
    grid, device = anatomy.ct.grid, anatomy.ct.data.device
    inside = gaussian(anatomy.lungs.data.float()[None, None], grid.in_voxels(0.5 * radius_mm))[0, 0]
    cells = (inside > 0.85).nonzero()
    if len(cells) == 0:
        raise ValueError(f"the lungs have no room for a mass with a radius of {radius_mm:g} mm")
    cell = cells[draw.integer(0, len(cells))].flip(0).cpu().numpy()
    middle = torch.as_tensor(grid.to_world(cell), dtype=torch.float32)
    away = world_points(grid, device=device) - middle.to(device)
    distance = away.square().sum(-1).sqrt()
    bumps = smooth_noise(draw, grid, max(0.8 * radius_mm, 4.0), device=device)[0].clamp(-2, 2)
    surface = radius_mm * (1 + 0.16 * bumps)
    step = max(grid.spacing)
    room = anatomy.lungs.data | (inside > 0.5)
    solid = (0.5 + (surface - distance) / step).clamp(0, 1)
    solid = torch.maximum(
        solid, 0.8 * tube_coverage(_spicules(draw, middle, radius_mm), grid, device)
    )
    solid = solid * room
    # large masses are often necrotic in the middle
    dead = ((0.55 * surface - distance) / 4.0).clamp(0, 1) * (radius_mm > 15)
    value = draw.uniform(30, 55) + 5 * bumps - 20 * dead
    ct = anatomy.ct.data + solid * (value - anatomy.ct.data)
    return Anatomy(Volume(ct, grid), anatomy.lungs)


# ---------------------------------------------------------------- parts


def _spicules(draw: Draw, middle: Tensor, radius: float) -> Tubes:
    """Strands from the surface of a mass into the lung around it, mm."""
    count = draw.integer(50, 110)
    way = draw.normals(count, 3)
    way = way / way.norm(dim=1, keepdim=True)
    ends = radius * (1.15 + 0.6 * draw.uniforms(count, 1))
    thick = torch.full((count,), 1.1)
    return Tubes(middle + 0.7 * radius * way, middle + ends * way, thick, 0.5 * thick)


def _one_lung(draw: Draw, lungs: Volume) -> tuple[Volume, int]:
    """The mask of one lung, and the side of the middle on which it lies (1: +x)."""
    low, high = lung_box(lungs)
    x = axis_positions(lungs.grid, lungs.data.device)[0]
    middle = float(low[0] + high[0]) / 2
    side = 1 if draw.chance(0.5) else -1
    counts = lungs.data.sum(dim=(0, 1)).float()
    between = counts[(x - middle).abs() < 0.06 * float(high[0] - low[0])]
    if len(between) == 0 or float(between.min()) > 0.5 * float(counts.max()):
        return lungs, side  # one lung alone: any side may be its inner one
    return Volume(lungs.data & ((x - middle) * side > 0), lungs.grid), side


def _inner_point(draw: Draw, lung: Volume, side: int, place: str) -> Tensor:
    """The place on the inner surface of a lung towards which it collapses, (3,) mm."""
    if place not in PLACES:
        raise ValueError(f"a lung collapses at its {' or '.join(PLACES)}, not at {place!r}")
    low, high = lung_box(lung)
    size = high - low
    height, depth = (0.30, 0.72) if place == "base" else (0.52, 0.55)
    z = float(low[2] + (height + draw.uniform(-0.05, 0.05)) * size[2])
    y = float(low[1] + (depth + draw.uniform(-0.05, 0.05)) * size[1])
    xs, ys, zs = axis_positions(lung.grid)
    row = lung.data[int((zs - z).abs().argmin()), int((ys - y).abs().argmin())].nonzero()
    if len(row) == 0:
        x = float(low[0] if side > 0 else high[0])
    else:
        x = float(xs[int(row.min() if side > 0 else row.max())])
    return torch.tensor([x, y, z])


def _held(lung: Volume) -> Tensor:
    """0 in the wall of the chest, 1 a little below the lung's surface; diaphragm and belly go along.

    The neighbours of a collapsed part fill its room, the ribs stay where they are.
    """
    mask = lung.data.float()[None, None]
    reach = round(30.0 / lung.grid.spacing[2])
    mask = F.max_pool3d(mask, (2 * reach + 1, 1, 1), 1, (reach, 0, 0))
    near = gaussian(mask, lung.grid.in_voxels(9.0))[0]
    return ((near - 0.35) / 0.45).clamp(0, 1)
