"""Registrations of a simulated pair, good ones and ones that went wrong as registrations do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from lungmorph.networks import load_model
from lungmorph.ops import gaussian
from lungmorph.registration.coarse import predict
from lungmorph.registration.displacement import Displacement, nothing, sampled
from lungmorph.registration.prealign import prealign
from lungmorph.registration.prepare import Prepared
from lungmorph.registration.presets import PRESETS
from lungmorph.registration.refine import refine
from lungmorph.registration.scale import Scale
from lungmorph.registration.search import search
from lungmorph.simulate import Draw, random_field
from lungmorph.space import Affine, DisplacementField, Grid, Transform, Volume
from lungmorph.space.sampling import world_points


class Attempts:
    """Registrations of a pair, by name: good ones, and ones that went wrong in a way of their own.

    Each is made when asked for, with draws of its own.
    """

    names: ClassVar[tuple[str, ...]]

    def __init__(self, pair: Prepared, truth: Transform, seed: int) -> None:
        self.pair, self.truth, self.seed = pair, truth, seed
        self.grid = pair.fixed.grid
        spacings = (pair.fixed.grid.spacing, pair.moving.grid.spacing)
        self.scales = PRESETS["default"].resolved_by(*spacings).scales

    @cached_property
    def affine(self) -> Affine:
        """The pre-alignment."""
        pair = self.pair
        return prealign(pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)

    @cached_property
    def levels(self) -> dict[int, tuple[Tensor, Grid]]:
        """What the network says, by how many of its levels run."""
        network, config, _ = load_model()
        pair = self.pair
        return {
            n: predict(network, config, pair.fixed, pair.moving, self.affine, pair.region, levels=n)
            for n in (1, 2)
        }

    @cached_property
    def good(self) -> DisplacementField:
        """As LungMorph registers from a look around the network's answer."""
        return self._refined(self.scales, self.levels[2])

    def make(self, name: str) -> Transform:
        """The attempt of one of the ``names``."""
        return _WAYS[name](self, Draw(self.seed, self.names.index(name), 22))

    def field(self, displacement: Displacement) -> DisplacementField:
        """A displacement beyond the pre-alignment as a whole field."""
        return _field(self.grid, self.affine, displacement)

    def _refined(
        self, kept: tuple[Scale, ...], start: tuple[Tensor, Grid] | None, looked: bool = True
    ) -> DisplacementField:
        begin = nothing if start is None else sampled(*start)
        if looked:
            begin = sampled(*search(self.pair, self.affine, begin))
        made = refine(self.pair, self.affine, kept, begin)
        return self.field(made.on)

    def stopped_early(self, draw: Draw) -> Transform:
        """A step or three on the coarsest scale."""
        few = replace(self.scales[0], steps=draw.integer(1, 4))
        return self._refined((few,), None, looked=False)

    def too_coarse(self, draw: Draw) -> Transform:
        """Without the finest scales."""
        kept = draw.integer(1, max(2, len(self.scales)))
        return self._refined(self.scales[:kept], self.levels[2])

    def too_stiff(self, draw: Draw) -> Transform:
        """Held back by five to a hundred and fifty times as much as the middle scales are."""
        bending = 10 ** draw.uniform(1.7, 3.2)
        stiff = tuple(replace(s, bending=bending) for s in self.scales[:3])
        return self._refined(stiff, None, looked=draw.chance(0.5))

    def too_loose(self, _: Draw) -> Transform:
        """Hardly held back, control points close together: it follows noise."""
        loose = tuple(
            replace(s, bending=0.1, control=max(s.control / 3, 2 * s.spacing))
            for s in self.scales[1:4]
        )
        return self._refined(loose, self.levels[1], looked=False)

    def too_smooth(self, draw: Draw) -> Transform:
        """The truth as one who cannot let the lung slide would have it."""
        return _smoothed(self.truth, self.grid, draw.uniform(8, 30))

    def wrong_start(self, draw: Draw) -> Transform:
        """Begun some voxels off, at a scale too fine to find back."""
        start = _offset(self.levels[2], draw, draw.uniform(4, 25))
        return self._refined(self.scales[2:3], start, looked=False)

    def perfect(self, _: Draw) -> DisplacementField:
        """The truth: right even where the way back is not."""
        return self.truth.displacement_on(_cover(self.grid, 2.0))

    def bumped(self, field: DisplacementField, draw: Draw) -> Transform:
        """A field that is off in a place or two."""
        return _bumped(field, self.pair.fixed_lungs, draw)


