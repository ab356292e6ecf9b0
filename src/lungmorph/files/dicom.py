"""A CT series from a folder of DICOM files: nothing guessed, nothing repaired in silence.

pydicom reads the headers, GDCM (through SimpleITK) decodes and rescales the pixels of each slice,
and the volume is put together here, because ITK's series reader takes the spacing and the rescaling
for granted where slices are missing or differ.
"""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
import torch
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import CTImageStorage

from ..errors import InputError
from ..space import Grid, Volume
from .quiet import quiet_itk
from .slices import check_alike, stack_geometry

AIR_HU = -1024.0
_TAGS = [
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "GantryDetectorTilt",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "BitsAllocated",
]


@dataclass(frozen=True)
class Series:
    """The image files of one SeriesInstanceUID; ``size`` is (columns, rows) of the first."""

    uid: str
    number: int | None
    description: str
    modality: str
    size: tuple[int, int]
    files: tuple[Path, ...]

    def __str__(self) -> str:
        number = "-" if self.number is None else self.number
        words = self.description or "no description"
        return (
            f"number {number} '{words}' ({self.modality or 'no modality'}, {len(self.files)} slices"
            f" of {self.size[0]}x{self.size[1]}, UID ..{self.uid[-12:]})"
        )


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file carries the DICOM mark."""
    try:
        with open(path, "rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def series_of(path: str | os.PathLike[str]) -> str:
    """The SeriesInstanceUID of one file.

    Raises:
        InputError: it has none, or is no DICOM image.
    """
    header = _header(Path(path))
    if header is None:
        raise InputError(path, expected="a DICOM image", found="a DICOM file without image")
    return str(header.SeriesInstanceUID)


def list_series(folder: str | os.PathLike[str]) -> list[Series]:
    """The image series below a folder (searched with its subfolders), by number and UID.

    Files that are no DICOM image (reports, contours, DICOMDIR, notes) are passed over.

    Raises:
        InputError: no such folder.
    """
    return [series for series, _ in _grouped(Path(folder))]


def read_series(folder: str | os.PathLike[str], series: str | None = None) -> Volume:
    """Read one CT series as float32 HU.

    Args:
        folder: searched with its subfolders.
        series: UID, number or description of the wanted one, or a unique part of its UID; needed
            where there are several.

    Returns:
        Slices sorted along their normal (right-handed), spacing from their positions, each rescaled
        with its own slope and intercept, padding set to -1024.

    Raises:
        InputError: no image, several series, none or several that match ``series``, not CT, colour
            or multi-frame files, missing tags, slices that do not decode, differ in orientation,
            size or pixel spacing, are missing, doubled, unevenly spaced, or sheared by a gantry tilt.
    """
    files, headers, grid = _located(Path(folder), series)
    data = np.empty(grid.shape, dtype=np.float32)
    for k, (file, header) in enumerate(zip(files, headers, strict=True)):
        data[k] = _pixels(file, header)
    return Volume(torch.from_numpy(data), grid)


def read_series_grid(folder: str | os.PathLike[str], series: str | None = None) -> Grid:
    """Where :func:`read_series` would put its volume, without decoding a pixel; raises what it does."""
    return _located(Path(folder), series)[2]


def _located(folder: Path, series: str | None) -> tuple[list[Path], list[Dataset], Grid]:
    """The files of the chosen series in their order along its normal, their headers, their grid."""
    found = _grouped(folder)
    if not found:
        raise InputError(folder, expected="a folder with DICOM images", found="none in it")
    chosen, headers = _choose(folder, found, series)
    if chosen.modality != "CT":
        raise InputError(
            folder, expected="a CT series", found=f"modality {chosen.modality or '(none)'}"
        )
    check_alike(folder, headers)
    order, grid = stack_geometry(folder, headers)
    return [chosen.files[i] for i in order], [headers[i] for i in order], grid


def _grouped(folder: Path) -> list[tuple[Series, list[Dataset]]]:
    if not folder.is_dir():
        raise InputError(folder, expected="a DICOM folder", found="nothing there")
    groups: dict[str, list[tuple[Path, Dataset]]] = defaultdict(list)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        header = _header(path)
        if header is not None:
            groups[str(header.SeriesInstanceUID)].append((path, header))
    listed = []
    for uid, members in groups.items():
        first = members[0][1]
        number = first.get("SeriesNumber")
        made = Series(
            uid=uid,
            number=None if number is None else int(number),
            description=str(first.get("SeriesDescription") or "").strip(),
            modality=str(first.get("Modality") or ""),
            size=(int(first.Columns), int(first.Rows)),
            files=tuple(path for path, _ in members),
        )
        listed.append((made, [header for _, header in members]))
    return sorted(listed, key=lambda item: (item[0].number or 0, item[0].uid))


def _header(path: Path) -> Dataset | None:
    """The tags of a DICOM image, or None for any other file."""
    if not is_dicom(path):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            complete = all(header.get(tag) for tag in ("SeriesInstanceUID", "Rows", "Columns"))
            for tag in _TAGS:  # values are parsed on access: let a broken one fail here
                header.get(tag)
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, NotImplementedError) as e:
        raise InputError(path, expected="a readable DICOM file", found=f"{e}"[:120]) from e
    if not complete and _is_truncated_ct(header):
        raise InputError(
            path,
            expected="a whole CT slice",
            found="one without series or size",
            do="it is truncated: copy it again",
        )
    return header if complete else None


def _is_truncated_ct(header: Dataset) -> bool:
    """Whether a header without image was meant to have one: dropping it would shorten the scan."""
    kind = str(getattr(header, "file_meta", {}).get("MediaStorageSOPClassUID", ""))
    return kind in ("", CTImageStorage) or kind.startswith(f"{CTImageStorage}.")


def _choose(
    folder: Path, found: list[tuple[Series, list[Dataset]]], wanted: str | None
) -> tuple[Series, list[Dataset]]:
    if wanted is None:
        if len(found) == 1:
            return found[0]
        raise InputError(
            folder,
            expected="one series",
            found=f"{len(found)}: {_listing(found)}",
            do="choose one with --series",
        )
    name = wanted.strip()
    tests = (
        lambda s: s.uid == name,
        lambda s: str(s.number) == name,
        lambda s: s.description.lower() == name.lower(),
        lambda s: name in s.uid,
        lambda s: name.lower() in s.description.lower(),
    )
    for test in tests if name else ():
        matches = [item for item in found if test(item[0])]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InputError(
                folder,
                expected=f"one series that matches {wanted!r}",
                found=f"{len(matches)}: {_listing(matches)}",
                do="give more of its UID",
            )
    raise InputError(
        folder, expected=f"a series that matches {wanted!r}", found=f"only {_listing(found)}"
    )


def _listing(found: list[tuple[Series, list[Dataset]]]) -> str:
    return "; ".join(str(series) for series, _ in found)


def _pixels(path: Path, header: Dataset) -> np.ndarray:
    """The HU of one slice (rows, columns), float32."""
    try:
        with quiet_itk():
            reader = sitk.ImageFileReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetOutputPixelType(sitk.sitkFloat32)
            reader.SetFileName(str(path))
            values = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise InputError(
            path,
            expected="a slice that decodes",
            found="truncated, damaged or unknown compression",
            do="export the series again, without compression",
        ) from error
    values = values.reshape(values.shape[-2:])
    if values.shape != (int(header.Rows), int(header.Columns)):
        raise InputError(
            path, expected=f"{header.Rows} rows of {header.Columns}", found=f"{values.shape}"
        )
    padding = _padding(header)
    if padding is not None:
        low, high = padding
        values[(values >= low) & (values <= high)] = AIR_HU
    return values


def _padding(header: Dataset) -> tuple[float, float] | None:
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


def _stored(value: object, header: Dataset) -> int:
    """A padding value as the pixels hold it: some scanners write -2000 as the unsigned 63536."""
    if isinstance(value, bytes):
        value = int.from_bytes(value[:2], "little")
    number = int(str(value))
    bits = int(header.get("BitsAllocated") or 16)
    if int(header.get("PixelRepresentation") or 0) == 1 and number >= 1 << (bits - 1):
        return number - (1 << bits)
    return number % (1 << bits) if not header.get("PixelRepresentation") else number
