"""The voxels of DICOM slices in HU.

GDCM (through SimpleITK) decodes and rescales each slice; frames of enhanced CT, of which GDCM would
rescale all with the values of the first, and slices that are shown inverted (MONOCHROME1), which GDCM would
invert, are decoded by pydicom and rescaled here.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
import torch

from ..errors import InputError
from ..space import AIR_HU, Grid, Volume
from .dicom_header import UNREADABLE, Header, path_of, text
from .quiet import itk_name, quiet_itk

#: That of compressed voxels, as DICOM writes it.
_UNKNOWN_LENGTH = 0xFFFFFFFF
#: Where voxels may be; GDCM reads whole numbers only.
_VOXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def pixel_digest(path: Path) -> str:
    """A digest of the stored voxels of a file, encoded as they are; of the whole file if it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, specific_tags=["PixelData"], force=True).get("PixelData")
    except UNREADABLE:
        data = None
    return hashlib.sha256(path.read_bytes() if data is None else data).hexdigest()


def read_stack(headers: Sequence[Header], grid: Grid) -> Volume:
    """Slices in their order along the normal as one float32 volume in HU, padding set to -1024.

    Raises:
        InputError: a slice that does not decode or is not of the size that its header says.
    """
    data = np.empty(grid.shape, dtype=np.float32)
    try:
        for k, header in enumerate(headers):
            data[k] = slice_pixels(path_of(header), header)
    finally:
        _all_frames.cache_clear()
    return Volume(torch.from_numpy(data), grid)


def slice_pixels(path: Path, header: Header) -> np.ndarray:
    """The HU of one slice (rows, columns), float32.

    Raises:
        InputError: as :func:`read_stack`.
    """
    frame = header.frame_index
    _check_length(path, header)
    if frame is None and text(header, "PhotometricInterpretation") == "MONOCHROME1":
        frame = 0  # GDCM would invert the values, so that they look right on a screen
    values = _decoded(path) if frame is None else _frame_values(path, header, frame)
    if values.shape != (int(header.Rows), int(header.Columns)):
        raise InputError(
            path, expected=f"{header.Rows} rows of {header.Columns}", found=f"{values.shape}"
        )
    padding = _padding(header)
    if padding is not None:
        low, high = padding
        values[(values >= low) & (values <= high)] = AIR_HU
    return values


def _check_length(path: Path, header: Header) -> None:
    """Where there are fewer voxels than the header says, GDCM hands over what is in memory behind them."""
    if header.frame_index is not None:
        return  # pydicom refuses it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pydicom.dcmread(path, specific_tags=[*_VOXELS], defer_size=64, force=True)
            there = [tag for tag in _VOXELS if tag in found]
            stored = found.get_item(there[0], keep_deferred=True) if there else None
    except UNREADABLE as error:
        raise _undecodable(path) from error
    if "PixelData" not in there:
        raise InputError(
            path,
            expected="a slice with PixelData",
            found=" and ".join(there) or "none",
            do="export the series again, as CT images with whole numbers",
        )
    length = getattr(stored, "length", _UNKNOWN_LENGTH)
    bits = int(header.get("BitsAllocated") or 16)
    needed = (int(header.Rows) * int(header.Columns) * bits + 7) // 8
    if length < needed:
        raise InputError(
            path,
            expected=f"{needed} bytes of voxels ({header.Rows} rows of {header.Columns})",
            found=str(length),
            do="it is truncated, or its header is of another image: export it again",
        )


def _decoded(path: Path) -> np.ndarray:
    try:
        with quiet_itk():
            reader = sitk.ImageFileReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetOutputPixelType(sitk.sitkFloat32)
            reader.SetFileName(itk_name(path))
            values = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise _undecodable(path) from error
    return values.reshape(values.shape[-2:])


def _frame_values(path: Path, header: Header, frame: int) -> np.ndarray:
    stored = _all_frames(path)
    if frame >= len(stored):
        raise _undecodable(path)
    slope = float(header.get("RescaleSlope") or 1.0)
    return (stored[frame] * slope + float(header.get("RescaleIntercept") or 0.0)).astype(np.float32)


@lru_cache(maxsize=1)
def _all_frames(path: Path) -> np.ndarray:
    """The stored values of a multi-frame file, (frames, rows, columns)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = pydicom.dcmread(path).pixel_array
    except (RuntimeError, *UNREADABLE) as e:
        raise _undecodable(path) from e
    return stored[None] if stored.ndim == 2 else stored


def _undecodable(path: Path) -> InputError:
    return InputError(
        path,
        expected="a slice that decodes",
        found=f"truncated, damaged or unknown compression{_compression(path)}",
        do="export the series again, without compression",
    )


def _compression(path: Path) -> str:
    """How the voxels are encoded, in brackets; empty where they are not compressed or the file does not say."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meta = pydicom.dcmread(path, specific_tags=[], stop_before_pixels=True).file_meta
            syntax = meta.TransferSyntaxUID
            return f" ({syntax.name})" if syntax.is_compressed else ""
    except UNREADABLE:
        return ""


def _padding(header: Header) -> tuple[float, float] | None:
    """The range of rescaled values that only fill the matrix outside the scanned circle."""
    first = header.get("PixelPaddingValue")
    if first is None:
        return None
    last = header.get("PixelPaddingRangeLimit")
    ends = [_stored(value, header) for value in (first, first if last is None else last)]
    slope = float(header.get("RescaleSlope") or 1.0)
    intercept = float(header.get("RescaleIntercept") or 0.0)
    low, high = sorted(np.float32(end * slope + intercept) for end in ends)
    return float(low) - 1e-3, float(high) + 1e-3


def _stored(value: object, header: Header) -> int:
    """A padding value as the pixels hold it: some scanners write -2000 as the unsigned 63536."""
    if isinstance(value, bytes):
        value = int.from_bytes(value[:2], "little")
    number = int(str(value))
    bits = int(header.get("BitsAllocated") or 16)
    if int(header.get("PixelRepresentation") or 0) == 1 and number >= 1 << (bits - 1):
        return number - (1 << bits)
    return number % (1 << bits) if not header.get("PixelRepresentation") else number
