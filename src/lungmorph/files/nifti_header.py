"""What a NIfTI-1 file really holds.

ITK repairs in silence: a spacing of zero becomes 1 mm, a sheared sform gives way to the qform, NaN
and infinity become 0, and so does the missing end of a truncated file. All of it is looked at here.
"""

from __future__ import annotations

import gzip
import logging
import math
import os
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

from ..errors import InputError
from ..space.grid import Float
from .nifti_forms import apart, quaternion_form
from .replace import file_suffix

_log = logging.getLogger(__name__)
_HEAD_BYTES, _HEADER_BYTES = 540, 348
_CHUNK = 1 << 22

_FLOAT32, _FLOAT64 = 16, 64

#: Distance of the two places that a header gives an image, mm, that is more than rounding.
FORMS_APART_MM = 0.1
#: Intent code of displacements, RAS mm (DISPVECT).
DISPLACEMENT_INTENT = 1006
#: Intent codes of FSL's own fields and coefficients.
FSL_INTENTS = range(2001, 2019)
#: Intent name of SPM's deformations (``y_*.nii``), which hold positions.
SPM_MAPPING = "Mapping"


@dataclass(frozen=True)
class NiftiHeader:
    """The fields that are checked; ``qform`` and ``sform`` are 3x4, from indices to RAS mm."""

    byte_order: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    datatype: int
    bits: int
    offset: float
    slope: float
    intercept: float
    intent: int
    intent_parameter: float
    intent_name: str
    qform_code: int
    sform_code: int
    qform: Float
    sform: Float

    @property
    def is_float(self) -> bool:
        """Whether values may be NaN or infinite."""
        return self.datatype in (_FLOAT32, _FLOAT64)

    @property
    def has_vectors(self) -> bool:
        """Whether every voxel has several numbers, along the fifth axis."""
        return len(self.shape) > 4 and self.shape[4] > 1

    @property
    def is_scaled(self) -> bool:
        """Whether values are stored as something else than they mean."""
        return self.slope not in (0.0, 1.0) or (self.slope == 1.0 and self.intercept != 0.0)

    @property
    def file_bytes(self) -> int:
        """How long the (uncompressed) single file has to be."""
        return int(self.offset) + (math.prod(self.shape) * self.bits + 7) // 8


