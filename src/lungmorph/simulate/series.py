"""A breath in ten phases, as a 4D CT shows it, with the exact motion between any two of them.

The way out of the lungs is not the way in: tissue runs through a narrow loop (Seppenwoolde et al.
2002). Here phase p is the anatomy seen at x + a(p) u(x) + h(p) w(x), where u is the whole breath, w a
field across it, a goes from 0 to 1 and back, and h is zero at both ends of the breath.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
import torch
from torch import Tensor

from ..ops import gaussian
from ..space import DisplacementField, Grid, Landmarks, Volume
from ..space.sampling import sample_world, world_points
from .anatomy import Anatomy, acquire
from .breathing import random_field, without_folds
from .pairs import moved, vessel_points
from .randomness import Draw

#: T00 is the end of inhale, T50 the end of exhale.
PHASES = tuple(f"T{percent:02d}" for percent in range(0, 100, 10))
#: A landmark that cannot be followed as closely as this through all phases is left out, mm.
CLOSE_MM = 0.005


@dataclass(frozen=True)
class SimulatedSeries:
    """A simulated 4D CT and the truth.

    Attributes:
        phases: scans T00 to T90, with independent noise, on one grid.
        lungs: their masks.
        landmarks: the same points of the body in every phase, LPS mm; ``frame`` is the phase's name. They
            lie at vessels of T00.
        breath: u, the motion from T50 to the anatomy, which is T00.
        across: w, mm.
    """

    phases: tuple[Volume, ...]
    lungs: tuple[Volume, ...]
    landmarks: tuple[Landmarks, ...]
    breath: DisplacementField
    across: DisplacementField

    def to_anatomy(self, phase: str) -> DisplacementField:
        """Where every point of a phase is in the anatomy, mm."""
        return _phase_field(self.breath, self.across, phase)

    def truth(self, a: str, b: str) -> DisplacementField:
        """From points of phase ``a`` to those of phase ``b``, at every voxel, mm.

        Both go through the anatomy, and b's part of the way is inverted point by point. Near the rim of
        the grid, where what is seen in a lies outside of b, fields are continued by their edge.
        """
        first, then = self.to_anatomy(a), self.to_anatomy(b)
        points = world_points(first.grid, device=first.data.device)
        anatomy = points + first.data.movedim(0, -1)
        found, _ = inverse_at(then, anatomy)
        return DisplacementField((found - points).movedim(-1, 0).contiguous(), first.grid)


def simulate_series(
    anatomy: Anatomy,
    displacement: Tensor | DisplacementField,
    seed: int,
    *,
    hysteresis_mm: float = 2.5,
    noise_hu: float = 20.0,
    blur_mm: float = 0.5,
    slice_thickness: float | None = None,
    conserve_mass: bool = True,
    landmarks: int = 300,
    progress: Callable[[str, float], None] | None = None,
) -> SimulatedSeries:
    """Let an anatomy breathe: it is the end of inhale, and T50(x) = anatomy(x + u(x)).

    Args:
        displacement: u, mm along the world axes, (3, D, H, W) on the anatomy's grid, or a field on it.
        seed: of noise, landmarks and the loop.
        hysteresis_mm: about the largest distance of the path from its middle.
        noise_hu, blur_mm, slice_thickness, conserve_mass: as in :func:`simulate_pair`.
        landmarks: how many at most.
        progress: told (what, share done).
    """
    grid = anatomy.ct.grid
    draw = Draw(seed, 11)
    if not isinstance(displacement, DisplacementField):
        displacement = DisplacementField(displacement, grid)
    across = DisplacementField(_across(draw, anatomy.lungs, hysteresis_mm), grid)
    scans, lungs, ways = [], [], []
    points = None
    for number, phase in enumerate(PHASES):
        if progress:
            progress(f"phase {phase}", number / len(PHASES))
        field = _phase_field(displacement, across, phase)
        state = moved(anatomy, field, conserve_mass)
        if points is None:
            points = vessel_points(state.ct, state.lungs, draw, landmarks).points
            points = field.apply(points)
        scans.append(acquire(state.ct, draw, noise_hu, blur_mm, slice_thickness))
        lungs.append(state.lungs)
        ways.append(inverse_at(field, torch.as_tensor(points, device=field.data.device)))
    found = np.stack([way.numpy(force=True) for way, _ in ways])
    kept = np.stack([miss.numpy(force=True) < CLOSE_MM for _, miss in ways]).all(axis=0)
    kept &= np.stack([grid.contains(row) for row in found]).all(axis=0)
    return SimulatedSeries(
        tuple(scans),
        tuple(lungs),
        tuple(Landmarks(row[kept], phase) for row, phase in zip(found, PHASES, strict=True)),
        displacement,
        across,
    )


def course(phase: str) -> tuple[float, float]:
    """(a, h) of a phase: how far out the breath is, and how far off its middle path (-1..1).

    Raises:
        ValueError: no such phase.
    """
    if phase not in PHASES:
        raise ValueError(f"the phases are {', '.join(PHASES)}, not {phase!r}")
    turn = 2 * pi * PHASES.index(phase) / len(PHASES)
    # more time is spent near the end of exhale than near the end of inhale (Lujan et al. 1999)
    out = 1 - cos(turn / 2) ** 4
    return out, sin(turn) if phase not in ("T00", "T50") else 0.0


def inverse_at(
    field: DisplacementField, points: Tensor, iterations: int = 80, tolerance: float = 1e-3
) -> tuple[Tensor, Tensor]:
    """Where the mapping x -> x + u(x) comes from: x for every mapped point, by damped fixed point.

    Args:
        field: u, without folds; continued by its edge.
        points: (..., 3), LPS mm, float32 or float64.
        tolerance: mm; iterated until every point is missed by less, or ``iterations`` are done.

    Returns:
        x (..., 3), and by how much x + u(x) misses the point (...), mm.
    """
    if points.numel() == 0:
        return points.clone(), points.new_zeros(points.shape[:-1])
    target = points.reshape(1, 1, -1, 3)
    at, step = target.clone(), torch.ones_like(target[..., :1])
    miss = _off(field, at, target)
    length = miss.norm(dim=-1, keepdim=True)
    for _ in range(iterations):
        if float(length.max()) < tolerance:
            break
        tried = at - step * miss
        tried_miss = _off(field, tried, target)
        tried_length = tried_miss.norm(dim=-1, keepdim=True)
        better = tried_length < length
        at, miss = torch.where(better, tried, at), torch.where(better, tried_miss, miss)
        length = torch.where(better, tried_length, length)
        # a step that overshot is halved; one that worked may grow again
        step = torch.where(better, (1.5 * step).clamp_max(1), step / 2)
    return at.reshape(points.shape), length.reshape(points.shape[:-1])


def _off(field: DisplacementField, at: Tensor, target: Tensor) -> Tensor:
    return at + sample_world(field.data, field.grid, at).movedim(0, -1) - target


def _across(draw: Draw, lungs: Volume, most: float) -> Tensor:
    """A smooth field in and near the lungs, at most ``most`` mm long."""
    grid = lungs.grid
    field = random_field(draw, grid, 1.0, lungs.data.device, (110.0, 60.0), check=False)
    x, y, z = (15.0 / s for s in grid.spacing)
    field = field * gaussian(lungs.data.float()[None, None], (x, y, z))[0]
    longest = float(field.square().sum(0).max()) ** 0.5
    return field * (most / max(longest, 1e-6))


def _phase_field(
    breath: DisplacementField, across: DisplacementField, phase: str
) -> DisplacementField:
    out, off = course(phase)
    field: Tensor = out * breath.data + off * across.data
    grid: Grid = breath.grid
    return DisplacementField(without_folds(field, grid) if phase != "T00" else field, grid)
