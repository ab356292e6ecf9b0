"""A patient made up from a seed, or a real CT: the image that motion is put on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..ops import gaussian
from ..space import Grid, Volume
from .body import Body
from .randomness import Draw
from .splines import smooth_noise
from .trees import grow_tree, grow_twigs
from .tubes import Tubes, tube_coverage, tube_depth

#: Spacing in mm at which the smooth surfaces of organs are computed before they are interpolated.
COARSE = 4.0


@dataclass(frozen=True)
class Anatomy:
    """A chest CT in HU (float32) and its lungs (bool), on one grid.

    Motion is put on it along the world's axes, so but for :class:`TrainingPairs`, which resamples it, and
    for a field that was made elsewhere, its grid has to be along them.
    """

    ct: Volume
    lungs: Volume


def real_anatomy(ct: Volume, lungs: Volume) -> Anatomy:
    """A real CT with its lung mask as an anatomy; the mask may lie on another grid.

    Raises:
        ValueError: the mask is empty on the grid of the CT.
    """
    mask = lungs if lungs.grid.same_as(ct.grid) else lungs.resample(ct.grid)
    if not bool(mask.data.any()):
        raise ValueError("the lung mask is empty where the CT is")
    return Anatomy(Volume(ct.data.float(), ct.grid), Volume(mask.data.bool(), ct.grid))


def thorax(
    seed: int, grid: Grid, device: torch.device | str = "cpu", twigs: bool = False
) -> Anatomy:
    """A random chest, another patient for every seed, with its middle in the middle of ``grid``.

    Args:
        seed: the patient. The same seed gives the same body at any spacing; only fine texture differs.
        grid: along the world's axes (LPS, head up), best isotropic; 320 x 256 x 320 mm holds a chest.
        twigs: some thousand thin vessels more, which fill the outer lung; worth it below about 3 mm.

    Raises:
        ValueError: the axes of the grid are not those of the world.
    """
    draw = Draw(seed, 1)
    body = Body(draw)
    center = torch.as_tensor(grid.center, dtype=torch.float32)
    step = max(grid.spacing)
    coarse = grid if step >= COARSE * 0.75 else grid.with_spacing(COARSE)
    low = body.surfaces(coarse, device)
    surface = {k: _refine(v, coarse, grid) for k, v in low.items() if k != "z"}

    def inside(key: str, offset: float = 0.0) -> Tensor:
        return (0.5 - (surface[key] - offset) / step).clamp_(0, 1)

    draw = Draw(seed, 2)
    enhanced = draw.chance(0.5)
    blood = draw.uniform(90, 260) if enhanced else draw.uniform(30, 50)
    fat, muscle = draw.uniform(-115, -90), draw.uniform(35, 60)
    patchy = smooth_noise(draw, grid, 17.0, device=device)[0]
    texture = smooth_noise(draw, grid, 2.2 * step, device=device)[0]
    ct = torch.full(grid.shape, -1000.0, device=device)

    # from the skin inwards
    _paint(ct, inside("skin"), 20.0)
    _paint(ct, inside("skin", -2.0), fat + 6 * texture)
    planes = (0.5 + (0.85 - patchy.abs() + 0.1 * texture) * 3).clamp(0, 1)
    shell = inside("cavity", 1.0 * body.muscle) * inside("skin", -3.0 - 0.5 * body.fat)
    _paint(ct, shell * (0.25 + 0.75 * planes), muscle)
    chest = inside("cavity", 2.0) * inside("skin", -8.0)
    _paint(ct, chest, fat + 10 * texture)
    _paint(ct, chest * (0.5 + 2 * (patchy + 0.1)).clamp(0, 1) * 0.8, 35.0)
    _paint_belly(ct, draw, surface, chest * inside("diaphragm", -3.0), patchy, step)
    _paint(ct, chest * (0.5 - (surface["diaphragm"].abs() - 3) / step).clamp(0, 1), 45.0)
    _paint(ct, chest * inside("heart", 3.0), fat)
    _paint(ct, chest * inside("heart"), 45 + 0.5 * (blood - 45) * (patchy + 0.6).clamp(0, 1))
    _paint(ct, tube_coverage(body.great_vessels().moved(center), grid, device), blood)
    _paint_bones(ct, draw, body, surface, grid, center, texture, device)

    lung_surface = torch.minimum(surface["right"], surface["left"])
    trachea = tube_depth(body.trachea().moved(center), grid, device)
    share = (0.5 - lung_surface / step).clamp_(0, 1) * (0.5 - (trachea + 1.5) / step).clamp_(0, 1)
    lung = _lung_tissue(draw, surface, grid, patchy, texture, device)
    arteries, veins, airways = _trees(draw, body, low, coarse)
    spots = _nodules(draw, low, coarse)
    fissure = (0.9 / step) * (1 - surface["fissures"] / (0.8 * step)).clamp_(0, 1)
    _paint(lung, fissure.clamp_(0, 0.5), -300.0)
    walls = tube_coverage(airways.moved(center), grid, device)
    _paint(lung, walls, -150.0)
    thinner = Tubes(
        airways.start, airways.end, airways.start_radius * 0.68, airways.end_radius * 0.68
    )
    _paint(lung, tube_coverage(thinner.moved(center), grid, device), -985.0)
    parts = [arteries, veins, spots]
    if twigs:
        parts += [_twigs(Draw(seed, 21), vessels, low, coarse) for vessels in parts[:2]]
    vessels = tube_coverage(Tubes.join(parts).moved(center), grid, device)
    _paint(lung, vessels, 0.7 * blood + 12)
    _paint(ct, share, lung)
    _paint(ct, (0.5 + (trachea + 1.8) / step).clamp_(0, 1) * (1 - share), 10.0)
    _paint(ct, (0.5 + trachea / step).clamp_(0, 1), -995.0)
    lungs = (share > 0.5) & (trachea < -1.5)
    return Anatomy(Volume(ct, grid), Volume(lungs, grid))


def acquire(
    volume: Volume,
    draw: Draw,
    noise_hu: float = 20.0,
    blur_mm: float = 0.8,
    slice_thickness: float | None = None,
) -> Volume:
    """What a scanner makes of the patient: blur of the kernel, thick slices, correlated noise.

    Args:
        noise_hu: standard deviation of the noise in HU.
        blur_mm: standard deviation of the in-plane and axial blur in mm.
        slice_thickness: mm along z that each slice averages; None for thin slices.
    """
    step = volume.grid.spacing
    data = volume.data.float()[None, None]
    thick = ((slice_thickness or 0.0) ** 2) / 12
    sigma = [blur_mm / s for s in step]
    sigma[2] = (blur_mm**2 + thick) ** 0.5 / step[2]
    data = gaussian(data, (sigma[0], sigma[1], sigma[2]))
    if noise_hu > 0:
        noise = draw.normals(1, 1, *volume.grid.shape).to(data.device)
        noise = gaussian(noise, tuple(min(0.7 / s, 0.7) for s in step))  # type: ignore[arg-type]
        data = data + noise * (noise_hu / noise.std().clamp_min(1e-6))
    return Volume(data[0, 0].clamp_(-1024, 3071), volume.grid)


# ---------------------------------------------------------------- parts


def _paint(image: Tensor, share: Tensor, value: Tensor | float) -> None:
    """Replace ``share`` of every voxel by ``value``, in place."""
    image += share * (value - image)


def _refine(values: Tensor, coarse: Grid, grid: Grid) -> Tensor:
    if coarse is grid:
        return values
    ends = (np.asarray(grid.size) - 1) * np.asarray(grid.spacing)
    wide = (np.asarray(coarse.size) - 1) * np.asarray(coarse.spacing)
    # separable linear interpolation; both grids share their middle
    for dim, (e, w, n) in enumerate(zip(ends[::-1], wide[::-1], grid.shape, strict=True)):
        at = torch.linspace(-e / 2, e / 2, n, dtype=torch.float64) / (w / 2)
        count = values.shape[dim]
        place = ((at + 1) / 2 * (count - 1)).clamp(0, count - 1)
        first = place.floor().clamp_max(count - 2).long()
        part = (place - first).to(values)
        first = first.to(values.device)
        shape = [1, 1, 1]
        shape[dim] = n
        part = part.reshape(shape)
        values = torch.lerp(
            values.index_select(dim, first), values.index_select(dim, first + 1), part
        )
    return values


def _lung_tissue(
    draw: Draw,
    surface: dict[str, Tensor],
    grid: Grid,
    patchy: Tensor,
    texture: Tensor,
    device: torch.device | str,
) -> Tensor:
    """Parenchyma in HU: denser behind, where gravity presses; textured; sometimes with emphysema."""
    base, gravity = draw.uniform(-890, -800), draw.uniform(0.1, 0.45)
    large = smooth_noise(draw, grid, 40.0, device=device)[0]
    fine = draw.uniform(8, 22)
    lung = base + gravity * surface["y"] + 12 * large + 9 * patchy + fine * texture
    if draw.chance(0.35):
        holes = smooth_noise(draw, grid, 15.0, device=device)[0]
        amount = draw.uniform(0.8, 2.0)
        _paint(lung, ((holes - amount) * 1.5).clamp_(0, 0.85), -985.0)
    return lung.clamp_(-985, -560)


def _trees(
    draw: Draw, body: Body, low: dict[str, Tensor], coarse: Grid
) -> tuple[Tubes, Tubes, Tubes]:
    """Arteries, veins and airways of both lungs, in mm of the patient frame."""
    arteries: list[Tubes] = []
    veins: list[Tubes] = []
    airways: list[Tubes] = []
    density = draw.uniform(0.75, 1.25)
    thin = draw.uniform(0.6, 0.85)
    for key, side in (("right", -1), ("left", 1)):
        cells = (low[key] < -2.0).nonzero().cpu()
        if len(cells) < 50:
            continue
        spots = (cells + draw.uniforms(len(cells), 3) - 0.5).flip(1)
        where = torch.as_tensor(coarse.to_world(spots.numpy()) - coarse.center, dtype=torch.float32)
        hilum = body.hilum(side)
        volume = len(cells) * coarse.voxel_volume / 1e6  # litres
        for kind, offset in ((arteries, (0.0, -6.0, 4.0)), (veins, (0.0, -14.0, -14.0))):
            count = min(len(where), int(560 * density * volume**0.8))
            chosen = where[draw.permutation(len(where))[:count]]
            root = hilum + torch.tensor(offset)
            kind.append(grow_tree(draw, root, chosen, thin, draw.uniform(4.5, 6.0)))
        chosen = where[draw.permutation(len(where))[:200]]
        airways.append(grow_tree(draw, hilum, chosen, 0.75, 6.0, least_points=5))
    if not arteries:
        nothing = grow_tree(draw, torch.zeros(3), torch.zeros(1, 3), 1.0, 1.0, least_points=2)
        return nothing, nothing, nothing
    return Tubes.join(arteries), Tubes.join(veins), Tubes.join(airways)


def _twigs(draw: Draw, tree: Tubes, low: dict[str, Tensor], coarse: Grid) -> Tubes:
    """Thin vessels to random places in both lungs, about one in a cubic centimetre."""
    cells = (torch.minimum(low["right"], low["left"]) < -1.5).nonzero().cpu()
    count = int(0.001 * len(cells) * coarse.voxel_volume)
    cells = cells[draw.permutation(len(cells))[:count]]
    spots = (cells + draw.uniforms(len(cells), 3) - 0.5).flip(1)
    where = torch.as_tensor(coarse.to_world(spots.numpy()) - coarse.center, dtype=torch.float32)
    return grow_twigs(draw, tree, where, 0.7)


def _nodules(draw: Draw, low: dict[str, Tensor], coarse: Grid) -> Tubes:
    """None to five round nodules of 2 to 9 mm radius."""
    count = draw.integer(1, 6) if draw.chance(0.4) else 0
    cells = (torch.minimum(low["right"], low["left"]) < -8.0).nonzero().cpu()
    chosen = cells[draw.permutation(len(cells))[:count]].flip(1)
    where = torch.as_tensor(coarse.to_world(chosen.numpy()) - coarse.center, dtype=torch.float32)
    radius = 2.0 + 7.0 * draw.uniforms(len(where)) ** 2
    return Tubes(where, where, radius, radius)


def _paint_belly(
    ct: Tensor,
    draw: Draw,
    surface: dict[str, Tensor],
    below: Tensor,
    patchy: Tensor,
    step: float,
) -> None:
    """Liver on the right, spleen and stomach on the left, fat between."""
    liver, spleen = draw.uniform(50, 105), draw.uniform(40, 100)
    x = surface["x"]
    _paint(ct, below * (0.9 - (x - 25) / 12).clamp(0, 1) * (1.3 + 0.3 * patchy).clamp(0, 1), liver)
    _paint(ct, below * ((x - 40) / 12).clamp(0, 1), spleen)
    if draw.chance(0.7):
        bubble = torch.exp(
            -(((x - 55) / 28) ** 2)
            - ((surface["y"] + draw.uniform(0, 30)) / 26) ** 2
            - ((surface["diaphragm"] + 30) / 16) ** 2
        )
        _paint(ct, below * (0.5 + (bubble - 0.5) * 30 / step).clamp(0, 1), -900.0)


def _paint_bones(
    ct: Tensor,
    draw: Draw,
    body: Body,
    surface: dict[str, Tensor],
    grid: Grid,
    center: Tensor,
    texture: Tensor,
    device: torch.device | str,
) -> None:
    step = max(grid.spacing)
    hard, soft = draw.uniform(350, 650), draw.uniform(120, 240)
    spine = surface["spine"]
    z = torch.arange(grid.size[2], device=device) * grid.spacing[2]
    disc = (torch.sin(z * (torch.pi / 25)).abs() * 4).clamp(0, 1)[:, None, None]
    value = soft + 25 * texture + (hard - soft) * (1 - (spine + 2).abs() / 2.5).clamp(0, 1)
    _paint(ct, (0.5 - spine / step).clamp(0, 1), 90 + disc * (value - 90))
    tubes = Tubes.join([body.ribs(), body.shoulders()]).moved(center)
    depth = tube_depth(tubes, grid, device)
    _paint(
        ct, (0.5 + depth / step).clamp(0, 1), soft + (hard - soft) * (1.4 - depth / 3).clamp(0, 1)
    )
    _paint(ct, (0.5 - surface["canal"] / step).clamp(0, 1), 25.0)
