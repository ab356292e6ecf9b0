"""Transforms: ITK transform files (``.h5``, ``.tfm``, ``.txt``, ``.mat``), displacement images, DICOM registrations.

Convention: all of them map fixed points to moving points in LPS mm, as in memory.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..space import Affine, Composite, DisplacementField, Grid, Transform
from .bspline import sampled_bspline
from .dicom_mark import is_dicom
from .displacements import check_displacements
from .elastix import is_elastix, read_elastix
from .geometry import PathLike, grid_of, place_on_grid
from .headers import READABLE
from .images import WRITABLE, read_itk_image, write_itk_image
from .itk_write import replacing_by_itk
from .nifti_header import DISPLACEMENT_INTENT, FSL_INTENTS, SPM_MAPPING, read_nifti_header
from .niftyreg_field import is_niftyreg, niftyreg_field
from .nrrd_header import check_nrrd_vectors
from .quiet import itk_name, itk_reason, quiet_itk
from .replace import file_suffix
from .transform_count import check_only_one, is_wrapped
from .transform_text import check_whole_text, foreign_text, unknown_type

TEXT_FILES = (".tfm", ".txt")
TRANSFORM_FILES = (".h5", ".hdf5", ".hdf", *TEXT_FILES, ".mat")


def read_transform(path: PathLike) -> Transform:
    """Read a transform, fixed to moving points, LPS mm.

    * ITK transform file: everything linear (affine, rigid, similarity, scale, translation) becomes
      an :class:`Affine`; a displacement field keeps its grid; a B-spline is sampled finely (see
      :func:`lungmorph.files.bspline.sampled_bspline`); composites of any nesting keep their order.
    * Displacement image (NIfTI, MetaImage, NRRD): three components a voxel, mm along the world axes,
      LPS; also the NIfTI layouts (x, y, z, 1, 3) and (x, y, z, 3). With the NIfTI intent 1006
      (DISPVECT) the vectors are RAS by definition and ITK turns them into LPS while reading; of
      four axes it turns the wrong ones, and they are refused. Fields of NiftyReg, see
      :func:`lungmorph.files.niftyreg_field.niftyreg_field`.
    * Parameter file of elastix, with those it names (see :func:`lungmorph.files.elastix.read_elastix`).
    * DICOM registration, rigid or deformable, under any file name (see
      :func:`lungmorph.files.dicom_registration.read_dicom_registration`).

    Raises:
        InputError: missing, damaged or unknown file; a 2D transform; several that no composite joins; a scalar image; displacements
            that are not finite, beyond all measure, or scaled; a field of FSL or SPM, which has another meaning; vectors of an NRRD in another
            space than LPS.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing there"
        raise InputError(path, expected="a transform file", found=found)
    suffix = file_suffix(path)
    if suffix in READABLE:
        return _read_displacement_image(path)
    if is_dicom(path):
        from .dicom_registration import read_dicom_registration

        return read_dicom_registration(path)
    if suffix not in TRANSFORM_FILES:
        bare = suffix in (".npy", ".npz")
        raise InputError(
            path,
            do="it does not say where its voxels lie: write it as a displacement image, LPS mm"
            if bare
            else "",
            expected=f"a transform ({', '.join((*TRANSFORM_FILES, *READABLE))}, DICOM REG)",
            found=f"the suffix {suffix or '(none)'!r}",
        )
    if suffix == ".txt" and is_elastix(path):
        return read_elastix(path, _from_itk)
    try:
        with quiet_itk():
            read = sitk.ReadTransform(itk_name(path))
    except (RuntimeError, KeyError) as error:
        reason = f"a truncated, damaged or foreign one ({itk_reason(error)})"
        known = foreign_text(path) if suffix in (*TEXT_FILES, ".mat") else None
        found, do = known or unknown_type(reason) or (reason, "")
        raise InputError(path, expected="an ITK transform file", found=found, do=do) from error
    if read.GetDimension() != 3:
        raise InputError(path, expected="a 3D transform", found=f"{read.GetDimension()}D")
    check_only_one(path, read)
    if suffix in TEXT_FILES:
        check_whole_text(path, read)
    return _from_itk(read, path)


