"""Warping, composing, integrating and inverting displacement fields.

Convention of this whole package: a displacement field is a tensor (B, 3, D, H, W) in *voxels* of
its own lattice, channels ordered (x, y, z), that is along (W, H, D). The point at voxel p maps to
p + u(p): fields pull, so ``warp(moving, u)[p] = moving[p + u(p)]``. Outside its lattice a field
keeps the value of the nearest voxel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .sample import half_widths, identity_points, sample, to_normalized


def warp(
    image: Tensor, displacement: Tensor, mode: str = "bilinear", padding: str = "border"
) -> Tensor:
    """``image`` (B, C, D, H, W) read at p + u(p), u = ``displacement`` (B, 3, D, H, W) in voxels.

    Both share one lattice. Returns (B, C, D, H, W).
    """
    shape = (displacement.shape[2], displacement.shape[3], displacement.shape[4])
    points = identity_points(shape, displacement) + to_normalized(displacement)
    return sample(image, points, mode=mode, padding=padding)


def compose(first: Tensor, then: Tensor) -> Tensor:
    """The field of "``first``, then ``then``": u(p) = first(p) + then(p + first(p)), voxels.

    With pulled images: ``warp(warp(m, then), first) == warp(m, compose(first, then))`` up to
    interpolation.
    """
    return first + warp(then, first)


def integrate(velocity: Tensor, steps: int = 7) -> Tensor:
    """Exponential of a stationary velocity field by scaling and squaring.

    Args:
        velocity: (B, 3, D, H, W), voxels per unit time.
        steps: squarings; the field is first divided by 2**steps.

    Returns:
        Displacement at time 1, (B, 3, D, H, W), voxels (Arsigny et al. 2006).
    """
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = compose(displacement, displacement)
    return displacement


def length(displacement: Tensor) -> Tensor:
    """Euclidean length of the vectors of a field, (B, 3, D, H, W) -> (B, 1, D, H, W), same unit.

    On the CPU five times as fast as ``torch.linalg.vector_norm`` over so short an axis.
    """
    return squared_length(displacement).sqrt_()


def squared_length(displacement: Tensor) -> Tensor:
    """The square of :func:`length`, (B, 3, D, H, W) -> (B, 1, D, H, W)."""
    x, y, z = displacement.unbind(dim=1)
    return torch.addcmul(torch.addcmul(x * x, y, y), z, z)[:, None]


def invert(
    displacement: Tensor, iterations: int = 60, tolerance: float = 1e-3
) -> tuple[Tensor, Tensor]:
    """The inverse field by damped fixed point: v(q) = -u(q + v(q)) (Chen et al. 2008).

    The plain iteration diverges where u stretches by more than its own length; there the step of the
    voxel is halved until its residual falls.

    Args:
        displacement: u, (B, 3, D, H, W), voxels.
        iterations: most iterations.
        tolerance: stop once all but one voxel in ten thousand are missed by less, voxels.

    Returns:
        v and the residual v(q) + u(q + v(q)), both (B, 3, D, H, W) in voxels.
        A residual that stays large marks places where no inverse was found. Where u folds there are
        several, and one of them may be found: look for folds with the Jacobian, not here.
    """
    found = [_inverted(field, iterations, tolerance) for field in displacement]
    return torch.stack([inverse for inverse, _ in found]), torch.stack([miss for _, miss in found])


def _inverted(field: Tensor, iterations: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """:func:`invert` of one field (3, D, H, W). Points that are done are not looked at again."""
    shape = (field.shape[1], field.shape[2], field.shape[3])
    home = identity_points(shape, field).reshape(-1, 3)
    half = half_widths(shape, field)

    def missed(at: Tensor, inverse: Tensor) -> Tensor:
        points = at + inverse.T / half
        return inverse + sample(field[None], points[None, :, None, None])[0, :, :, 0, 0]

    inverse = -field.reshape(3, -1)
    miss = missed(home, inverse)
    residual = length(miss[None])[0, 0]
    step = torch.ones_like(residual)
    for _ in range(iterations):
        if int((residual > tolerance).sum()) <= 1e-4 * len(residual):
            break
        # a little further than asked, for the points that wait for others
        left = (residual > tolerance / 10).nonzero()[:, 0]
        trial = inverse[:, left] - step[left] * miss[:, left]
        trial_miss = missed(home[left], trial)
        trial_residual = length(trial_miss[None])[0, 0]
        better = trial_residual < residual[left]
        step[left] = torch.where(better, step[left], step[left] / 2)
        inverse[:, left] = torch.where(better, trial, inverse[:, left])
        miss[:, left] = torch.where(better, trial_miss, miss[:, left])
        residual[left] = torch.where(better, trial_residual, residual[left])
    return inverse.reshape(field.shape), miss.reshape(field.shape)
