"""Where the refinement begins: every first guess goes down the coarse scales, and the images say which was right.

Small steps find the nearest match. A guess that is wrong by more than the lung is alike to itself, the network's where a
part of the lung has collapsed, or the pre-alignment's where the lung moves far, ends in a wrong match, and what the images
leave unexplained there tells. So the result does not depend on any one guess. What a search all around has confirmed needs
no other guess beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from ..space import Affine, Grid
from ..threads import one_thread, side_by_side
from .compared import lung_in_either
from .displacement import Displacement
from .prepare import Prepared
from .refine import refine_at, unexplained
from .scale import Scale, ScaledPair, scaled

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
        images = scaled(pair, affine, scale)
        found = side_by_side(partial(refine_at, images, progress=progress), list(kept.values()))
        fields = dict(zip(kept, found, strict=True))
        apart: dict[str, Displacement] = {}
        for name, field in fields.items():
            if not any(_same(images, field.on, other) for other in apart.values()):
                apart[name] = field.on
        kept = apart
    if len(kept) == 1:
        log.info("start: %s, where all lead", *kept)
        return next(iter(kept.values()))
    left = {name: unexplained(images, fields[name]) for name in kept}
    log.info("unexplained: %s", ", ".join(f"{name} {value:.4f}" for name, value in left.items()))
    return kept[min(left, key=left.__getitem__)]


@one_thread()
def confirmed(
    pair: Prepared, affine: Affine, answer: Displacement, found: Tensor, blocks: Grid
) -> bool:
    """Whether a search around an answer has found the same: hardly anywhere in the lungs is another shift better.

    Args:
        pair: both scans.
        affine: pre-alignment, fixed to moving points.
        answer: v around which it was searched.
        found: v (3, D, H, W) by :func:`lungmorph.registration.search.search`.
        blocks: its grid, whose spacing is the step of the search.
    """
    lungs = lung_in_either(pair, affine, answer, blocks) > 0.5
    apart = (found - answer(blocks))[:, lungs].norm(dim=0)
    return float(torch.quantile(apart, SAME_SHARE)) < min(blocks.spacing) / 2


@one_thread()
def _same(images: ScaledPair, one: Displacement, other: Displacement) -> bool:
    apart = (one(images.grid) - other(images.grid))[:, images.share > 0.5].norm(dim=0)
    return float(torch.quantile(apart, SAME_SHARE)) < images.scale.spacing / 4
