"""How much work to spend: named settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .refine import Scale


@dataclass(frozen=True)
class Preset:
    """What a registration does after the pre-alignment.

    Args:
        name: on the command line.
        scales: of the refinement, coarse to fine; none for the network alone.
        field_mm: spacing at which the transform is given.
    """

    name: str
    scales: tuple[Scale, ...]
    field_mm: float

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


_COARSE = Scale(spacing=6.0, control=18.0, window=12.0, stiffness=0.03, steps=8)
_MIDDLE = Scale(spacing=4.0, control=12.0, window=8.0, stiffness=0.1, steps=8)
_FINE = Scale(spacing=2.5, control=7.5, window=6.0, stiffness=0.2, steps=8)
_FINER = Scale(spacing=1.75, control=5.25, window=4.5, stiffness=0.3, steps=6)
_FINEST = Scale(spacing=1.0, control=4.0, window=3.0, stiffness=0.3, steps=6)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset("fast", (), field_mm=3.0),
        Preset("default", (_COARSE, _MIDDLE, _FINE, _FINER), field_mm=2.5),
        Preset("accurate", (_COARSE, _MIDDLE, _FINE, _FINER, _FINEST), field_mm=2.0),
    )
}
