"""Where the refinement begins: every first guess goes down the coarse scales, and the images say which was right.

Small steps find the nearest match. A guess that is wrong by more than the lung is alike to itself, the network's where a
part of the lung has collapsed, or the pre-alignment's where the lung moves far, ends in a wrong match, and what the images
leave unexplained there tells. So the result does not depend on any one guess.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch

from ..space import Affine
from ..threads import one_thread, side_by_side
from .compared import lung_share
from .displacement import Displacement
from .prepare import Prepared
from .refine import Scale, refine, unexplained

log = logging.getLogger(__name__)

#: Two guesses have met if in this share of the lungs they differ by less than a quarter of the lattice's spacing.
SAME_SHARE = 0.999


def best_start(
    pair: Prepared,
    affine: Affine,
    scales: Sequence[Scale],
    guesses: Mapping[str, Displacement],
    progress: Callable[[str], None] | None = None,
) -> Displacement:
    """Displacement v with T(x) = affine(x) + v(x) after the coarse scales, from the best of several guesses.

    Guesses that meet on the way are one from there on.

    Args:
        pair: both scans.
        affine: pre-alignment, fixed to moving points.
        scales: the coarse ones, at least one.
        guesses: v to begin with, by name; at least one.
        progress: called before every step with what is being done.
    """
    kept = dict(guesses)
    for scale in scales:
        found = side_by_side(
            partial(refine, pair, affine, [scale], progress=progress), list(kept.values())
        )
        fields = dict(zip(kept, found, strict=True))
        apart: dict[str, Displacement] = {}
        for name, field in fields.items():
            if not any(_same(pair, field.on, other, scale.spacing) for other in apart.values()):
                apart[name] = field.on
        kept = apart
    if len(kept) == 1:
        log.info("start: %s, where all lead", *kept)
        return next(iter(kept.values()))
    left = {name: unexplained(pair, affine, scales[-1], fields[name]) for name in kept}
    log.info("unexplained: %s", ", ".join(f"{name} {value:.4f}" for name, value in left.items()))
    return kept[min(left, key=left.__getitem__)]


@one_thread()
def _same(pair: Prepared, one: Displacement, other: Displacement, spacing: float) -> bool:
    grid = pair.region.with_spacing(spacing)
    lungs = lung_share(pair.fixed_lungs, grid) > 0.5
    distance = (one(grid) - other(grid))[:, lungs].norm(dim=0)
    return float(torch.quantile(distance, SAME_SHARE)) < spacing / 4
