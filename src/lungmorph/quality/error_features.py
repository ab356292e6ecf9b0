"""What can be seen of a registration's error without landmarks, voxel by voxel, on one coarse lattice.

The images say something (do fixed and warped scan agree here, is there structure that could tell?), the mapping does (does it
stretch as tissue does?), and two other registrations of the pair do: does the way back lead back, does the second way there
lead to the same place? Each of them can be wrong itself. So a place that only one of them disputes is hardly in doubt, and
the images are asked where the way back ends and where the second way leads as well: the scans are alike where the right one leads.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops import box_mean, normalize_locally
from ..registration.witnesses import Witnesses
from ..space import Grid, Transform, Volume
from ..space.sampling import sample_world, world_points

#: Of the lattice, mm.
SPACING_MM = 3.0
#: Around the lungs, mm: the network sees past the edge.
MARGIN_MM = 12.0
#: Contrast in HU below which a place counts as flat.
FLAT_HU = 25.0
#: Half-width of the windows of local likeness, voxels.
RADII = (1, 3)
#: Displacements that are not inverted are told apart up to here, mm.
MOST_MM = 20.0
#: Of a voxel that is neither large nor small, mm, and of the largest that the network knows well: of coarser scans it would
#: expect errors far larger than they are, of finer ones it need not know.
USUAL_MM, LARGEST_MM = 2.0, 3.0

#: What the witnesses miss by stands as log1p of mm; "disputed" is the geometric mean of both. "Voxels" is one number: how
#: large those of the coarser scan are, up to ``LARGEST_MM``, by which the errors of right registrations grow.
CHANNELS = (
    "fixed", "warped", "difference", "likeness, near", "likeness, wide", "contrast",
    "volume change", "disputed", "disputed, smoothed", "lungs",
    "likeness on the way back, near", "likeness on the way back, wide",
    "way back", "second way there",
    "likeness on the second way, near", "likeness on the second way, wide",
    "voxels",
)  # fmt: skip


def error_lattice(fixed_lungs: Volume) -> Grid:
    """The world-aligned lattice over the lungs, with a margin."""
    index = (fixed_lungs.data > 0).nonzero().flip(1).numpy()
    corners = fixed_lungs.grid.to_world(index)
    return Grid.covering(corners.min(axis=0), corners.max(axis=0), SPACING_MM, margin=MARGIN_MM)


def error_features(
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    transform: Transform,
    witnesses: Witnesses,
    grid: Grid | None = None,
) -> tuple[Tensor, Tensor, Grid]:
    """The channels that the error network sees.

    Args:
        fixed, moving: CT, HU.
        fixed_lungs: mask, any grid.
        transform: to be judged, fixed to moving points, LPS mm.
        witnesses: other registrations of the pair.
        grid: the lattice; :func:`error_lattice` if None.

    Returns:
        (len(CHANNELS), D, H, W) float32, each of the order of one; the lungs, bool (D, H, W); and the lattice.
    """
    grid = grid or error_lattice(fixed_lungs)
    mask = Volume((fixed_lungs.data > 0).float(), fixed_lungs.grid)
    inside = mask.reduce(SPACING_MM).resample(grid, fill=0.0).data
    still = fixed.reduce(SPACING_MM)
    seen = still.resample(grid).data
    coarse = moving.reduce(SPACING_MM)
    start = world_points(grid)
    points = transform.map_points(start)
    warped = sample_world(coarse.data[None], coarse.grid, points)[0]
    returned, known, miss = way_back(start, points, witnesses.back)
    second = witnesses.there.map_points(start)
    apart = _apart(second, points)
    # large where both dispute the place, small where either agrees
    disputed = (miss * apart).sqrt()
    ended = sample_world(still.data[None], still.grid, returned)[0]
    led = sample_world(coarse.data[None], coarse.grid, second)[0]
    a, b, c, d = (hu.clamp(-1000, 200)[None, None] for hu in (seen, warped, ended, led))
    field = transform.displacement_on(grid)
    change = field.jacobian().data.clamp(0.1, 10).log()
    edge = min(max(s.grid.voxel_volume ** (1 / 3) for s in (fixed, moving)), LARGEST_MM)
    contrast = (box_mean(a * a, 2) - box_mean(a, 2).square()).clamp_min(0).sqrt()
    channels = [
        (a + 1000) / 1200,
        (b + 1000) / 1200,
        (normalize_locally(a, 2, FLAT_HU) - normalize_locally(b, 2, FLAT_HU)).abs() / 2,
        *(_likeness(a, b, radius) for radius in RADII),
        contrast / 200,
        change[None, None],
        torch.log1p(disputed)[None, None],
        torch.log1p(box_mean(disputed[None, None], 2)),
        inside[None, None],
        *(_likeness(b, c, radius) * known for radius in RADII),
        torch.log1p(miss)[None, None],
        torch.log1p(apart)[None, None],
        *(_likeness(a, d, radius) for radius in RADII),
        torch.full_like(a, log(edge / USUAL_MM)),
    ]
    return torch.cat(channels, dim=1)[0], inside > 0.5, grid


def way_back(start: Tensor, points: Tensor, back: Transform) -> tuple[Tensor, Tensor, Tensor]:
    """Where a mapping and the way back from it lead to.

    Args:
        start: places in the fixed scan, (..., 3), LPS mm.
        points: where they are mapped to.
        back: moving to fixed points.

    Returns:
        The places that are returned to, (..., 3); bool (...), where the way back is known; and by how much it misses the
        start, (...), mm: at most ``MOST_MM``, which also stands where it is not known.
    """
    returned = back.map_points(points)
    known = torch.from_numpy(back.covers(points.numpy()))
    miss = _apart(returned, start)
    return returned, known, torch.where(known, miss, torch.full_like(miss, MOST_MM))


def _apart(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).norm(dim=-1).clamp_max(MOST_MM)


def _likeness(a: Tensor, b: Tensor, radius: int) -> Tensor:
    """Local correlation of (1, 1, D, H, W) images around every voxel, in [-1, 1]; near 0 where both are flat."""
    first, second = box_mean(a, radius), box_mean(b, radius)
    both = box_mean(a * b, radius) - first * second
    spreads = [
        (box_mean(image * image, radius) - mean.square()).clamp_min(0) + FLAT_HU**2
        for image, mean in ((a, first), (b, second))
    ]
    return both / (spreads[0] * spreads[1]).sqrt()


def padded(features: Tensor, multiple: int) -> tuple[Tensor, tuple[slice, ...]]:
    """Features (C, D, H, W) with sizes that divide by ``multiple``, and where the original lies in them."""
    sizes = features.shape[1:]
    ends = [0, 0] * 3
    for axis, n in enumerate(sizes):
        ends[2 * (2 - axis) + 1] = -n % multiple
    where = tuple(slice(0, n) for n in sizes)
    return F.pad(features[None], ends, mode="replicate")[0], (slice(None), *where)