_WAYS: dict[str, Callable[[Attempts, Draw], Transform]] = {
    "good": lambda made, _: made.good,
    "affine": lambda made, _: made.affine,
    "level 1": lambda made, _: made.field(sampled(*made.levels[1])),
    "network": lambda made, _: made.field(sampled(*made.levels[2])),
    "stopped early": Attempts.stopped_early,
    "too coarse": Attempts.too_coarse,
    "too stiff": Attempts.too_stiff,
    "too loose": Attempts.too_loose,
    "too smooth": Attempts.too_smooth,
    "wrong start": Attempts.wrong_start,
    "off in one place": lambda made, draw: made.bumped(made.good, draw),
    "off everywhere": lambda made, draw: _offset_field(made.good, draw, draw.uniform(1, 8)),
    "perfect": Attempts.perfect,
    "perfect but for one place": lambda made, draw: made.bumped(made.perfect(draw), draw),
}
Attempts.names = tuple(_WAYS)


def _smoothed(truth: Transform, grid: Grid, width_mm: float) -> DisplacementField:
    """The truth as one who cannot let the lung slide would have it."""
    field = truth.displacement_on(_cover(grid, 4.0))
    return DisplacementField(gaussian(field.data[None], width_mm / 4.0)[0], field.grid)


def _offset(start: tuple[Tensor, Grid], draw: Draw, size_mm: float) -> tuple[Tensor, Grid]:
    v, grid = start
    return v + random_field(draw, grid, size_mm, scales=(120.0, 60.0), check=False), grid


def _offset_field(field: DisplacementField, draw: Draw, size_mm: float) -> DisplacementField:
    grid = _cover(field.grid, 4.0)
    wrong = random_field(draw, grid, size_mm, scales=(90.0, 45.0, 25.0), check=False)
    return DisplacementField(field.displacement_on(grid).data + wrong, grid)


def _bumped(field: DisplacementField, lungs: Volume, draw: Draw) -> DisplacementField:
    """One to three places, 12 to 35 mm wide, displaced by 3 to 12 mm."""
    grid = _cover(field.grid, 3.0)
    data = field.displacement_on(grid).data.clone()
    points = world_points(grid)
    index = (lungs.data > 0).nonzero().flip(1)
    for _ in range(draw.integer(1, 4)):
        spot = lungs.grid.to_world(index[draw.integer(0, len(index))][None].numpy())[0]
        away = (points - torch.as_tensor(spot, dtype=points.dtype)).square().sum(-1)
        bump = torch.exp(-0.5 * away / draw.uniform(6, 17) ** 2)
        aim = torch.as_tensor([draw.uniform(-1, 1) for _ in range(3)])
        data += bump * (aim / aim.norm() * draw.uniform(3, 12))[:, None, None, None]
    return DisplacementField(data, grid)


def _field(fixed: Grid, affine: Affine, displacement: Displacement) -> DisplacementField:
    grid = _cover(fixed, 3.0)
    points = world_points(grid)
    total = (affine.map_points(points) - points).movedim(-1, 0) + displacement(grid)
    return DisplacementField(total.contiguous(), grid)


def _cover(grid: Grid, spacing: float) -> Grid:
    return Grid.covering(*grid.bounds(), spacing, margin=spacing)
