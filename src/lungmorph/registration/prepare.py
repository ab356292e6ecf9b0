"""Looking at two scans before anything is computed on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..errors import InputError
from ..space import Grid, Volume
from ..space.grid import Float
from ..threads import side_by_side
from .connected import box_around
from .lungs import lung_mask

#: Paddings outside the scanner's field of view (-2000, -3024, ...) are read as air.
LOWEST_HU = -1024.0
#: No metal is as bright on any scale of HU; one such voxel, interpolated, makes NaN of its neighbours.
HIGHEST_HU = 1e5
MARGIN_MM = 15.0


@dataclass(frozen=True)
class Prepared:
    """Two scans, checked, with their lungs, and the box to work in.

    ``region`` is world-aligned and covers the fixed lungs with a margin; its spacing says nothing.
    """

    fixed: Volume
    moving: Volume
    fixed_lungs: Volume
    moving_lungs: Volume
    region: Grid

    def to(self, device: str) -> Prepared:
        """The same with all voxels on a device; the very same voxels if they are there."""
        scans = (self.fixed, self.moving, self.fixed_lungs, self.moving_lungs)
        moved = [Volume(scan.data.to(device), scan.grid) for scan in scans]
        return Prepared(moved[0], moved[1], moved[2], moved[3], self.region)

    def swapped(self) -> Prepared:
        """The other way round."""
        region = _box(self.moving_lungs)
        return Prepared(self.moving, self.fixed, self.moving_lungs, self.fixed_lungs, region)


def prepare(
    fixed: Volume,
    moving: Volume,
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
    names: tuple[object, object] = ("fixed image", "moving image"),
) -> Prepared:
    """Check both scans, find the lungs where no mask is given, and box the fixed lungs.

    Args:
        fixed, moving: CT in HU.
        fixed_mask, moving_mask: bool, on any grid; found automatically if None.
        names: of the images, for errors.

    Raises:
        InputError: not a CT in HU; no lung; an empty mask.
    """
    fixed, moving = (
        clean_hu(image, name) for image, name in zip((fixed, moving), names, strict=True)
    )
    # what finds lungs uses one core
    scans = ((fixed, fixed_mask, names[0]), (moving, moving_mask, names[1]))
    lungs = side_by_side(_lungs, scans)
    return Prepared(fixed, moving, lungs[0], lungs[1], _box(lungs[0]))


def _box(lungs: Volume) -> Grid:
    """World-aligned, around the lungs with a margin."""
    low, high = lung_bounds(lungs)
    return Grid.covering(low, high, 2.0, margin=MARGIN_MM)


def _lungs(scan: tuple[Volume, Volume | None, object]) -> Volume:
    image, mask, name = scan
    if mask is None:
        return lung_mask(image, name)
    if not bool(mask.data.any()):
        raise InputError(
            f"mask of {name}",
            expected="voxels above 0",
            found="none",
            do="leave the mask out to have it made",
        )
    return Volume(mask.data > 0, mask.grid)


def clean_hu(image: Volume, name: object) -> Volume:
    """The image as float32 with paddings raised to air, once it has shown that it is CT in HU.

    Raises:
        InputError: NaN or infinity; values that are not HU (8-bit, offset by 1024, MR, a mask, or beyond
            any HU).
    """
    data = image.data.float()
    if not bool(torch.isfinite(data).all()):
        bad = data.numel() - int(torch.isfinite(data).sum())
        raise InputError(
            name,
            expected="finite HU",
            found=f"{bad} voxels of NaN or infinity",
            do="replace them by -1024",
        )
    low, high = float(data.min()), float(data.max())
    expected = "CT in Hounsfield units (air near -1000, soft tissue near 0)"
    found = f"values from {low:g} to {high:g}"
    if low > -400:
        if low >= 0 and high <= 1:
            hint = "is it a mask, or normalised? LungMorph registers CT in HU"
        elif low >= 0 and high <= 255:
            hint = "it looks like an 8-bit picture or a mask; export the original HU"
        elif low >= 0 and _looks_like_stored_values(data):
            hint = "it looks like stored values without the rescale intercept; subtract 1024"
        elif low >= 0:
            hint = "it looks like MR or another modality; LungMorph registers CT"
        else:
            hint = "rescale it to HU"
        raise InputError(name, expected=expected, found=found, do=hint)
    if high > HIGHEST_HU:
        raise InputError(
            name,
            expected=expected,
            found=found,
            do=f"{int((data > HIGHEST_HU).sum())} voxels are above {HIGHEST_HU:g}: replace them",
        )
    tissue, air = _share((data > -200) & (data < 300)), _share(data < -500)
    if tissue < 0.01 or air < 0.01:
        raise InputError(
            name,
            expected=expected,
            found=f"{100 * air:.1f} % of voxels below -500 and {100 * tissue:.1f} % between -200 and 300",
            do="check the rescale slope and intercept, and that the lungs are in the field of view",
        )
    return Volume(data.clamp_min(LOWEST_HU), image.grid)


def _looks_like_stored_values(data: torch.Tensor) -> bool:
    """Whether much lies near 1024, where water would be, and much near air."""
    return _share((data > 850) & (data < 1300)) > 0.05 and _share(data < 500) > 0.05


def _share(mask: torch.Tensor) -> float:
    """How much of a bool tensor is True, 0 to 1; counted, for a mean would copy a whole scan as floats."""
    return int(torch.count_nonzero(mask)) / mask.numel()


def lung_bounds(lungs: Volume) -> tuple[Float, Float]:
    """Smallest and largest world coordinates (x, y, z), mm, that the voxels of a mask touch."""
    box = box_around(lungs.data.cpu().numpy())
    start = [s.start for s in reversed(box)]
    size = [s.stop - s.start for s in reversed(box)]
    return lungs.grid.crop(start, size).bounds()
