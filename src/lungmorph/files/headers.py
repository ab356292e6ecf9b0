"""Where an image lies, from its header: no voxel is read, so a whole dataset is looked over in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError
from ..space import Grid
from .dicom_mark import is_dicom
from .geometry import PathLike, grid_of
from .meta_header import check_meta_header
from .nifti_header import check_nifti_header
from .nrrd_header import check_nrrd_header
from .quiet import itk_name, itk_reason, quiet_itk
from .replace import file_suffix

READABLE = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr")


def read_grid(path: PathLike, series: str | None = None) -> Grid:
    """The grid of a 3D scalar image, LPS mm, from its header alone.

    Args:
        path, series: as in :func:`lungmorph.files.read_image`.

    Raises:
        InputError: whatever :func:`lungmorph.files.read_image` refuses for its name or its header.
            Damage to the voxels is not seen.
    """
    path = Path(path)
    where = dicom_place(path, series)
    if where is not None:
        from .dicom import read_series_grid

        return read_series_grid(*where)
    return grid_of(open_header(path), path)


def open_header(path: Path) -> sitk.ImageFileReader:
    """A reader that has seen the header of a 3D scalar image file, which is one that can be trusted.

    Raises:
        InputError: as :func:`read_grid`, except for spacing and direction.
    """
    check_header(path)
    try:
        with quiet_itk():
            reader = sitk.ImageFileReader()
            reader.SetFileName(itk_name(path))
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise unreadable(path, error) from error
    check_dimensions(path, reader.GetSize())
    check_pixels(path, reader.GetNumberOfComponents(), reader.GetPixelID())
    return reader


def dicom_place(path: Path, series: str | None) -> tuple[Path, str | None] | None:
    """The DICOM folder and series that a path stands for; None for an image file.

    Raises:
        InputError: nothing there, or neither DICOM nor of a suffix that is known.
    """
    if not path.exists():
        raise InputError(path, expected="an image file or a DICOM folder", found="nothing there")
    if path.is_dir():
        return path, series
    if file_suffix(path) in READABLE:
        return None
    if is_dicom(path):
        from .dicom import series_of

        return path.parent, series or series_of(path)
    raise InputError(
        path,
        expected=f"an image ({', '.join(READABLE)}) or a DICOM folder",
        found=f"the suffix {file_suffix(path) or '(none)'!r}",
    )


def check_header(path: Path) -> None:
    """Refuse what ITK would repair in silence in the header of an image file.

    Raises:
        InputError: as :func:`lungmorph.files.nifti_header.check_nifti_header`,
            :func:`lungmorph.files.meta_header.check_meta_header` and
            :func:`lungmorph.files.nrrd_header.check_nrrd_header`.
    """
    if file_suffix(path) in (".nii", ".nii.gz"):
        check_nifti_header(path)
    elif file_suffix(path) in (".mha", ".mhd"):
        check_meta_header(path)
    else:
        check_nrrd_header(path)


def check_dimensions(path: Path, size: Sequence[int]) -> None:
    """Refuse what is not 3D; further axes of one voxel do not count.

    Raises:
        InputError: with what the axes seem to be.
    """
    if len(size) == 3 or (len(size) > 3 and set(size[3:]) == {1}):
        return
    found = f"{len(size)} dimensions ({'x'.join(str(n) for n in size)})"
    if len(size) == 4:
        raise InputError(
            path,
            expected="a 3D image",
            found=f"{found}: {size[3]} phases or time points",
            do="extract one phase into a file of its own",
        )
    raise InputError(path, expected="a 3D image", found=found)


def check_pixels(path: Path, components: int, pixel: int) -> None:
    """Refuse colour, vectors and complex numbers.

    Raises:
        InputError: with what there is.
    """
    if components != 1:
        raise InputError(
            path,
            expected="one value a voxel",
            found=f"{components} (colour or vectors)",
            do="convert it to a scalar CT image",
        )
    if pixel in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise InputError(path, expected="real numbers", found=sitk.GetPixelIDValueAsString(pixel))


def unreadable(path: Path, error: RuntimeError) -> InputError:
    """What ITK could not do, as one line."""
    text = str(error).lower()
    if "spacing" in text:
        return InputError(
            path,
            expected="a positive spacing in mm",
            found="zero, or no number, in its header",
            do="correct the header",
        )
    if "orthonormal" in text or "direction" in text or "determinant" in text:
        return InputError(
            path,
            expected="an orthonormal direction",
            found="another one in its header",
            do="correct the header",
        )
    capitals = path.suffix.lower() in (".mhd", ".mha") and path.suffix != path.suffix.lower()
    return InputError(
        path,
        expected="a readable image",
        found=f"a truncated, damaged or foreign file ({itk_reason(error)})",
        do=f"rename it to {path.suffix.lower()}: ITK does not know capitals" if capitals else "",
    )
