"""Displacements in the form in which the Learn2Reg challenge takes them.

The only file of LungMorph that is in voxels: it is written for the challenge and read by nothing here.
The challenge adds the field to the indices of the fixed image and reads the moving image there
(``scipy.ndimage.map_coordinates(moving, identity + field)``); both count from 0 along the axes of their
own files. Two forms:

* since late 2021: ``disp_0001_0001.nii.gz``, float32, array (X, Y, Z, 3), a displacement a voxel.
* 2020 and 2021: ``disp_0001_0001.npz``, float16, array (3, X/2, Y/2, Z/2) called ``arr_0``, which the
  challenge enlarges by ``scipy.ndimage.zoom(field, 2, order=2)``; the values are still in full voxels.

The numbers are those of the fixed and the moving subject. Where the images are not 0000 and 0001 (or of
one number) theirs are in the name too: ``disp_0001_0002_0001_0000.nii.gz``.

Sources: https://github.com/MDL-UzL/L2R (evaluation) and https://learn2reg.grand-challenge.org/Submission/.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from ..errors import InputError
from ..files.images import write_itk_image
from ..files.replace import replacing
from ..space import Transform
from ..space.grid import Float
from .case import Case
from .nifti_lattice import Lattice, read_lattice

_RELEASE = re.compile(r".*_(\d{4})_(\d{4})\.nii(\.gz)?")
_FIRST = re.compile(r"case_(\d{3})_(?:exp|insp)\.nii(\.gz)?")


def write_submission(
    folder: str | Path, case: Case, transform: Transform, half: bool | None = None
) -> Path:
    """Write the field of one pair, whole or not at all.

    Args:
        folder: where the fields of all pairs go; made if it is not there.
        case: of the Learn2Reg reader. Its files are looked at again, for the axes in which they count.
        transform: from fixed to moving points, LPS mm. It should cover the whole fixed image.
        half: the ``.npz`` of half resolution; None: for cases of the 2020 release only.

    Returns:
        The file.

    Raises:
        InputError: no pair of Learn2Reg, files that cannot be looked at, an odd size with ``half``,
            displacements that are not finite or too long for float16, nothing can be written.
    """
    images = case.scan(case.fixed).source, case.scan(case.moving).source
    name, first_form = _name(*images)
    fixed, moving = (read_lattice(image) for image in images)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(folder, expected="a folder to write into", found=str(error)) from error
    if first_form if half is None else half:
        return _write_half(folder / f"{name}.npz", transform, fixed, moving)
    path = folder / f"{name}.nii.gz"
    field = voxel_displacements(transform, fixed, moving, _whole_indices(fixed.grid.size))
    _check_finite(path, field)
    # a vector image would become (X, Y, Z, 1, 3), which the challenge refuses
    values = np.ascontiguousarray(field.transpose(3, 2, 1, 0))
    write_itk_image(sitk.GetImageFromArray(values, isVector=False), path)
    return path


def voxel_displacements(
    transform: Transform, fixed: Lattice, moving: Lattice, axes: tuple[Float, Float, Float]
) -> np.ndarray:
    """What to add to indices of the fixed file to get those of the moving file.

    Args:
        transform: from fixed to moving points, LPS mm.
        fixed, moving: the files.
        axes: indices along i, j, k of the fixed file, fractions allowed.

    Returns:
        (I, J, K, 3) float32, voxels of the files along i, j, k.
    """
    i, j, k = axes
    field = np.empty((len(i), len(j), len(k), 3), dtype=np.float32)
    for n, at in enumerate(i):  # a slab at a time, to keep the points of it in float64
        index = np.stack(np.meshgrid([at], j, k, indexing="ij"), axis=-1)
        points = torch.from_numpy(fixed.to_world(index))
        field[n] = (moving.to_index(transform.map_points(points).numpy()) - index)[0]
    return field


def _whole_indices(size: tuple[int, int, int]) -> tuple[Float, Float, Float]:
    i, j, k = (np.arange(n, dtype=np.float64) for n in size)
    return i, j, k


def _write_half(path: Path, transform: Transform, fixed: Lattice, moving: Lattice) -> Path:
    if any(n % 2 or n < 4 for n in fixed.grid.size):
        raise InputError(
            path, expected="even sizes, to be halved", found=f"{fixed.grid} of the fixed image"
        )
    # zoom() lays the first and the last sample of both arrays on one another
    i, j, k = (np.linspace(0, n - 1, n // 2) for n in fixed.grid.size)
    field = voxel_displacements(transform, fixed, moving, (i, j, k))
    _check_finite(path, field)
    with np.errstate(over="ignore"):
        short = np.moveaxis(field, -1, 0).astype(np.float16)
    _check_finite(path, short)
    with replacing(path) as temporary:
        np.savez_compressed(temporary, short)
    return path


def _check_finite(path: Path, field: np.ndarray) -> None:
    bad = int(field.size - np.isfinite(field).sum())
    if bad:
        raise InputError(
            path, expected="finite displacements", found=f"{bad} numbers of NaN or infinity"
        )


def _name(fixed: Path, moving: Path) -> tuple[str, bool]:
    """The name of the file without suffix, and whether the pair is of the 2020 release."""
    first = [_FIRST.fullmatch(image.name) for image in (fixed, moving)]
    if first[0] and first[1]:
        return f"disp_{int(first[0][1]):04d}_{int(first[1][1]):04d}", True
    parts = [_RELEASE.fullmatch(image.name) for image in (fixed, moving)]
    if not (parts[0] and parts[1]):
        raise InputError(
            fixed, expected="an image of Learn2Reg (LungCT_0001_0000.nii.gz)", found=fixed.name
        )
    (subject, number), (other, other_number) = (part.group(1, 2) for part in parts if part)
    if number == other_number or (number, other_number) == ("0000", "0001"):
        return f"disp_{subject}_{other}", False
    return f"disp_{subject}_{number}_{other}_{other_number}", False
