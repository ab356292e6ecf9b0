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


@dataclass(frozen=True)
class ClippedJacobian:
    """The Jacobian as the evaluation of the Learn2Reg challenge counts it.

    Attributes:
        sd_log: standard deviation of log(clip(det + 3, 1e-9, 1e9)). Smaller than :attr:`Folding.sd_log`
            of the same field, and blind to folds: a determinant of -1 counts as log 2.
        percent: of voxels that the clip touches (det <= -3). The challenge counts its "foldings" after
            the clip, where none can be left.
    """

    sd_log: float
    percent: float


def clipped_jacobian(jacobian: Tensor, region: Tensor | None = None) -> ClippedJacobian:
    """Learn2Reg's figures from a map of determinants, over ``region`` (bool, same shape) or all of it.

    Central differences of the displacement, as there; in units of voxels or mm the determinant is
    the same. The challenge leaves out the two outer voxels of the image, and masks the lungs for some lists
    of pairs (NLST; LungCT, test) and not for others (LungCT, validation).

    Source: https://github.com/MDL-UzL/L2R, evaluation/evaluation.py and utils.py at commit 8847509
    (why 3 is added is asked in its issues 7 and 8, unanswered).

    Raises:
        ValueError: the region is empty.
    """
    values = jacobian.flatten() if region is None else jacobian[region]
    if values.numel() == 0:
        raise ValueError("folding is counted in a region of at least one voxel")
    shifted = values + 3
    return ClippedJacobian(
        sd_log=float(shifted.clamp(1e-9, 1e9).log().double().std(correction=0)),
        percent=100.0 * int((shifted <= 1e-9).sum()) / values.numel(),
    )
