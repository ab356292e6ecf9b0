"""Changing a real pair every time it is shown, and what is known of it in the same way."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..ops import gaussian, identity_points, sample, to_normalized, warp
from ..simulate import Draw
from ..simulate.affine import random_affine
from ..space import Affine
from .data_config import Augmentation

Pair = dict[str, Tensor]
#: What is outside an image after it was moved, HU.
AIR = -1000.0


def augmented(pair: Mapping[str, Tensor], how: Augmentation, draw: Draw, spacing_mm: float) -> Pair:
    """The pair (see :class:`PairSource`) moved, mirrored, blurred, with other contrast and noise, and cropped.

    Args:
        pair: of one patient, isotropic lattice.
        how: what is done and how much of it.
        draw: where all chance comes from.
        spacing_mm: of the lattice.
    """
    out = moved(pair, *_affines(pair, how, draw, spacing_mm))
    for axis, chance in ((0, how.flip), (1, how.flip / 2), (2, how.flip / 2)):
        if draw.chance(chance):
            out = flipped(out, axis)
    for name in ("fixed", "moving"):
        out[name] = _scanned(out[name], how, draw, spacing_mm)
    if draw.chance(how.crop):
        shape = out["fixed"].shape[2:]
        size = [max(round(n * draw.uniform(0.5, 1.0)), min(n, 16)) for n in shape]
        out = crop_to_lung(out, size, draw)
    return out


def _affines(
    pair: Mapping[str, Tensor], how: Augmentation, draw: Draw, spacing_mm: float
) -> tuple[Affine, Affine]:
    """Where the new fixed and the new moving image are read, in voxels (x, y, z)."""
    centre = np.array([(n - 1) / 2 for n in reversed(pair["fixed"].shape[2:])])
    shift = how.shift_mm / spacing_mm
    pose = random_affine(draw, centre, shift, how.scale, how.degrees)
    part = how.apart
    apart = random_affine(draw, centre, part * shift, part * how.scale, part * how.degrees)
    return pose, pose.after(apart)


def moved(pair: Mapping[str, Tensor], fixed: Affine, moving: Affine) -> Pair:
    """fixed'(p) = fixed(A p) and moving'(p) = moving(B p), p in voxels (x, y, z); ``stretch`` with them.

    If T took points of fixed to moving, then B^-1 T A does so for the new images.
    """
    shape = pair["fixed"].shape[2:]
    depth, height, width = shape
    device = pair["fixed"].device
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    points = torch.stack((x, y, z), dim=-1)
    where = {"fixed": fixed.map_points(points), "moving": moving.map_points(points)}
    out: Pair = {}
    for name, value in pair.items():
        side = name.split("_")[0]
        if name.endswith("_points"):
            affine = fixed if side == "fixed" else moving
            # the image is read at A p, so what was at q is now at A^-1 q
            out[name] = affine.inverse().map_points(value.double()).to(value.dtype)
        elif name != "displacement" and side in where:
            at = to_normalized((where[side] - points).movedim(-1, 0)[None])
            lowest = 0.0 if name.endswith("_mask") else AIR
            at = at + identity_points((depth, height, width), at)
            read = sample(value.float() - lowest, at, padding="zeros") + lowest
            out[name] = read > 0.5 if name.endswith("_mask") else read
    if "stretch" in pair:
        # what T' = B^-1 T A leaves out of the volume change that the densities tell of
        out["stretch"] = pair["stretch"] * abs(
            float(np.linalg.det(moving.linear) / np.linalg.det(fixed.linear))
        )
    if "displacement" in pair:
        field = warp(pair["displacement"].float(), (where["fixed"] - points).movedim(-1, 0)[None])
        target = where["fixed"] + field[0].movedim(0, -1)
        out["displacement"] = (moving.inverse().map_points(target) - points).movedim(-1, 0)[None]
    return out


def flipped(pair: Mapping[str, Tensor], axis: int) -> Pair:
    """Mirrored along axis 0 (x), 1 (y) or 2 (z)."""
    size = pair["fixed"].shape[4 - axis]
    out = {}
    for name, value in pair.items():
        if name.endswith("_points"):
            value = value.clone()
            value[:, axis] = size - 1 - value[:, axis]
        elif name != "stretch":
            value = value.flip(4 - axis)
        out[name] = value
    if "displacement" in out:
        out["displacement"][:, axis] *= -1
    return out


def crop_to_lung(pair: Mapping[str, Tensor], most: list[int] | int, draw: Draw) -> Pair:
    """At most ``most`` voxels along (z, y, x), about a random place in the fixed lungs.

    Both images are cut alike. What lies at the edge has its partner outside: the mask loses the voxels
    whose true displacement leaves the patch, where it is known.
    """
    shape = list(pair["fixed"].shape[2:])
    size = [
        min(m, n) for m, n in zip([most] * 3 if isinstance(most, int) else most, shape, strict=True)
    ]
    if size == shape:
        return dict(pair)
    inside = pair["fixed_mask"][0, 0].nonzero()
    if len(inside) > 0:
        centre = inside[draw.integer(0, len(inside))].tolist()
    else:
        centre = [n // 2 for n in shape]
    start = [min(max(c - s // 2, 0), n - s) for c, s, n in zip(centre, size, shape, strict=True)]
    box = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
    out: Pair = {}
    for name, value in pair.items():
        if name.endswith("_points"):
            out[name] = value - value.new_tensor(start[::-1])
        elif name == "stretch":
            out[name] = value
        else:
            out[name] = value[..., box[0], box[1], box[2]].contiguous()
    last = torch.tensor(size[::-1], dtype=torch.float32) - 1
    if "fixed_points" in out:
        kept = torch.ones(len(out["fixed_points"]), dtype=torch.bool)
        for name in ("fixed_points", "moving_points"):
            kept &= ((out[name].cpu() >= 0) & (out[name].cpu() <= last)).all(dim=1)
        for name in ("fixed_points", "moving_points"):
            out[name] = out[name][kept.to(out[name].device)]
    if "displacement" in out:
        field = out["displacement"][0]
        axes = [torch.arange(n, device=field.device) for n in size]
        z, y, x = torch.meshgrid(*axes, indexing="ij")
        partner = torch.stack((x, y, z)) + field
        limit = last.to(field.device)[:, None, None, None]
        out["fixed_mask"] = out["fixed_mask"] & ((partner >= 0) & (partner <= limit)).all(dim=0)
    return out


def _scanned(image: Tensor, how: Augmentation, draw: Draw, spacing_mm: float) -> Tensor:
    """Another scanner: thicker slices, more noise, another calibration. HU."""
    axis, thickness = draw.integer(0, 3), draw.uniform(0, how.resolution_mm)
    if thickness > spacing_mm:
        # a box of that thickness has the standard deviation of thickness / sqrt(12)
        sigma = [0.0, 0.0, 0.0]
        sigma[axis] = thickness / spacing_mm / 12**0.5
        image = gaussian(image, (sigma[0], sigma[1], sigma[2]))
    noise = draw.uniform(0, how.noise_hu)
    if noise > 0:
        image = image + noise * draw.normals(*image.shape).to(image.device)
    contrast = 1 + draw.uniform(-how.intensity, how.intensity)
    level = 100 * draw.uniform(-how.intensity, how.intensity)
    return (image + 1000) * contrast - 1000 + level
