"""Two scans of one patient in two breathing states, with the exact motion between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops import box_mean, jacobian_determinant
from ..space import Affine, DisplacementField, Grid, Landmarks, Volume
from ..space.sampling import matrix_times_points, sample_world, world_points
from .anatomy import Anatomy, acquire
from .randomness import Draw


@dataclass(frozen=True)
class SimulatedPair:
    """A fixed and a moving scan, their lungs, and the truth.

    ``truth`` maps fixed points to moving points (LPS mm) at every voxel of the fixed grid; the landmarks
    lie at vessels, and the moving ones are the fixed ones mapped by the truth.
    """

    fixed: Volume
    moving: Volume
    fixed_lungs: Volume
    moving_lungs: Volume
    truth: DisplacementField
    fixed_landmarks: Landmarks
    moving_landmarks: Landmarks


#: A scan cannot show what the anatomy does not hold: air.
NOTHING_HU = -1000.0


def simulate_pair(
    anatomy: Anatomy,
    displacement: Tensor | DisplacementField,
    seed: int,
    *,
    noise_hu: float = 20.0,
    blur_mm: float = 0.5,
    slice_thickness: float | None = None,
    conserve_mass: bool = True,
    consolidation: Consolidation | None = None,
    fixed_grid: Grid | None = None,
    moving_crop: tuple[Sequence[int], Sequence[int]] | None = None,
    offset: Affine | None = None,
    moving_grid: Grid | None = None,
    landmarks: int = 300,
) -> SimulatedPair:
    """Move an anatomy: the moving scan is the anatomy, fixed(x) = anatomy(x + u(x)).

    Args:
        displacement: u, mm along the world axes, (3, D, H, W) on the anatomy's grid, or a field.
        seed: of the noise and the choice of landmarks.
        noise_hu, blur_mm, slice_thickness: of the scanner, independent noise in both scans.
        conserve_mass: where the lung is stretched it gets thinner: (HU + 1000) of the fixed lung is that
            of the moving one times det J. Vessels are spared.
        consolidation: lung that holds air in the moving scan and none in the fixed one; its field is part
            of ``displacement`` (see :func:`lungmorph.simulate.disease.collapsing`).
        fixed_grid: grid of the fixed scan, oblique if you like; the anatomy's by default. Where the anatomy is
            finer, voxels show what they hold of it on average, as a scanner's do; then neither scan is the other
            read between its voxels, which a registration that reads it alike would find too easy.
        moving_crop: (start, size) in voxels (i, j, k) of the anatomy's grid: what the moving scan shows.
        offset: rigid motion of the moving scanner's frame: anatomy point p is at ``offset(p)`` there.
        moving_grid: grid of the moving scan in its own frame, as ``fixed_grid``; by default the anatomy's voxels as
            they are, their grid moved by ``offset``.
        landmarks: how many at most.

    Raises:
        ValueError: ``offset`` is not rigid.
    """
    draw = Draw(seed, 3)
    offset = offset or Affine.identity()
    target = fixed_grid or anatomy.ct.grid
    if not isinstance(displacement, DisplacementField):
        displacement = DisplacementField(displacement, anatomy.ct.grid)
    fine = displacement.displacement_on(target.divided(_parts(target, anatomy.ct.grid)))
    fixed = moved(anatomy, fine, conserve_mass, consolidation)
    if fixed_grid is not None:
        fixed = _cut(fixed, anatomy.ct.grid, world_points(fine.grid, device=fine.data.device))
    fixed = Anatomy(averaged(fixed.ct, target), averaged(fixed.lungs, target))

    here = displacement.displacement_on(target)
    points = world_points(target, device=here.data.device)
    mapped = points + here.data.movedim(0, -1)
    truth = (matrix_times_points(offset.matrix, mapped) - points).movedim(-1, 0).contiguous()
    moving, moving_lungs = anatomy.ct, anatomy.lungs
    if moving_crop is not None:
        part = anatomy.ct.grid.crop(*moving_crop)
        moving, moving_lungs = moving.resample(part), moving_lungs.resample(part)
    moving, moving_lungs = (_carried(v, offset) for v in (moving, moving_lungs))
    if moving_grid is not None:
        inner = moving_grid.divided(_parts(moving_grid, moving.grid))
        moving = averaged(moving.resample(inner, fill=NOTHING_HU), moving_grid)
        moving_lungs = averaged(moving_lungs.resample(inner), moving_grid)

    field = DisplacementField(truth, target)
    found = vessel_points(fixed.ct, fixed.lungs, draw, landmarks)
    seen = moving.grid.contains(field.apply(found).points)
    fixed_landmarks = Landmarks(found.points[seen], "fixed")
    return SimulatedPair(
        acquire(fixed.ct, draw, noise_hu, blur_mm, slice_thickness),
        acquire(moving, draw, noise_hu, blur_mm, slice_thickness),
        fixed.lungs,
        moving_lungs,
        field,
        fixed_landmarks,
        field.apply(fixed_landmarks),
    )


@dataclass(frozen=True)
class Consolidation:
    """Lung without air: ``share`` of every voxel (D, H, W), 0..1, on the grid of the anatomy it lies in.

    ``tissue`` (D, H, W) is what its parenchyma then shows, HU; brighter vessels stay as they are.
    """

    share: Volume
    tissue: Volume

    def painted(self, image: Tensor, points: Tensor) -> Tensor:
        """HU (D, H, W) of the anatomy at ``points`` (D, H, W, 3), LPS mm, with the airless part in it."""
        both = torch.stack((self.share.data, self.tissue.data))
        share, tissue = sample_world(both, self.share.grid, points)
        return image + share * (torch.maximum(image, tissue) - image)


def moved(
    anatomy: Anatomy,
    field: DisplacementField,
    conserve_mass: bool = True,
    consolidation: Consolidation | None = None,
) -> Anatomy:
    """The anatomy in another state, anatomy(x + u(x)) on the grid of the field u, without noise.

    Other arguments as in :func:`simulate_pair`.
    """
    points = world_points(field.grid, device=field.data.device) + field.data.movedim(0, -1)
    ct = sample_world(anatomy.ct.data[None], anatomy.ct.grid, points)[0]
    inside = sample_world(
        anatomy.lungs.data.float()[None], anatomy.lungs.grid, points, "nearest", 0.0
    )
    lungs = inside[0] > 0.5
    if conserve_mass:
        ct = with_density(ct, lungs, field.jacobian().data)
    if consolidation is not None:
        ct = consolidation.painted(ct, points)
    return Anatomy(Volume(ct, field.grid), Volume(lungs, field.grid))


def with_density(image: Tensor, lungs: Tensor, determinant: Tensor) -> Tensor:
    """HU (D, H, W) after the lung's volume changed by ``determinant`` with its mass conserved.

    Only parenchyma changes: blood and tissue above -350 HU cannot be compressed. Factors are held
    between 0.4 and 2.5, and the parenchyma below -300 HU.
    """
    loose = ((-350 - image) / 200).clamp(0, 1) * lungs
    dense = ((image + 1000).clamp_min(0) * determinant.clamp(0.4, 2.5) - 1000).clamp_max(-300)
    return image + loose * (dense - image)


def vessel_points(image: Volume, lungs: Volume, draw: Draw, count: int) -> Landmarks:
    """Up to ``count`` voxel centres in the lungs that are the brightest around and stand out.

    They keep a distance of two voxels from each other and stay off the lung's surface.
    """
    hu = image.data[None, None]
    inner = -F.max_pool3d(-lungs.data.float()[None, None], 3, 1, 1) > 0.5
    contrast = hu.clamp_max(100) - box_mean(hu.clamp_max(100), 3)
    peak = (hu >= F.max_pool3d(hu, 3, 1, 1)) & inner & (contrast > 40)
    index = peak[0, 0].nonzero()
    strength = contrast[0, 0][peak[0, 0]]
    # the better half, in random order
    keep = strength >= strength.median() if len(index) > 2 * count else strength > 0
    index = index[keep].cpu()
    index = index[draw.permutation(len(index))[:count]].flip(1)
    return Landmarks(image.grid.to_world(index.numpy().reshape(-1, 3)), "fixed")


def density_of(displacement: Tensor, spacing: tuple[float, float, float]) -> Tensor:
    """det J (D, H, W) of a field (3, D, H, W) in mm on a grid along the world's axes."""
    return jacobian_determinant(displacement[None], spacing)[0, 0]


