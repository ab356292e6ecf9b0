"""Refinement on the pair itself: variational, coarse to fine, without a network.

At every scale a cubic B-spline of control points is moved by damped Gauss-Newton steps. The data term
is the squared difference of the two images after *local normalisation* (each minus its local mean,
over its local deviation), which is local correlation (LNCC) in a form that has residuals: contrast,
offset and the density change of a breathing lung drop out, and a Gauss-Newton step is available, so
that ten steps do what a hundred of gradient descent do. Residuals count by their magnitude rather than
its square (reweighted), so that a nodule that grew does not drag its surroundings.

The regulariser is the bending energy of the displacement (Rueckert et al. 1999): breathing stretches the lung evenly over
wide parts, and a stretch costs nothing. On fine scales its weight is that of the posterior mode: the mean square of what
the images leave unexplained, times the volume within which that is alike (so much counts as one observation), over the mean
square of the bending thereabouts. So noisy scans are smoothed more, and those whose noise is in lumps, and where
the lung moves in a complicated way, above the diaphragm or between lobes that slide, it is smoothed less.

Nothing outlives a call: no weights are touched, and the next pair starts fresh.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from ..ops.local import box_mean, normalize_locally
from ..ops.spline import expand, gather
from ..ops.warp import length
from ..space import Affine
from ..space.sampling import sample_carried
from ..threads import one_thread, side_by_side
from .bending import DIAGONAL, BendingForce, bending
from .blocks import FLAT_HU, Block, blocks_of
from .compared import lung_in_either
from .control import ControlField, control_grid
from .displacement import Displacement, nothing
from .prepare import Prepared
from .scale import Scale, ScaledPair, in_voxels, scaled

log = logging.getLogger(__name__)

#: Of the bending energy, times mean square residual and the volume of one observation over mean square bending; its
#: limits, mm^2; and the power of that volume, below 1 for not all that neighbours have in common is noise.
PRIOR, WEIGHTS, COMMON = 9e-4, (0.2, 300.0), 2 / 3
#: Neighbours whose residuals are more alike than this tell of what is not registered yet.
MOST_ALIKE = 0.9
#: Share of the whole lungs in the mean square bending of a place.
EVEN_BENDING = 0.1
#: So far around it the edge of the lung counts as lung, mm.
EDGE_MM = 3.0


def refine(
    pair: Prepared,
    affine: Affine,
    scales: Sequence[Scale],
    start: Displacement = nothing,
    progress: Callable[[str], None] | None = None,
) -> ControlField:
    """Displacement v with T(x) = affine(x) + v(x), from the fixed to the moving image.

    Args:
        pair: both scans; what is lung in either is compared, within ``pair.region``.
        affine: pre-alignment, fixed to moving points.
        scales: coarse to fine, at least one.
        start: v to begin with.
        progress: called before every step with what is being done.
    """
    found = start
    for scale in scales:
        field = refine_at(scaled(pair, affine, scale), found, progress)
        found = field.on
    return field


def refine_at(
    images: ScaledPair, start: Displacement, progress: Callable[[str], None] | None = None
) -> ControlField:
    """:func:`refine` at one scale."""
    scale = images.scale
    control = control_grid(images.pair.region, scale.control)
    field = ControlField.fitted(control, start(control))
    problem = _Problem(images, field)
    for step in range(scale.steps):
        if progress:
            progress(f"refine {scale.spacing:g} mm, step {step + 1}/{scale.steps}")
        problem.step()
    return field


def unexplained(images: ScaledPair, field: ControlField) -> float:
    """What the images of a scale leave unexplained: their mean absolute difference, normalised, in the fixed lungs.

    What holds no air in the fixed scan is left out: there everything looks alike.

    Args:
        images: of the scale at which :func:`refine_at` ended.
        field: what it found.
    """
    return _Problem(images, field).difference()


class _Problem:
    """The energy of one scale, and a Gauss-Newton step down it."""

    def __init__(self, images: ScaledPair, field: ControlField) -> None:
        self.images, self.scale = images, images.scale
        self.grid, self.share, self.radius = images.grid, images.share, images.radius
        self.field = field
        self.basis = field.weights(self.grid)
        #: what the images leave unexplained, once that has been looked at; asked for where the pair weighs the bending itself
        self.evidence: float | None = None
        self.asked = self.scale.bending is None
        inside = images.pair.fixed_lungs.resample(field.grid).data > 0
        bends = bending(field.coefficients, field.grid.spacing[0])
        self.bends = float((bends * inside).sum()) / max(int(inside.sum()), 1)

    @cached_property
    def mask(self) -> Tensor:
        """Where the images are compared, 0 or 1; with the field as it is before the first step."""
        images = self.images
        lungs = lung_in_either(images.pair, images.affine, self.field.on, self.grid, self.share)
        # the edge of the lung belongs to the lung: half its contrast lies outside the mask
        wide = box_mean(lungs[None, None], in_voxels(self.grid, EDGE_MM))[0, 0]
        return (wide > 0.1).float()

    @cached_property
    def blocks(self) -> list[Block]:
        """The parts of the mask that are worked on one by one."""
        return blocks_of(self.mask)

    def _unexplained(self, block: Block, residual: Tensor) -> Tensor:
        """Sum over the lung of the squares of what is left in a block, and of its products with its neighbours along x, y, z.

        Of the fixed lung: what holds no air in the fixed scan looks like nothing in the other.
        """
        left = residual * self.share[block]
        pairs = [
            left.narrow(dim, 0, left.shape[dim] - 1) * left.narrow(dim, 1, left.shape[dim] - 1)
            for dim in (2, 1, 0)
        ]
        return torch.stack([left.square().sum(), *(pair.sum() for pair in pairs)])

    def _evidence(self, found: Sequence[Tensor]) -> float:
        """Mean square of what the images leave unexplained, times the volume of one observation.

        Args:
            found: by :meth:`_unexplained`, of all blocks.
        """
        square, *alike = torch.stack(list(found)).sum(dim=0).tolist()
        # what falls by a factor from neighbour to neighbour makes (1 + factor) / (1 - factor) of them one observation
        factors = [min(max(value / max(square, 1e-12), 0.0), MOST_ALIKE) for value in alike]
        x, y, z = (
            step * (1 + f) / (1 - f) for step, f in zip(self.grid.spacing, factors, strict=True)
        )
        return square / max(float(self.share.sum()), 1.0) * (x * y * z) ** COMMON

    def weight(self) -> Tensor:
        """Of the bending energy at every control point (D, H, W), mm^2."""
        if self.scale.bending is not None:
            return torch.full(self.field.grid.shape, self.scale.bending)
        bends = bending(self.field.coefficients, self.field.grid.spacing[0])
        near = box_mean(box_mean(bends[None, None], 1), 1)[0, 0]
        expected = EVEN_BENDING * self.bends + (1 - EVEN_BENDING) * near
        assert self.evidence is not None, "known from the first look at the images on"
        return (PRIOR * self.evidence / (expected + 1e-12)).clamp(*WEIGHTS)

    def step(self) -> None:
        """One damped Gauss-Newton step."""
        # order: xx xy xz xr yy yz yr zz zr
        xx, xy, xz, xr, yy, yz, yr, zz, zr = self.look() * self.grid.voxel_volume
        matrix = torch.stack([xx, xy, xz, yy, yz, zz])
        right = torch.stack([xr, yr, zr])
        with one_thread():
            update = self._solve(matrix, right)
        longest = length(update[None])[0]
        limit = 1.5 * self.scale.spacing
        update = update * (limit / longest.clamp_min(limit))
        self.field.coefficients = self.field.coefficients + update
        log.debug("%g mm: step mean %.3f mm", self.scale.spacing, float(longest.mean()))

    def look(self) -> Tensor:
        """Products of gradients and residual at the control points (9, d, h, w); what is left unexplained, the first time.

        Block by block: what is computed stays near the processor.
        """
        found = side_by_side(self._normal_equations, self.blocks)
        if self.asked:
            self.evidence = self._evidence([left for _, left in found if left is not None])
            self.asked = False
        return torch.stack([products for products, _ in found]).sum(dim=0)

    def difference(self) -> float:
        """Mean absolute difference of the images in the fixed lungs."""

        def apart(block: Block) -> float:
            return float((self.share[block] * self._seen(block)[2].abs()).sum())

        return sum(side_by_side(apart, blocks_of(self.share))) / max(float(self.share.sum()), 1.0)

    def _seen(self, block: Block) -> tuple[Tensor, Block, Tensor]:
        """Both images in a block as the field has them.

        Returns:
            Their mean (normalised) in the block and around it, where the block lies in that, and their difference in
            the block, fixed minus warped.
        """
        # the windows of the voxels and the differences to their neighbours reach beyond them
        wide = tuple(
            slice(max(0, part.start - half - 1), min(n, part.stop + half + 1))
            for part, n, half in zip(block, self.grid.shape, self.radius[::-1], strict=True)
        )
        z, y, x = (
            slice(part.start - around.start, part.stop - around.start)
            for part, around in zip(block, wide, strict=True)
        )
        around = self.grid.crop(
            [part.start for part in wide[::-1]], [part.stop - part.start for part in wide[::-1]]
        )
        basis = [weights[part] for weights, part in zip(self.basis, wide, strict=True)]
        displacement = expand(self.field.coefficients, (basis[0], basis[1], basis[2]))
        images, how = self.images, "cubic" if self.scale.cubic else "linear"
        matrix = images.affine.matrix
        warped = sample_carried(images.values, images.moving, around, matrix, displacement, how)
        warped = normalize_locally(warped[None], self.radius, FLAT_HU)[0, 0]
        fixed = images.fixed
        return (fixed[wide] + warped) / 2, (z, y, x), fixed[block] - warped[z, y, x]

    def _normal_equations(self, block: Block) -> tuple[Tensor, Tensor | None]:
        """Products of gradients and residual in a block, gathered at the control points: (9, d, h, w); what is left, if asked."""
        # the mean of both gradients: second order at the price of first (Malis' ESM)
        mean, inner, residual = self._seen(block)
        gradient = [
            torch.gradient(mean, dim=2 - axis)[0][inner] / step
            for axis, step in enumerate(self.grid.spacing)
        ]
        weight = self.mask[block] / (residual.abs() + 0.5)
        products = []
        for a in range(3):
            left = gradient[a] * weight
            products += [left * gradient[b] for b in range(a, 3)]
            products.append(left * residual)
        z, y, x = (weights[part] for weights, part in zip(self.basis, block, strict=True))
        unexplained = self._unexplained(block, residual) if self.asked else None
        return gather(torch.stack(products), (z, y, x)), unexplained

    def _solve(self, matrix: Tensor, right: Tensor) -> Tensor:
        """(M + weight * B) update = right - weight * B v, by conjugate gradients; B the Hessian of the bending energy."""
        held = self.weight() / self.field.grid.spacing[0]
        bend = BendingForce(held)
        xx, xy, xz, yy, yz, zz = matrix
        rows = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz]).unflatten(0, (3, 3))

        def apply(u: Tensor) -> Tensor:
            return bend(u).add_((rows * u).sum(dim=1))

        precondition = 1 / (torch.stack([xx, yy, zz]) + DIAGONAL * held + 1e-6)
        u = torch.zeros_like(right)
        r = right - bend(self.field.coefficients)
        p = z = precondition * r
        rz = start = torch.dot(r.flatten(), z.flatten())
        for _ in range(30):
            ap = apply(p)
            alpha = rz / torch.dot(p.flatten(), ap.flatten()).clamp_min(1e-20)
            u.addcmul_(alpha, p)
            r.addcmul_(alpha, ap, value=-1)
            z = precondition * r
            new = torch.dot(r.flatten(), z.flatten())
            if new < 1e-3 * start:
                break
            p = torch.addcmul(z, new / rz, p)
            rz = new
        return u
