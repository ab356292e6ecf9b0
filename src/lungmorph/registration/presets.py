"""How much work to spend: named settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .scale import Scale

#: Distance of control points, in longest voxel edges of the coarser scan, below which they follow noise.
CONTROL_VOXELS = 1.8
#: Voxels of a transform between two control points of the finest scale.
FIELD_PARTS = 4
#: Lattice of the registrations that others are checked by, mm: coarser than theirs, and as accurate as a check needs.
CHECK_MM = 2.5
#: Down to this lattice it shows which of several starts was right, mm.
COARSE_MM = 4.0

Start = Literal["network", "search", "pre-alignment"]


@dataclass(frozen=True)
class Preset:
    """What a registration does after the pre-alignment.

    Args:
        name: on the command line.
        scales: of the refinement, coarse to fine; none for the network alone.
        field_mm: spacing at which the transform is given.
        both_ways: whether the last scale is gone through on the swapped pair as well, and the mean of both taken.
        starts: first guesses that are tried: the network's answer, what a look around it finds, nothing beyond the
            pre-alignment.
    """

    name: str
    scales: tuple[Scale, ...]
    field_mm: float
    both_ways: bool = False
    starts: tuple[Start, ...] = ("network", "search", "pre-alignment")

    @property
    def coarse(self) -> tuple[Scale, ...]:
        """The scales on which the start is chosen; at least one, if there is any."""
        return (
            tuple(scale for scale in self.scales if scale.spacing >= COARSE_MM) or self.scales[:1]
        )

    @property
    def fine(self) -> tuple[Scale, ...]:
        """The scales after those."""
        return self.scales[len(self.coarse) :]

    def resolved_by(self, *spacings: tuple[float, float, float]) -> Preset:
        """What the scans can tell: without scales finer than half their voxels, control points apart, the transform as fine.

        Args:
            spacings: of the scans, mm. The coarser one counts, by the edge of a cube of its voxel's volume for the
                lattice, by its longest edge (usually the slice distance) for the control points.
        """
        if not self.scales:
            return self
        cube = max(float(np.prod(spacing)) ** (1 / 3) for spacing in spacings)
        apart = CONTROL_VOXELS * max(max(spacing) for spacing in spacings)
        kept = [scale for scale in self.scales if scale.spacing >= cube / 2] or self.scales[:1]
        scales = tuple(replace(scale, control=max(scale.control, apart)) for scale in kept)
        field_mm = max(self.field_mm, scales[-1].control / FIELD_PARTS)
        return replace(self, scales=scales, field_mm=field_mm)

    def with_spacing(self, spacing: float) -> Preset:
        """The same work, its finest image lattice at ``spacing`` mm.

        Finer scales are left out; if all kept ones are coarser, the finest is repeated at it.
        """
        kept = tuple(s for s in self.scales if s.spacing > spacing * 1.05)
        model = self.scales[len(kept)] if len(kept) < len(self.scales) else self.scales[-1]
        ratio = spacing / model.spacing
        last = replace(
            model, spacing=spacing, control=model.control * ratio, window=model.window * ratio
        )
        return replace(self, scales=(*kept, last), field_mm=max(1.0, self.field_mm * min(ratio, 1)))


#: Chosen on simulated pairs (`DEVELOPMENT` in benchmarks/recipes.py); benchmarks/ablation.py tells what each is worth.
_SCALES = (
    Scale(spacing=6.0, control=27.0, window=12.0, bending=10.0, steps=5),
    Scale(spacing=4.0, control=18.0, window=8.0, bending=10.0, steps=5),
    Scale(spacing=CHECK_MM, control=11.0, window=6.0, bending=3.0, steps=6, cubic=True),
    Scale(spacing=1.75, control=9.0, window=4.5, bending=None, steps=4, cubic=True),
    Scale(spacing=1.25, control=8.0, window=3.0, bending=None, steps=3, cubic=True),
)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset("fast", (), field_mm=3.0),
        Preset("default", _SCALES, field_mm=2.0),
        Preset("accurate", _SCALES, field_mm=2.0, both_ways=True),
    )
}