def averaged(inner: Volume, scan: Grid) -> Volume:
    """What a scan shows of a volume on ``scan.divided(...)``: averages over its voxels; of a mask the majority."""
    x, y, z = (n // m for n, m in zip(inner.grid.size, scan.size, strict=True))
    data = inner.in_blocks((x, y, z)).data
    return Volume(data > 0.5 if inner.is_mask else data, scan)


def _parts(scan: Grid, held: Grid) -> tuple[int, int, int]:
    """How many voxels of a finer grid a voxel of the scan holds along its (x, y, z)."""
    nearest = np.abs(np.asarray(held.direction).T @ np.asarray(scan.direction)).argmax(axis=0)
    own = np.asarray(held.spacing)[nearest]
    x, y, z = (max(1, round(step / fine)) for step, fine in zip(scan.spacing, own, strict=True))
    return x, y, z


def _cut(fixed: Anatomy, held: Grid, points: Tensor) -> Anatomy:
    """The fixed scan (at ``points``) without what was continued beyond the anatomy's grid."""
    inside = torch.from_numpy(held.contains(points.cpu().numpy())).to(points.device)
    hu = torch.where(inside, fixed.ct.data, torch.full_like(fixed.ct.data, NOTHING_HU))
    return Anatomy(Volume(hu, fixed.ct.grid), Volume(fixed.lungs.data & inside, fixed.lungs.grid))


def _carried(volume: Volume, offset: Affine) -> Volume:
    """The same voxels in another scanner's frame: only the grid moves."""
    grid = volume.grid
    moved = Grid(
        grid.size,
        grid.spacing,
        tuple(offset.apply([grid.origin])[0]),
        tuple(map(tuple, offset.linear @ grid.direction)),
    )
    return Volume(volume.data, moved)