def is_of_itk(path: PathLike) -> bool:
    """Whether ITK and 3D Slicer understand a transform file as it is; those of other tools only LungMorph turns into theirs."""
    path = Path(path)
    suffix = file_suffix(path)
    if suffix in (".nii", ".nii.gz"):
        return not is_niftyreg(read_nifti_header(path))
    return not is_dicom(path) and not (suffix == ".txt" and is_elastix(path))


def write_transform(transform: Transform, path: PathLike, grid: Grid | None = None) -> None:
    """Write a transform for ITK and 3D Slicer; the file appears whole or not at all.

    Args:
        transform: fixed to moving points, LPS mm.
        path: ``.h5`` or ``.tfm``/``.txt`` for any transform, ``.mat`` for an affine or a field, or
            ``.nii.gz``/``.nii``/``.mha``/``.nrrd`` for an image of displacements (float32, mm, LPS).
        grid: where to sample the displacements of an image, needed unless ``transform`` is a field.

    Raises:
        InputError: another suffix, an image without a grid, or nothing can be written.
    """
    suffix = file_suffix(path)
    if suffix in WRITABLE:
        if not isinstance(transform, DisplacementField) and grid is None:
            raise InputError(
                path,
                expected="a displacement field, or a grid to sample it on",
                found=type(transform).__name__,
                do="write it as .h5",
            )
        field = transform.displacement_on(grid) if grid is not None else transform
        assert isinstance(field, DisplacementField)
        write_itk_image(_vector_image(field, np.float32), path)
        return
    if suffix not in TRANSFORM_FILES or (suffix == ".mat" and isinstance(transform, Composite)):
        raise InputError(
            path,
            expected=f"one of {', '.join(('.h5', '.tfm', '.txt', *WRITABLE))}",
            found=f"the suffix {suffix or '(none)'!r}",
        )
    made = to_itk(transform)
    with replacing_by_itk(path) as temporary:
        sitk.WriteTransform(made, str(temporary))


def to_itk(transform: Transform) -> sitk.Transform:
    """The same mapping as a SimpleITK transform."""
    if isinstance(transform, Affine):
        affine = sitk.AffineTransform(3)
        affine.SetMatrix(transform.linear.ravel().tolist())
        affine.SetTranslation(transform.translation.tolist())
        return affine
    if isinstance(transform, DisplacementField):
        return sitk.DisplacementFieldTransform(_vector_image(transform, np.float64))
    if isinstance(transform, Composite):
        composite = sitk.CompositeTransform(3)
        # ITK applies the transform that was added last first, and writes no nested composite
        for part in reversed(flat_parts(transform)):
            composite.AddTransform(to_itk(part))
        return composite
    raise TypeError(f"no ITK transform for {type(transform).__name__}")


def flat_parts(transform: Transform) -> list[Transform]:
    """The parts of a composite of any nesting, the first first; of another transform itself."""
    if isinstance(transform, Composite):
        return [leaf for part in transform.parts for leaf in flat_parts(part)]
    return [transform]


def _from_itk(transform: sitk.Transform, path: Path) -> Transform:
    if isinstance(transform, sitk.CompositeTransform) and not is_wrapped(transform):
        parts = [
            _from_itk(transform.GetNthTransform(n).Downcast(), path)
            for n in reversed(range(transform.GetNumberOfTransforms()))
        ]
        return parts[0] if len(parts) == 1 else Composite(parts)
    if isinstance(transform, sitk.DisplacementFieldTransform):
        return _field(transform.GetDisplacementField(), path)
    if isinstance(transform, sitk.BSplineTransform):
        return sampled_bspline(transform, path)
    if transform.IsLinear():
        return _affine(transform, path)
    raise InputError(
        path,
        expected="a linear, B-spline, displacement field or composite transform",
        found="a type that SimpleITK does not know"
        if is_wrapped(transform)
        else transform.GetName(),
        do="save it as a displacement field",
    )


def _affine(transform: sitk.Transform, path: Path) -> Affine:
    """A linear transform of any parameters is known by where it takes four points."""
    start = np.asarray(transform.TransformPoint((0.0, 0.0, 0.0)))
    ends = [np.asarray(transform.TransformPoint(tuple(axis))) for axis in np.eye(3).tolist()]
    if np.isfinite(start).all():
        check_displacements(path, start)
    try:
        return Affine.from_parts(np.stack(ends, axis=1) - start[:, None], start)
    except ValueError as error:
        found = "one that maps different places to the same, or parameters that are no numbers"
        raise InputError(path, expected="an invertible transform", found=found) from error


