"""The affine part of a motion, and small random affine errors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..space import Affine
from ..space.grid import Float
from .randomness import Draw


def fitted_affine(points: Tensor, displacement: Tensor) -> Affine:
    """The least-squares affine of x -> x + u(x).

    Args:
        points, displacement: (N, 3), mm, N >= 4.
    """
    center = points.mean(dim=0)
    around = (points - center).double()
    design = torch.cat((around, torch.ones_like(around[:, :1])), dim=1)
    found = torch.linalg.solve(design.T @ design, design.T @ displacement.double()).cpu().numpy()
    linear = np.eye(3) + found[:3].T
    middle = center.double().cpu().numpy()
    return Affine.from_parts(linear, middle + found[3] - linear @ middle)


def random_affine(draw: Draw, center: Float, shift: float, scale: float, degrees: float) -> Affine:
    """Up to +-shift mm, +-scale (a share) and +-degrees along and about every axis, about ``center``."""
    angles = np.radians([draw.uniform(-degrees, degrees) for _ in range(3)])
    linear = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        a, b = [i for i in range(3) if i != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        linear = turn @ linear
    linear = linear @ np.diag([1 + draw.uniform(-scale, scale) for _ in range(3)])
    moved = np.array([draw.uniform(-shift, shift) for _ in range(3)])
    return Affine.from_parts(linear, center + moved - linear @ center)
