"""One registration judged: every figure, by one definition, whoever made the transform."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..measures import (
    clipped_jacobian,
    correlation,
    dice,
    folding,
    inverse_consistency,
    landmark_error,
    local_correlation,
    percent_over,
    surface_distance,
)
from ..ops import length
from ..plain_json import numbers_only
from ..space import AIR_HU, DisplacementField, Grid, Landmarks, Transform, Volume
from ..space.grid import Float

#: Of the window of the local correlation, voxels of the fixed image.
LOCAL_RADIUS = 2
#: About so many points of the lungs are sent there and back.
CONSISTENCY_POINTS = 50_000

Box = tuple[slice, slice, slice]


def judge(
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    moving_lungs: Volume,
    transform: Transform,
    *,
    landmarks: tuple[Landmarks, Landmarks] | None = None,
    backward: Transform | None = None,
    whole_image: bool = True,
) -> dict[str, Any]:
    """All measures of one transform on one pair; definitions in ``docs/evaluation.md``.

    Nothing is assumed of the transform but that it maps fixed points to moving points, LPS mm. It may
    be a field on any grid, one that covers a part of the fixed image only (beyond it, as in ITK,
    the displacement is zero, and the result says how much of lungs and landmarks lies there).

    Args:
        fixed, moving: CTs, HU.
        fixed_lungs, moving_lungs: masks, in the same frames, on any grids.
        transform: fixed to moving.
        landmarks: (fixed, moving), LPS mm, each in its own image.
        backward: moving to fixed, from a registration of the swapped pair.
        whole_image: whether ``fixed`` is the scan as it is, and not a part of it: then there is the figure over all of it that
            Learn2Reg takes, ``sd_log_learn2reg_image``.

    Returns:
        JSON-ready: ``landmarks`` (None without), ``folding`` (in the fixed lungs on the fixed grid),
        ``overlap`` (on the fixed grid), ``similarity`` (in the fixed lungs), ``inverse_consistency_mm``
        (None without ``backward``), ``displacement_mm``. A figure that does not exist is None.

    Raises:
        InputError: no lung in a mask, or displacements that are no numbers.
    """
    grid = fixed.grid
    lungs = _mask(fixed_lungs, grid, "fixed lung mask")
    moving_mask = Volume(moving_lungs.data > 0, moving_lungs.grid)
    if not bool(moving_mask.data.any()):
        raise InputError("moving lung mask", expected="lung", found="no voxel of it")
    field = transform.displacement_on(grid)
    lengths = length(field.data[None])[0, 0][lungs]
    if not bool(torch.isfinite(lengths).all()):
        bad = int((~torch.isfinite(lengths)).sum())
        raise InputError(
            "transform",
            expected="displacements in mm in the whole lung",
            found=f"{bad} of {len(lengths)} voxels of the lung without a number",
        )
    points = Volume(lungs, grid).points(CONSISTENCY_POINTS)
    found = {
        "landmarks": _landmarks(transform, landmarks, moving.grid),
        "folding": _folding(field, lungs, whole_image)
        | {"outside_field_percent": 100.0 * float((~transform.covers(points)).mean())},
        "overlap": _overlap(lungs, moving_mask, field),
        "similarity": _similarity(fixed, moving, lungs, field),
        "inverse_consistency_mm": _consistency(transform, backward, points),
        "displacement_mm": {"mean": float(lengths.double().mean()), "max": float(lengths.max())},
    }
    cleaned: dict[str, Any] = numbers_only(found)
    return cleaned


# ---------------------------------------------------------------- the parts


def _landmarks(
    transform: Transform, landmarks: tuple[Landmarks, Landmarks] | None, grid: Grid
) -> dict[str, Any] | None:
    if landmarks is None or len(landmarks[0]) == 0:
        return None
    fixed, moving = landmarks
    before = Landmarks(fixed.points, moving.frame)
    after = Landmarks(transform.apply(fixed.points), moving.frame)
    errors = after.distance_to(moving)
    spreads = {}
    for name, found in (("before", before), ("after", after)):
        spread = landmark_error(found, moving, grid).as_dict()
        spreads[name] = {key: spread[key] for key in ("continuous", "snapped")}
    return {
        "count": len(fixed),
        "before": spreads["before"],
        "after": spreads["after"]
        | {"errors_mm": errors.tolist(), "displacements_mm": before.distance_to(moving).tolist()},
        "over_2mm_percent": percent_over(errors, 2.0),
        "over_5mm_percent": percent_over(errors, 5.0),
        "outside_field": int((~transform.covers(fixed.points)).sum()),
    }


def _folding(field: DisplacementField, lungs: Tensor, whole_image: bool) -> dict[str, Any]:
    determinant = field.jacobian().data
    found: dict[str, Any] = asdict(folding(determinant, lungs))
    # the challenge leaves out two voxels all around, and some of its tasks do not look at the lungs alone
    inside = (slice(2, -2),) * 3
    inner, inner_lungs = determinant[inside], lungs[inside]
    clipped = clipped_jacobian(inner, inner_lungs) if bool(inner_lungs.any()) else None
    found["sd_log_learn2reg"] = clipped.sd_log if clipped else None
    found["percent_learn2reg"] = clipped.percent if clipped else None
    if whole_image:
        found["sd_log_learn2reg_image"] = clipped_jacobian(inner).sd_log if inner.numel() else None
    return found


def _overlap(lungs: Tensor, moving: Volume, field: DisplacementField) -> dict[str, Any]:
    grid = field.grid
    start, moved = moving.resample(grid).data, field.warp(moving, grid).data
    before = surface_distance(lungs, start, grid.spacing)
    after = surface_distance(lungs, moved, grid.spacing)
    return {
        "dice_before": dice(lungs, start),
        "dice_after": dice(lungs, moved),
        "surface_mean_before_mm": before.mean if before else None,
        "surface_mean_mm": after.mean if after else None,
        "surface_p95_mm": after.p95 if after else None,
    }


def _similarity(
    fixed: Volume, moving: Volume, lungs: Tensor, field: DisplacementField
) -> dict[str, Any]:
    box = _around(lungs, LOCAL_RADIUS)
    part = fixed.grid.crop([s.start for s in box[::-1]], [s.stop - s.start for s in box[::-1]])
    inside, seen = lungs[box], fixed.data[box].float()
    cropped = DisplacementField(field.data[(slice(None), *box)], part)
    found = {}
    for name, image in (
        ("before", moving.resample(part, fill=AIR_HU).data),
        ("after", cropped.warp(moving, part, fill=AIR_HU).data),
    ):
        found[f"ncc_{name}"] = correlation(seen[inside], image[inside])
        found[f"lncc_{name}"] = local_correlation(seen, image, inside, LOCAL_RADIUS)
    return found


def _consistency(
    transform: Transform, backward: Transform | None, points: Float
) -> dict[str, Any] | None:
    if backward is None:
        return None
    found = inverse_consistency(transform, backward, points)
    if found is None:
        return {"mean": None, "p95": None, "max": None, "counted_percent": 0.0}
    return asdict(found)


# ---------------------------------------------------------------- what they share


def _mask(mask: Volume, grid: Grid, name: str) -> Tensor:
    """A mask of any kind, bool on ``grid``."""
    found = Volume(mask.data > 0, mask.grid)
    data = found.data if mask.grid.same_as(grid, 1e-6) else found.resample(grid).data
    if not bool(data.any()):
        raise InputError(name, expected="lung inside the fixed image", found="no voxel of it")
    return data


def _around(mask: Tensor, margin: int) -> Box:
    """The voxels of a mask that is not empty, with a margin, inside the image."""
    ends = []
    for dim, size in enumerate(mask.shape):
        hit = mask.any(dim=(dim + 1) % 3, keepdim=True).any(dim=(dim + 2) % 3, keepdim=True)
        at = hit.flatten().nonzero()
        ends.append(slice(max(0, int(at.min()) - margin), min(size, int(at.max()) + 1 + margin)))
    return ends[0], ends[1], ends[2]
