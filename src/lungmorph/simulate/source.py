"""Training pairs at the network's working lattice, made while training goes on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import exp, log

import numpy as np
import torch
from torch import Tensor

from ..ops import gaussian, invert, kept_above, length, sample
from ..space import Affine, Grid, Volume
from ..space.sampling import matrix_times_points, world_points
from .affine import fitted_affine, random_affine
from .anatomy import Anatomy, acquire, thorax
from .breathing import Breath, breathing_field, lung_box, random_field, slide, without_folds
from .disease import collapse as collapse_of
from .pairs import density_of, with_density
from .randomness import Draw
from .real_motion import Motion


class TrainingPairs:
    """Pair number ``step`` of an endless row, the same for the same seed, whatever came before.

    Args:
        seed: of everything.
        spacing_mm: of the working lattice.
        anatomies: real patients; they are resampled once. Keep those of validation and test out.
        motions: real motions, likewise.
        procedural: share of invented patients (all, if there are no real ones).
        pool: invented patients at hand at a time.
        renew_every: steps after which one of them is replaced by a new one.
        prealigned: share of pairs whose affine part is removed up to a small error, as pre-alignment does.
        mean_displacement: range of the mean displacement in the lung that is asked for, mm; one pair
            in eight goes up to 1.45 times the upper end.
        sizes: least and largest size of the lattice along an axis; sizes are multiples of 8.
        collapse: share of pairs in which a part of a lung holds air in one scan only. The other pairs are
            the same whatever the share.
        device: where the pairs are made.
    """

    def __init__(
        self,
        seed: int,
        spacing_mm: float = 4.0,
        anatomies: Sequence[Anatomy] = (),
        motions: Sequence[Motion] = (),
        *,
        procedural: float = 0.6,
        pool: int = 24,
        renew_every: int = 10,
        prealigned: float = 0.75,
        mean_displacement: tuple[float, float] = (2.0, 14.0),
        sizes: tuple[int, int] = (56, 88),
        collapse: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.seed, self.spacing, self.device = seed, spacing_mm, device
        self.real = [_at_spacing(a, spacing_mm, device) for a in anatomies]
        self.motions = list(motions)
        self.procedural = procedural if self.real else 1.0
        self.pool, self.renew_every = pool, renew_every
        self.prealigned, self.mean, self.sizes = prealigned, mean_displacement, sizes
        self.collapse = collapse
        self._made: OrderedDict[int, Anatomy] = OrderedDict()

    def pair(self, step: int) -> dict[str, Tensor]:
        """The pair of a training step.

        Returns:
            ``fixed``, ``moving`` (1, 1, D, H, W) in HU; ``fixed_mask``, ``moving_mask`` (1, 1, D, H, W)
            bool, the lungs; ``displacement`` (1, 3, D, H, W), voxels, channels (x, y, z), fixed to moving;
            ``stretch``, the volume change of the pre-alignment through which the moving image is seen.
        """
        draw = Draw(self.seed, step, 4)
        anatomy = self._anatomy(draw, step)
        grid = self._lattice(draw, anatomy)
        lungs = _nearest(anatomy.lungs, grid)
        field = self._motion(draw, grid, lungs)
        points = world_points(grid, device=self.device)
        # of the lungs' voxels; looked for once, as a device has to be waited for
        within = lungs.data.reshape(-1).nonzero()[:, 0]
        inside = points.reshape(-1, 3)[within]
        affine = fitted_affine(inside, _at(field, within).T)
        prealigned = draw.chance(self.prealigned)
        around = inside.mean(dim=0).double().cpu().numpy()
        rest = field
        if prealigned:
            rest = field + points.movedim(-1, 0)
            rest = rest - matrix_times_points(affine.matrix, points).movedim(-1, 0)
        field = _held(field * self._amplitude(draw, _at(rest, within)), grid)
        mapped = points + field.movedim(0, -1)
        # the moving image is read through ``start``; what is left to find is start^-1 after the motion
        start = Affine.identity()
        if prealigned:
            affine = fitted_affine(inside, _at(field, within).T)
            start = affine.after(random_affine(draw, around, shift=4.0, scale=0.03, degrees=2.0))
        pose = random_affine(draw, around, shift=0.0, scale=0.0, degrees=8.0)
        both = torch.stack((anatomy.ct.data, anatomy.lungs.data.float()))[None]
        disease = Draw(self.seed, step, 6)
        airless = None
        if disease.chance(self.collapse):
            matrix = anatomy.ct.grid.world_to_normalized_matrix @ pose.matrix
            posed = sample(both[:, 1:], matrix_times_points(matrix, points)[None])[0, 0] > 0.5
            airless = collapse_of(disease, Volume(posed, grid), check=False)
            field = airless.after(field)
            mapped = points + field.movedim(0, -1)
        left = matrix_times_points(start.inverse().matrix, mapped) - points
        images: dict[str, Tensor] = {}
        for name, where in (("fixed", pose), ("moving", pose.after(start))):
            matrix = anatomy.ct.grid.world_to_normalized_matrix @ where.matrix
            ct, mask = sample(
                both, matrix_times_points(matrix, mapped if name == "fixed" else points)[None]
            )[0]
            mask = mask > 0.5
            if name == "fixed":
                ct = with_density(ct, mask, density_of(field, grid.spacing))
                if airless is not None:
                    ct = airless.consolidation.painted(ct, mapped)
            images[name] = self._scanned(draw, Volume(ct, grid))
            images[name + "_mask"] = mask
        voxels = left / left.new_tensor(grid.spacing)
        out = {name: image[None, None] for name, image in images.items()}
        out["displacement"] = voxels.movedim(-1, 0)[None]
        out = _flipped(draw, out)
        # what the pre-alignment takes of the volume change that the densities tell of
        stretch = points.new_tensor(abs(float(np.linalg.det(start.linear))))
        if airless is not None and disease.chance(0.5) and (turned := _exchanged(out)):
            return {**turned, "stretch": 1 / stretch}
        return {**out, "stretch": stretch}

    # ------------------------------------------------------------ parts

    def _anatomy(self, draw: Draw, step: int) -> Anatomy:
        if not draw.chance(self.procedural):
            return self.real[draw.integer(0, len(self.real))]
        slot, renewed = draw.integer(0, self.pool), step // self.renew_every
        # renewal r = 1, 2, ... puts patient number pool + r - 1 into slot (r - 1) % pool
        last = renewed - 1 - (renewed - 1 - slot) % self.pool if renewed else -1
        number = self.pool + last if last >= 0 else slot
        if number not in self._made:
            patient = Draw(self.seed, number, 5).integer(0, 2**62)
            half = 4.0 * np.array([40, 32, 40])
            grid = Grid.covering(-half, half, self.spacing)
            self._made[number] = thorax(patient, grid, self.device)
            while len(self._made) > self.pool:
                self._made.popitem(last=False)
        self._made.move_to_end(number)
        return self._made[number]

    def _lattice(self, draw: Draw, anatomy: Anatomy) -> Grid:
        """A box about the lungs; the patient is stretched a little by pretending another spacing."""
        low, high = (v.double().numpy() for v in lung_box(anatomy.lungs))
        step = np.array([self.spacing * draw.uniform(0.92, 1.08) for _ in range(3)])
        low -= [draw.uniform(8, 24), draw.uniform(8, 24), draw.uniform(8, 36)]
        high += [draw.uniform(8, 24), draw.uniform(8, 24), draw.uniform(8, 20)]
        least, most = self.sizes
        size = np.clip(np.round((high - low) / step / 8).astype(int) * 8, least, most)
        first = (low + high) / 2 - (size - 1) / 2 * step
        return Grid(tuple(size), tuple(step), tuple(first))

    def _motion(self, draw: Draw, grid: Grid, lungs: Volume) -> Tensor:
        kind = draw.uniform(0, 1)
        if self.motions and kind < 0.5:
            motion = self.motions[draw.integer(0, len(self.motions))]
            field = motion.field_on(grid, lungs, device=self.device, check=False)
            if draw.chance(0.5):
                field = field + random_field(
                    draw, grid, draw.uniform(1, 6), self.device, check=False
                )
            if draw.chance(0.4):
                field = slide(field, lungs, draw.uniform(0.3, 1.0), check=False)
            return field
        if kind < 0.8:
            return breathing_field(draw, lungs, Breath.drawn(draw), check=False)
        return random_field(draw, grid, 20.0, self.device, check=False)

    def _amplitude(self, draw: Draw, rest: Tensor) -> float:
        """The factor that gives the motion to be found in the lungs (3, N) a mean length drawn from the range."""
        low, high = self.mean
        wanted = exp(draw.uniform(log(low), log(high)))
        if draw.chance(0.125):
            wanted = draw.uniform(high, 1.45 * high)
        found = float(rest.square().sum(0).sqrt().mean())
        return min(wanted / max(found, 1e-3), 3.0)

    def _scanned(self, draw: Draw, volume: Volume) -> Tensor:
        noise, blur = draw.uniform(2, 30), draw.uniform(0, 0.45) * self.spacing
        data = acquire(volume, draw, noise, blur).data
        return data * draw.uniform(0.97, 1.03) + draw.uniform(-20, 20)


def _at_spacing(anatomy: Anatomy, spacing: float, device: torch.device | str) -> Anatomy:
    """A real patient on an isotropic grid about the lungs, anti-aliased."""
    low, high = (v.double().numpy() for v in lung_box(anatomy.lungs))
    grid = Grid.covering(low, high, spacing, margin=48.0)
    sigma = [0.42 * max(spacing / s - 1, 0) for s in anatomy.ct.grid.spacing]
    smooth = gaussian(anatomy.ct.data[None, None].float(), (sigma[0], sigma[1], sigma[2]))[0, 0]
    ct = Volume(smooth, anatomy.ct.grid).resample(grid)
    lungs = anatomy.lungs.resample(grid)
    return Anatomy(Volume(ct.data.to(device), grid), Volume(lungs.data.to(device), grid))


def _at(field: Tensor, within: Tensor) -> Tensor:
    """A field (3, D, H, W) at voxels (N,) counted through: (3, N)."""
    return field.reshape(3, -1)[:, within]


def _held(field: Tensor, grid: Grid) -> Tensor:
    """The field without folds: as a whole smaller where it folds much, smoothed where it folds a little.

    Seen on every second voxel first, at an eighth of the cost.
    """
    some = field[None, :, ::2, ::2, ::2]
    x, y, z = (2 * s for s in grid.spacing)
    factors = [0.85**n for n in range(11)]
    good = kept_above(some, (x, y, z), 0.2, factors[:-1])
    factor = next((f for f, kept in zip(factors, good, strict=False) if kept), factors[-1])
    return without_folds(factor * field, grid)


def _nearest(mask: Volume, grid: Grid) -> Volume:
    """The mask on another grid along the same axes (three index look-ups are much faster)."""
    data = mask.data
    for axis in range(3):
        world = grid.origin[axis] + np.arange(grid.size[axis]) * grid.spacing[axis]
        index = np.rint((world - mask.grid.origin[axis]) / mask.grid.spacing[axis])
        index = np.clip(index, 0, mask.grid.size[axis] - 1).astype(np.int64)
        data = data.index_select(2 - axis, torch.as_tensor(index, device=data.device))
    return Volume(data, grid)


def _exchanged(pair: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Fixed as moving and the other way round; None if the motion cannot be inverted all over the lung."""
    back, miss = invert(pair["displacement"], tolerance=1e-3)
    if float(length(miss)[pair["moving_mask"]].max()) > 0.02:
        return None
    return {
        "fixed": pair["moving"],
        "moving": pair["fixed"],
        "fixed_mask": pair["moving_mask"],
        "moving_mask": pair["fixed_mask"],
        "displacement": back,
    }


def _flipped(draw: Draw, pair: dict[str, Tensor]) -> dict[str, Tensor]:
    """All images of a pair mirrored along the same random axes, the field with them."""
    for axis, probability in ((0, 0.5), (1, 0.3), (2, 0.2)):
        if draw.chance(probability):
            pair = {name: image.flip(4 - axis) for name, image in pair.items()}
            pair["displacement"][:, axis] *= -1
    return pair
