"""Invented motion: smooth random fields, and breathing with lungs that slide along the chest wall.

Convention: fields are (3, D, H, W) float32, mm along the world axes (x, y, z) = (L, P, S), on a grid
along the world's axes; the point x of the *fixed* image is found at x + u(x) in the *moving* one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ..ops import extent, gaussian, smallest_determinant, unfold
from ..space import Grid, Volume
from .randomness import Draw
from .splines import axis_positions, smooth_noise

log = logging.getLogger(__name__)

#: No simulated field has a smaller (one-sided) Jacobian determinant anywhere.
LEAST_DETERMINANT = 0.1


def least_determinant(field: Tensor, grid: Grid) -> float:
    """The smallest of all one-sided Jacobian determinants of a field (3, D, H, W) in mm."""
    return float(smallest_determinant(field[None], grid.spacing).min())


def without_folds(field: Tensor, grid: Grid, least: float = LEAST_DETERMINANT) -> Tensor:
    """The field, smoothed where it folds and else scaled down, until no determinant is below ``least``.

    What had to be done is logged. A field that is good is returned as it is.
    """
    for _ in range(20):
        try:
            smoothed, folded = unfold(field[None], grid.spacing, least, rounds=6)
        except RuntimeError:
            log.info("the field folds too much to be smoothed: scaled by 0.85")
            field = field * 0.85
            continue
        if folded:
            log.info("%d voxels with a Jacobian determinant below %g: smoothed", folded, least)
        return smoothed[0]
    raise RuntimeError("a field that folds at any size is broken")


def random_field(
    draw: Draw,
    grid: Grid,
    amplitude: float,
    device: torch.device | str = "cpu",
    scales: tuple[float, ...] = (110.0, 60.0, 35.0),
    check: bool = True,
) -> Tensor:
    """Smooth random motion on several scales.

    Args:
        amplitude: about the largest displacement, mm.
        scales: distances of control points, mm; finer scales get less, so that the strain stays even.
        check: remove folds; False leaves that to the caller.

    Returns:
        (3, D, H, W) mm, without folds.
    """
    total = torch.zeros(3, *grid.shape, device=device)
    for scale in scales:
        weight = (scale / scales[0]) ** 1.25 * draw.uniform(0.3, 1.2)
        total += smooth_noise(draw, grid, scale, 3, device) * weight
    longest = float(total.square().sum(0).max()) ** 0.5
    total *= amplitude / max(longest, 1e-6)
    return without_folds(total, grid) if check else total


@dataclass(frozen=True)
class Breath:
    """One breath out of (positive) or into the lungs: sizes in mm at the places that move most.

    The moving image is the fixed one with the diaphragm lower by ``diaphragm``, the front of the chest
    further out by ``front`` and its sides by ``sides``.
    """

    diaphragm: float
    front: float
    sides: float
    slide: float = 0.8
    random: float = 4.0

    @classmethod
    def drawn(cls, draw: Draw) -> Breath:
        """A random breath, in or out, from quiet to deep."""
        depth = draw.uniform(5, 40)
        sign = 1 if draw.chance(0.5) else -1
        return cls(
            sign * depth,
            sign * depth * draw.uniform(0.1, 0.45),
            sign * depth * draw.uniform(0.05, 0.3),
            draw.uniform(0.3, 1.0),
            draw.uniform(1, 7),
        )


def breathing_field(draw: Draw, lungs: Volume, breath: Breath, check: bool = True) -> Tensor:
    """The motion of a breath for the given lungs.

    It grows from the apex to the base, mostly along z; the chest wall moves out to the front and the
    sides; it fades towards the spine and the apex; the lung slides along the wall.

    Args:
        lungs: mask on a grid along the world's axes.
        check: remove folds; False leaves that to the caller.

    Returns:
        (3, D, H, W) mm, without folds.
    """
    grid, device = lungs.grid, lungs.data.device
    low, high = lung_box(lungs)
    x, y, z = axis_positions(grid, device)
    across = (2 * (x - low[0]) / (high[0] - low[0]) - 1).clamp(-1.4, 1.4)
    back = ((y - low[1]) / (high[1] - low[1])).clamp(-0.3, 1.3)[:, None]
    down = ((high[2] - z) / (high[2] - low[2])).clamp(-0.2, 1.4)[:, None, None]
    power = draw.uniform(1.2, 1.9)
    along = down.clamp_min(0) ** power / (1 + 0.15 * down.clamp_min(0) ** 4)
    # the diaphragm moves most behind the middle, and little in the midline between its domes
    domes = 0.55 + 0.45 * (1 - (across.abs() / 0.55 - 1).square()).clamp(0, 1)
    uneven = draw.uniform(-0.2, 0.2)
    u_z = -breath.diaphragm * along * domes * (0.8 + 0.25 * back) * (1 + uneven * across)
    waist = (1.1 * down.clamp_min(0) * (1.5 - down.clamp(0, 1.4))).clamp_min(0) / 0.62 + 0.15
    u_y = -breath.front * (1 - back).clamp(0, 1.2) ** 1.3 * waist * (1 - 0.3 * across**2)
    u_x = breath.sides * across * waist * (1 - 0.2 * back)
    field = torch.stack([c.expand(grid.shape) for c in (u_x, u_y, u_z)])
    if breath.random > 0:
        field = field + random_field(draw, grid, breath.random, device, (70.0, 40.0, 25.0), False)
    if check:
        field = without_folds(field, grid)
    return slide(field, lungs, breath.slide, check=check)


def slide(
    field: Tensor, lungs: Volume, strength: float, width: float = 5.0, check: bool = True
) -> Tensor:
    """Hold the body outside the lungs back, except across the wall: the lung slides along it.

    Outside, the part of the motion tangential to the lung's surface is reduced by ``strength`` (0..1)
    within ``width`` mm of the surface. The jump is tangential, so the volume is kept; where the grid
    cannot resolve it without a fold, it is made weaker.
    """
    if strength <= 0:
        return field
    grid = lungs.grid
    mask = lungs.data.float()[None, None]
    # the direction across the wall: near it from a narrow blur, far from it from a wide one
    near, far = (gaussian(mask, grid.in_voxels(mm)) for mm in (8.0, 28.0))
    potential = (near + 0.5 * far)[0, 0]
    normal = torch.stack(
        [
            torch.gradient(potential, dim=2 - axis, spacing=s)[0]
            for axis, s in enumerate(grid.spacing)
        ]
    )
    normal = normal / (normal.square().sum(0).sqrt() + 1e-4)
    along = field - (field * normal).sum(0) * normal
    outside = 1 - gaussian(mask, grid.in_voxels(max(width / 2, 0.8 * max(grid.spacing))))[0, 0]
    # only towards the wall of the chest: heart and diaphragm go with the lung
    x, y, _ = axis_positions(grid, field.device)
    low, high = lung_box(lungs)
    across = ((2 * (x - low[0]) / (high[0] - low[0]) - 1).abs() - 0.35).clamp(0, 0.3) / 0.3
    behind = ((y - low[1]) / (high[1] - low[1]) - 0.55).clamp(0, 0.25)[:, None] / 0.25
    wall = torch.maximum(across.expand(len(y), -1), behind.expand(-1, len(x)))
    held = outside * wall * along
    for part in (1.0, 0.6, 0.3):
        tried = field - strength * part * held
        if not check or least_determinant(tried, grid) > LEAST_DETERMINANT:
            return tried
    log.info("the lungs cannot slide without a fold on this grid: left smooth")
    return field


def lung_box(lungs: Volume) -> tuple[Tensor, Tensor]:
    """World coordinates (x, y, z) of the lowest and highest voxel centre of a mask, mm.

    On a grid that is not along the world's axes, of the box of voxels about the mask.

    Raises:
        ValueError: the mask is empty.
    """
    found = extent(lungs.data)
    if found is None:
        raise ValueError("the lung mask is empty")
    ends = [(first, end - 1) for first, end in reversed(found)]
    corners = lungs.grid.to_world(list(product(*ends)))
    low, high = (torch.as_tensor(v, dtype=torch.float32) for v in (corners.min(0), corners.max(0)))
    return low, high