def read_nifti_header(path: str | os.PathLike[str]) -> NiftiHeader:
    """Read the header of ``.nii`` or ``.nii.gz``.

    Raises:
        InputError: no NIfTI header, fewer bytes than one, NIfTI-2 (which ITK does not read), or an ANALYZE
            header, which does not say where the image lies; voxels that would begin in the header; a compressed
            file that is called ``.nii``.
    """
    try:
        if file_suffix(path) == ".nii" and _is_gzip(path):
            raise InputError(
                path, expected="a NIfTI file", found="a compressed one", do="rename it to .nii.gz"
            )
        with _opened(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(path, expected="a whole NIfTI file", found=_why(error)) from error
    for order in "<>":
        if len(head) >= 348 and struct.unpack_from(f"{order}i", head)[0] == 348:
            return _nifti_1(path, head, order)
        if len(head) >= 540 and struct.unpack_from(f"{order}i", head)[0] == 540:
            raise InputError(path, expected="NIfTI-1", found="NIfTI-2", do="convert it")
    raise InputError(
        path,
        expected="a NIfTI file",
        found="a file without its header",
        do="it may be truncated or of another format",
    )


def check_nifti_header(path: str | os.PathLike[str]) -> NiftiHeader:
    """Check what ITK would repair in a header: spacing, sform and qform.

    Raises:
        InputError: no NIfTI-1; zero, negative or non-finite spacing; a sheared sform; a qform, where it counts, that
            is not finite.
    """
    header = read_nifti_header(path)
    spacing = header.spacing[:3]
    if not all(math.isfinite(s) and s > 0 for s in spacing):
        raise InputError(
            path,
            expected="a positive spacing in mm",
            found="x".join(f"{s:g}" for s in spacing) + " (pixdim)",
            do="correct the header",
        )
    if header.sform_code > 0 and len(header.shape) >= 3:
        _check_sform(path, header)
    elif header.qform_code > 0 and not np.isfinite(header.qform).all():
        raise InputError(
            path,
            expected="a quaternion and an offset of finite numbers",
            found="others (qform)",
            do="correct the header",
        )
    elif header.qform_code <= 0:
        _log.warning("%s has neither qform nor sform: its orientation is unknown", path)
    if header.sform_code > 0 and header.qform_code > 0 and len(header.shape) >= 3:
        far = apart(header.qform, header.sform, header.shape)
        if far > FORMS_APART_MM:
            _log.warning(
                "%s: its qform and its sform put it up to %.3g mm apart; it lies where ITK and 3D Slicer read it,"
                " and elsewhere in programs that take the other",
                path,
                far,
            )
    return header


def _check_sform(path: str | os.PathLike[str], header: NiftiHeader) -> None:
    columns = header.sform[:, :3]
    length = np.linalg.norm(columns, axis=0)
    if not np.isfinite(header.sform).all() or length.min() < 1e-6:
        raise InputError(
            path,
            expected="an orthonormal direction",
            found="an sform with an axis of no length",
            do="correct the header",
        )
    axes = columns / length
    skew = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if skew > 1e-3:
        raise InputError(
            path,
            expected="an orthonormal direction",
            found=f"sheared axes in the sform (cosine {skew:.3g} between two of them)",
            do="resample the image to an orthogonal grid",
        )
    if np.abs(length / np.asarray(header.spacing[:3]) - 1).max() > 1e-2:
        raise InputError(
            path,
            expected="one spacing",
            found=f"{_mm(header.spacing[:3])} (pixdim) and {_mm(length)} (sform)",
            do="correct the header",
        )


def check_nifti_data(path: str | os.PathLike[str]) -> None:
    """Read the file to its end: gzip checks its checksum, bytes and non-finite values are counted.

    Raises:
        InputError: truncated or damaged; NaN or infinity.
    """
    header = read_nifti_header(path)
    length = bad = 0
    number = np.dtype(f"{header.byte_order}f{header.bits // 8}") if header.is_float else None
    try:
        with _opened(path) as stream:
            length += len(stream.read(int(header.offset)))
            while chunk := stream.read(_CHUNK):
                length += len(chunk)
                if number is not None:
                    whole = len(chunk) // number.itemsize
                    values = np.frombuffer(chunk, number, count=whole)
                    bad += whole - int(np.isfinite(values).sum())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            path,
            expected="a whole file",
            found=_why(error),
            do="it is truncated or damaged: copy it again",
        ) from error
    if length < header.file_bytes:
        raise InputError(
            path,
            expected=f"{header.file_bytes} bytes",
            found=f"{length}",
            do="the file is truncated: copy it again",
        )
    if bad:
        raise InputError(
            path,
            expected="finite values",
            found=f"{bad} of NaN or infinity",
            do="make it again" if header.has_vectors else "replace them (air is -1000 HU)",
        )


def _nifti_1(path: str | os.PathLike[str], head: bytes, order: str) -> NiftiHeader:
    offset = struct.unpack_from(f"{order}f", head, 108)[0]
    if head[344:347] not in (b"n+1", b"ni1") or not 0 <= offset < 1e9:
        raise InputError(
            path,
            expected="a NIfTI-1 header",
            found="ANALYZE's, or a damaged one",
            do="convert it to NIfTI",
        )
    if head[344:347] == b"n+1" and offset < _HEADER_BYTES:
        raise InputError(
            path,
            expected=f"voxels behind the header (vox_offset from {_HEADER_BYTES} on)",
            found=f"{offset:g}",
            do="write the image again",
        )
    dim = struct.unpack_from(f"{order}8h", head, 40)
    qform_code, sform_code = struct.unpack_from(f"{order}2h", head, 252)
    return NiftiHeader(
        byte_order=order,
        shape=_shape(dim),
        spacing=struct.unpack_from(f"{order}7f", head, 80),
        datatype=struct.unpack_from(f"{order}h", head, 70)[0],
        bits=struct.unpack_from(f"{order}h", head, 72)[0],
        offset=offset,
        slope=struct.unpack_from(f"{order}f", head, 112)[0],
        intercept=struct.unpack_from(f"{order}f", head, 116)[0],
        intent=struct.unpack_from(f"{order}h", head, 68)[0],
        intent_parameter=struct.unpack_from(f"{order}f", head, 56)[0],
        intent_name=_text(head[328:344]),
        qform_code=qform_code,
        sform_code=sform_code,
        qform=quaternion_form(
            struct.unpack_from(f"{order}6f", head, 256), struct.unpack_from(f"{order}4f", head, 76)
        ),
        sform=np.array(struct.unpack_from(f"{order}12f", head, 280)).reshape(3, 4),
    )


def _shape(dim: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(int(n), 0) for n in dim[1 : 1 + min(max(dim[0], 0), 7)])


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace").strip()


def _mm(values: object) -> str:
    return "x".join(f"{float(v):.4g}" for v in np.asarray(values))


def _is_gzip(path: str | os.PathLike[str]) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if _is_gzip(path) else open(path, "rb")


def _why(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