def _read_displacement_image(path: Path) -> DisplacementField:
    if file_suffix(path) in (".nii", ".nii.gz"):
        header = read_nifti_header(path)
        if is_niftyreg(header):
            return niftyreg_field(
                _field(read_itk_image(path, squeeze=_with_vectors), path), header, path
            )
        if header.intent in FSL_INTENTS:
            raise InputError(
                path,
                expected="displacements in LPS mm",
                found="a field of FSL, which is in scaled voxels of its images",
                do="convert it to an ITK displacement field",
            )
        if header.intent_name == SPM_MAPPING:
            raise InputError(
                path,
                expected="displacements in LPS mm",
                found="a deformation of SPM, which says where points go (RAS mm), not by how much they are displaced",
                do="subtract the place of each voxel, and write the difference in LPS mm as a displacement image",
            )
        if not header.is_float:
            # ITK crashes on vectors of scaled integers
            raise InputError(
                path,
                expected="a displacement image (3 floating point components, mm)",
                found=f"whole numbers of {header.bits} bits, {'x'.join(str(n) for n in header.shape)}",
            )
        if header.has_vectors and header.is_scaled and math.isfinite(header.slope):
            # ITK scales the first third of the numbers and leaves the others
            raise InputError(
                path,
                expected="displacements stored as they are, in mm",
                found=f"scaled ones (scl_slope {header.slope:g}, scl_inter {header.intercept:g})",
                do="write it again with a slope of 1",
            )
        if header.intent == DISPLACEMENT_INTENT and len(header.shape) == 4:
            # ITK takes the numbers of four axes for vectors and turns the wrong ones round
            raise InputError(
                path,
                expected="displacements (intent 1006) along the fifth axis, (x, y, z, 1, 3)",
                found=f"four axes, {'x'.join(str(n) for n in header.shape)}",
                do="write it with five axes, or its vectors in LPS with the intent 0",
            )
    if file_suffix(path) in (".nrrd", ".nhdr"):
        check_nrrd_vectors(path)
    return _field(read_itk_image(path, squeeze=_with_vectors), path)


def _with_vectors(reader: sitk.ImageFileReader) -> sitk.Image | None:
    """NIfTI's (x, y, z, 3) and (x, y, z, 1, 3) as an image of three components, else None."""
    size = reader.GetSize()
    if len(size) < 4 or size[-1] != 3 or math.prod(size[3:]) != 3:
        return None
    image = reader.Execute()
    values = np.reshape(sitk.GetArrayViewFromImage(image), (3, *size[2::-1]))
    made = sitk.GetImageFromArray(np.moveaxis(values, 0, -1), isVector=True)
    dimension = image.GetDimension()
    made.SetSpacing(image.GetSpacing()[:3])
    made.SetOrigin(image.GetOrigin()[:3])
    made.SetDirection(
        np.reshape(image.GetDirection(), (dimension, dimension))[:3, :3].ravel().tolist()
    )
    return made


def _field(image: sitk.Image, path: Path) -> DisplacementField:
    components = image.GetNumberOfComponentsPerPixel()
    values = sitk.GetArrayViewFromImage(image)
    if components != 3 or values.dtype.kind != "f":
        found = "a scalar image" if components == 1 else f"{components} components"
        raise InputError(
            path,
            expected="a displacement image (3 floating point components, mm)",
            found=f"{found} of {image.GetPixelIDTypeAsString()}",
        )
    grid = grid_of(image, path)
    data = np.ascontiguousarray(np.moveaxis(values, -1, 0), dtype=np.float32)
    check_displacements(path, data)
    return DisplacementField(torch.from_numpy(data), grid)


def _vector_image(field: DisplacementField, dtype: type) -> sitk.Image:
    values: NDArray[Any] = np.moveaxis(field.data.detach().cpu().numpy(), 0, -1)
    image = sitk.GetImageFromArray(values.astype(dtype), isVector=True)
    place_on_grid(image, field.grid)
    return image
