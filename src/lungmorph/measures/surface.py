"""How far apart the surfaces of two masks are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..space.grid import Float


@dataclass(frozen=True)
class SurfaceDistance:
    """Of two surfaces, both ways, mm.

    Attributes:
        mean: over all points of both surfaces (mean distance to agreement of AAPM TG-132).
        p95: the larger of the two 95th percentiles (95 % Hausdorff distance).
        max: Hausdorff distance.
    """

    mean: float
    p95: float
    max: float


def surface_distance(
    a: Tensor, b: Tensor, spacing: tuple[float, float, float]
) -> SurfaceDistance | None:
    """Distances in mm between the surfaces of two bool masks (D, H, W) on one grid; None if one is empty.

    The surface of a mask are the centres of its voxels that have a neighbour (of six) outside the mask
    or outside the image; the distance of a surface point is that to the nearest point of the other.

    Args:
        a, b: (D, H, W), bool.
        spacing: of the grid along (x, y, z), mm. Distances do not depend on where its axes run.
    """
    first, second = (_surface(mask.numpy()) * np.asarray(spacing) for mask in (a, b))
    if len(first) == 0 or len(second) == 0:
        return None
    # the same distances as an exact distance transform, at a tenth of its time
    there, back = _nearest(first, second), _nearest(second, first)
    return SurfaceDistance(
        mean=float((there.sum() + back.sum()) / (len(there) + len(back))),
        p95=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        max=float(max(there.max(), back.max())),
    )


def _surface(mask: NDArray[np.bool_]) -> Float:
    """(N, 3) indices (i, j, k) of surface voxels."""
    inner = mask.copy()
    for axis in range(3):
        here, ahead = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] &= ahead[:-1]
        here[:-1] &= ahead[1:]
        here[0] = here[-1] = False
    return np.argwhere(mask & ~inner)[:, ::-1].astype(np.float64)


def _nearest(points: Float, others: Float) -> Float:
    """(N,) distance of every point to the nearest of the others."""
    # loaded here: a registration that writes its transform alone measures nothing, and need not wait for it
    from scipy.spatial import cKDTree

    found: Float = cKDTree(others).query(points)[0]
    return found
