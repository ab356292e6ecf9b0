"""Folding and the spread of local volume change."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Folding:
    """Of the Jacobian determinant over a region: folded means <= 0; nothing is clipped."""

    voxels: int
    percent: float
    min: float
    max: float
    mean: float
    #: standard deviation of log(det) over the voxels that are not folded
    sd_log: float


def folding(jacobian: Tensor, region: Tensor) -> Folding:
    """Count the folded voxels of ``region`` (bool) in a map of determinants of the same shape.

    Raises:
        ValueError: the region is empty.
    """
    values = jacobian[region].double()
    if values.numel() == 0:
        raise ValueError("folding is counted in a region of at least one voxel")
    folded = values <= 0
    return Folding(
        voxels=int(folded.sum()),
        percent=100.0 * float(folded.double().mean()),
        min=float(values.min()),
        max=float(values.max()),
        mean=float(values.mean()),
        sd_log=float(values[~folded].log().std(correction=0)) if not folded.all() else float("nan"),
    )
