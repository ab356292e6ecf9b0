"""The two ways in which a NIfTI header says where its image lies: quaternion (qform) and matrix (sform)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ..space.grid import Float


def quaternion_form(quaternion: Sequence[float], pixdim: Sequence[float]) -> Float:
    """The qform as a matrix, 3x4, from indices (i, j, k) to RAS mm.

    Args:
        quaternion: b, c, d, and the offset of the first voxel along x, y, z, as they stand in the header.
        pixdim: the handedness (-1 or else 1), and the spacing along i, j, k, mm.
    """
    b, c, d, *offset = (float(v) for v in quaternion)
    a = np.sqrt(max(1.0 - b * b - c * c - d * d, 0.0))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    steps = np.array(pixdim[1:4], dtype=np.float64)
    steps[2] *= -1.0 if pixdim[0] < 0 else 1.0
    return np.column_stack([turn * steps, offset])


def apart(first: Float, second: Float, shape: Sequence[int]) -> float:
    """How far two matrices put the corners of an image of ``shape`` (i, j, k) apart, at most, mm."""
    corners = np.array(list(product(*((0, n - 1) for n in shape[:3]))), dtype=np.float64)
    difference = first - second
    moved = corners @ difference[:, :3].T + difference[:, 3]
    return float(np.linalg.norm(moved, axis=1).max())
