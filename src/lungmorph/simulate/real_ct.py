"""Any real chest CT as an anatomy at the spacing that is asked for."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ..files.geometry import place_on_grid
from ..ops import gaussian
from ..space import Grid, Volume
from ..space.grid import Float
from .anatomy import Anatomy, real_anatomy

#: What is kept of the body around the lungs, mm.
MARGIN_MM = 35.0


def anatomy_at(ct: Volume, lungs: Volume, spacing: tuple[float, float, float] | None) -> Anatomy:
    """A CT cut to its lungs and a margin, on a grid along the world's axes.

    Args:
        ct: HU, on any grid.
        lungs: mask, on any grid.
        spacing: mm along (x, y, z); None keeps those of the CT.

    Raises:
        ValueError: the mask is empty where the CT is.

    Interpolated with cubic B-splines: with linear ones the slices of the original would be seen. What
    the new voxels are too coarse for is smoothed away before.
    """
    index = lungs.data.nonzero().flip(1)
    if len(index) == 0:
        raise ValueError("the lung mask is empty")
    ends = lungs.grid.to_world(index.numpy(force=True))
    low, high = ct.grid.bounds()
    low = np.maximum(low, ends.min(axis=0) - MARGIN_MM)
    high = np.minimum(high, ends.max(axis=0) + MARGIN_MM)
    if (high <= low).any():
        raise ValueError("the lung mask is empty where the CT is")
    turn = np.abs(np.asarray(ct.grid.direction))
    own = np.asarray(ct.grid.spacing)
    nearest = own[
        turn.argmax(axis=1)
    ]  # of the CT's own axis that runs most along each of the world's
    step: Float = nearest if spacing is None else np.asarray(spacing, dtype=np.float64)
    grid = Grid.covering(low, high, step.tolist())
    sigma = 0.42 * np.maximum(turn.T @ step / own - 1, 0)
    smooth = gaussian(ct.data[None, None].float(), tuple(sigma))[0, 0]
    return real_anatomy(_splined(Volume(smooth, ct.grid), grid), _mask(lungs, grid))


def cut_off(anatomy: Anatomy) -> str:
    """Where the scan ends within the lungs, along the body's axis ("", "below", "above", "below and above")."""
    ends = {"below": anatomy.lungs.data[0], "above": anatomy.lungs.data[-1]}
    return " and ".join(where for where, end in ends.items() if bool(end.any()))


def finer(anatomy: Anatomy, grid: Grid) -> Anatomy:
    """An anatomy on a finer grid over the same box, with nothing in it that it did not hold before."""
    if grid.same_as(anatomy.ct.grid):
        return anatomy
    return Anatomy(_splined(anatomy.ct, grid), _mask(anatomy.lungs, grid))


def _splined(volume: Volume, grid: Grid) -> Volume:
    image = sitk.GetImageFromArray(volume.data.numpy(force=True))
    place_on_grid(image, volume.grid)
    found = sitk.Resample(
        image, grid.size, sitk.Transform(), sitk.sitkBSpline, grid.origin, grid.spacing,
        np.eye(3).ravel().tolist(), -1000.0,
    )  # fmt: skip
    return Volume(torch.from_numpy(sitk.GetArrayFromImage(found)).clamp_(-1024, 3071), grid)


def _mask(lungs: Volume, grid: Grid) -> Volume:
    share = Volume(lungs.data.float(), lungs.grid).resample(grid, fill=0.0)
    return Volume(share.data > 0.5, grid)
