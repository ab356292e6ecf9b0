"""Images and masks: NIfTI, MetaImage and NRRD in and out, DICOM folders in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from ..errors import InputError
from ..space import Grid, Volume
from .geometry import PathLike, describe, grid_of, place_on_grid
from .headers import check_dimensions, check_header, check_pixels, dicom_place, unreadable
from .itk_write import replacing_by_itk
from .meta_header import check_meta_data
from .nifti_header import check_nifti_data, read_nifti_header
from .quiet import itk_name, quiet_itk
from .replace import file_suffix

#: Formats of one file: a header with a separate data file cannot appear whole or not at all.
WRITABLE = (".nii.gz", ".nii", ".mha", ".nrrd")


def read_image(path: PathLike, series: str | None = None) -> Volume:
    """Read a 3D CT as float32.

    Args:
        path: NIfTI, MetaImage or NRRD, a DICOM folder, or one DICOM file (its series is read from
            the folder it lies in).
        series: which series of a DICOM folder: its UID, a unique part of it, its number or its
            description.

    Returns:
        The values as stored (rescaled, HU for a CT), (D, H, W), on its Grid (LPS, mm). Whether they
        look like HU is not checked here.

    Raises:
        InputError: the file is missing, damaged or of an unknown format; it is not one 3D scalar
            image; it has NaN or infinite values; its direction is not right-handed and orthonormal,
            its spacing is outside 0.05 to 50 mm, or an axis has fewer than 2 voxels; what
            :func:`lungmorph.files.dicom.read_series` refuses.
    """
    path = Path(path)
    where = dicom_place(path, series)
    if where is not None:
        from .dicom import read_series

        return _checked(read_series(*where), path)
    image = read_itk_image(path)
    check_pixels(path, image.GetNumberOfComponentsPerPixel(), image.GetPixelID())
    grid = grid_of(image, path)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        values = sitk.GetArrayViewFromImage(image).astype(np.float32)
    return _checked(Volume(torch.from_numpy(values), grid), path)


def read_mask(path: PathLike, like: Volume | Grid | None = None) -> Volume:
    """Read a mask: bool, True where the file is above 0.

    Args:
        path: as in :func:`read_image`.
        like: the image that the mask belongs to, or its grid.

    Raises:
        InputError: as :func:`read_image`; the mask is empty; it lies on another grid than ``like``
            (size, or a corner more than 0.001 mm off).
    """
    image = read_image(path)
    grid = like.grid if isinstance(like, Volume) else like or image.grid
    check_mask_grid(path, image.grid, grid)
    lowest = float(image.data.min())
    if lowest < 0:
        raise InputError(
            path,
            expected="a mask, 0 outside and above 0 inside",
            found=f"values down to {lowest:g}: a CT?",
        )
    mask = image.data > 0
    if not bool(mask.any()):
        raise InputError(path, expected="a mask", found="no voxel above 0")
    # the same object, so that rounding in a header never makes two grids of one
    return Volume(mask, grid)


def check_mask_grid(path: PathLike, found: Grid, image: Grid) -> None:
    """Refuse a mask on another grid than its image: other size, or a corner more than 0.001 mm off.

    Raises:
        InputError: with both grids.
    """
    if not found.same_as(image):
        raise InputError(
            path,
            expected=f"the geometry of its image, {describe(image)}",
            found=describe(found),
            do="resample the mask to the image",
        )


def write_image(volume: Volume, path: PathLike) -> None:
    """Write a volume as NIfTI (``.nii``, ``.nii.gz``), ``.mha`` or ``.nrrd``; masks as uint8.

    The file appears whole or not at all.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    values = volume.data.detach().cpu()
    if values.dtype == torch.bool:
        values = values.to(torch.uint8)
    elif values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    image = sitk.GetImageFromArray(values.numpy())
    place_on_grid(image, volume.grid)
    write_itk_image(image, path)


# ------------------------------------------------------------------ shared with transforms.py


def read_itk_image(
    path: PathLike, *, squeeze: Callable[[sitk.ImageFileReader], sitk.Image | None] | None = None
) -> sitk.Image:
    """A file as a 3D ``SimpleITK.Image`` of any pixel type; ``squeeze`` may take other dimensions.

    Raises:
        InputError: missing or damaged; a header that cannot be trusted; not 3D.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, expected="an image file", found="nothing there")
    check_header(path)
    if file_suffix(path) in (".nii", ".nii.gz"):
        _check_nifti(path)
    elif file_suffix(path) in (".mha", ".mhd"):
        check_meta_data(path)
    try:
        with _unmistakable(path) as name, quiet_itk():
            reader = sitk.ImageFileReader()
            reader.SetFileName(itk_name(name))
            reader.ReadImageInformation()
            size = reader.GetSize()
            image = None if squeeze is None else squeeze(reader)
            if image is not None:
                return image
            check_dimensions(path, size)
            if len(size) > 3:
                reader.SetExtractSize([*size[:3], *([0] * (len(size) - 3))])
            return reader.Execute()
    except RuntimeError as error:
        raise unreadable(path, error) from error


def _check_nifti(path: Path) -> None:
    """What ITK would repair in silence, and what it crashes on: vectors of scaled integers."""
    header = read_nifti_header(path)
    if header.has_vectors and header.is_scaled and not header.is_float:
        raise InputError(
            path,
            expected="one value a voxel, or vectors of floating point numbers",
            found=f"{header.shape[4]} scaled whole numbers a voxel",
        )
    check_nifti_data(path)


@contextmanager
def _unmistakable(path: Path) -> Iterator[Path]:
    """A name under which niftilib finds the right voxels.

    Given ``a.nii.gz`` it takes the header from there, but the voxels from ``a.nii`` if that exists.
    """
    if file_suffix(path) != ".nii.gz" or not path.with_suffix("").exists():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "image.nii.gz"
        try:
            alone.symlink_to(path.resolve())
        except OSError:  # Windows without the right to make links
            shutil.copyfile(path, alone)
        yield alone


def write_itk_image(image: sitk.Image, path: PathLike) -> None:
    """Write a ``SimpleITK.Image``, compressed where the format can, whole or not at all.

    Raises:
        InputError: a suffix that is not in ``WRITABLE``, or the file cannot be written.
    """
    if file_suffix(path) not in WRITABLE:
        raise InputError(
            path,
            expected=f"one of {', '.join(WRITABLE)}",
            found=f"the suffix {file_suffix(path) or '(none)'!r}",
        )
    with replacing_by_itk(path) as temporary:
        sitk.WriteImage(image, str(temporary), file_suffix(path) != ".nii")


# ------------------------------------------------------------------ what can be wrong


def _checked(volume: Volume, path: Path) -> Volume:
    finite = torch.isfinite(volume.data)
    if not bool(finite.all()):
        bad = int(finite.numel() - finite.sum())
        raise InputError(
            path,
            expected="finite values",
            found=f"{bad} voxels of NaN or infinity",
            do="replace them (air is -1000 HU)",
        )
    return volume
