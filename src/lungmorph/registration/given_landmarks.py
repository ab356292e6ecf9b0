"""Whether landmarks that are given with two scans can be theirs."""

from __future__ import annotations

import logging

from ..errors import InputError
from ..space import Grid, Landmarks

log = logging.getLogger(__name__)

#: With fewer than so many of them inside their scan, landmarks are of another frame, unit or patient.
LEAST_INSIDE = 0.5


def check_landmarks(landmarks: tuple[Landmarks, Landmarks], fixed: Grid, moving: Grid) -> None:
    """Refuse landmarks whose error would mean nothing; warn where some lie outside their scan.

    Args:
        landmarks: (fixed, moving), LPS mm.
        fixed, moving: grids of the scans.

    Raises:
        InputError: not as many of one scan as of the other; most of them outside.
    """
    if len(landmarks[0]) != len(landmarks[1]):
        raise InputError(
            "landmarks",
            expected="as many fixed as moving points",
            found=f"{len(landmarks[0])} and {len(landmarks[1])}",
        )
    for name, points, grid in zip(("fixed", "moving"), landmarks, (fixed, moving), strict=True):
        inside = grid.contains(points.points)
        if len(inside) == 0 or inside.all():
            continue
        wrong = InputError(
            "landmarks",
            expected=f"points in mm (LPS) inside the {name} scan",
            found=f"{int((~inside).sum())} of {len(inside)} outside",
            do="voxel indices, another frame (RAS) and the points of the other scan look like this",
        )
        if inside.mean() < LEAST_INSIDE:
            raise wrong
        log.warning("%s", wrong)
