"""What every rival is given: two images with the same help for all, and where its field belongs.

Intensities are cut to [-1000, 200] HU. Lung masks come with the images. Scanner frames can lie
decimetres apart, farther than these tools search, so all of them start from **the shift of the two mask centres**,
and nothing else: the origin of the moving image is moved, so that no tool needs a start transform of its own, and
the shift is added to the displacement afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

WINDOW_HU = (-1000.0, 200.0)
MASK_MARGIN_MM = 5.0


@dataclass(frozen=True)
class Pair:
    """Images and masks as SimpleITK images, and as files in ``folder``.

    The moving side already carries the start shift in its origin. ``metric_mask`` is the fixed lung grown by
    ``MASK_MARGIN_MM``, so that the pleura itself counts.
    """

    fixed: sitk.Image
    moving: sitk.Image
    fixed_mask: sitk.Image
    moving_mask: sitk.Image
    metric_mask: sitk.Image
    shift: np.ndarray
    folder: Path
    threads: int

    def path(self, name: str) -> str:
        """File of one of the images (written on first use)."""
        path = self.folder / f"{name}.nii.gz"
        if not path.exists():
            sitk.WriteImage(getattr(self, name), str(path), useCompression=False)
        return str(path)


def load(
    fixed: str, moving: str, fixed_mask: str, moving_mask: str, folder: Path, threads: int
) -> Pair:
    """Read the four files; masks lie on the grids of their images."""
    images = [
        sitk.Clamp(sitk.ReadImage(file, sitk.sitkFloat32), sitk.sitkFloat32, *WINDOW_HU)
        for file in (fixed, moving)
    ]
    masks = [sitk.Cast(sitk.ReadImage(m) > 0, sitk.sitkUInt8) for m in (fixed_mask, moving_mask)]
    shift = _centre(masks[1]) - _centre(masks[0])
    for image in (images[1], masks[1]):
        image.SetOrigin((np.array(image.GetOrigin()) - shift).tolist())
    radius = [max(1, round(MASK_MARGIN_MM / s)) for s in masks[0].GetSpacing()]
    metric_mask = sitk.BinaryDilate(masks[0], radius)
    return Pair(images[0], images[1], masks[0], masks[1], metric_mask, shift, folder, threads)


def total_displacement(field: sitk.Image, pair: Pair) -> sitk.Image:
    """The field of a tool with the start shift added, float32, on the fixed grid.

    Raises:
        ValueError: no image with three numbers a voxel, or values that are no numbers.
    """
    count = field.GetNumberOfComponentsPerPixel() if isinstance(field, sitk.Image) else 0
    if count != 3:
        found = f"one of {count}" if count else type(field).__name__
        raise ValueError(f"register(pair) returned no image of 3 components, but {found}")
    if _place(field) != _place(pair.fixed):
        nearest_outside = sitk.sitkLinear, 0.0, sitk.sitkVectorFloat64, True
        field = sitk.Resample(field, pair.fixed, sitk.Transform(), *nearest_outside)
    total = sitk.GetArrayFromImage(field).astype(np.float64) + pair.shift
    if not np.isfinite(total).all():
        raise ValueError("displacements that are no numbers")
    out = sitk.GetImageFromArray(total.astype(np.float32), isVector=True)
    out.CopyInformation(pair.fixed)
    return out


def _place(image: sitk.Image) -> tuple[object, ...]:
    numbers = [*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()]
    return (image.GetSize(), *(round(number, 6) for number in numbers))


def _centre(mask: sitk.Image) -> np.ndarray:
    index = np.argwhere(sitk.GetArrayViewFromImage(mask) > 0)
    if len(index) == 0:
        raise ValueError("an empty lung mask")
    return np.array(mask.TransformContinuousIndexToPhysicalPoint(index.mean(axis=0)[::-1].tolist()))
