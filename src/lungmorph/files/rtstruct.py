"""DICOM structure sets (RTSTRUCT): names and contours of regions, and the slices they were drawn on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from ..errors import InputError
from ..space import Grid, Volume
from ..space.grid import Float
from .contour_mask import Placed, fill_contours, place_contours
from .dicom_header import UNREADABLE, patient_of, text

#: A slice: SOPInstanceUID, and the frame in a file of several (from 1).
Image = tuple[str, int | None]


@dataclass(frozen=True)
class Contour:
    """A closed polygon: ``points`` (N, 3), LPS mm, drawn on ``images`` (often one, may be none)."""

    points: Float
    images: frozenset[Image]


@dataclass(frozen=True)
class Region:
    """A region of interest: its closed contours, and how many others it has (points, open lines)."""

    name: str
    contours: tuple[Contour, ...]
    open: int = 0

    def placed(self, grid: Grid, images: frozenset[Image] | None = None) -> Placed:
        """Its contours on the slices of a grid; only those drawn on ``images`` if given."""
        return place_contours(
            [c.points for c in self.contours if images is None or c.images & images], grid
        )


@dataclass(frozen=True)
class StructureSet:
    """What a structure set holds.

    Attributes:
        path: its file.
        patient: as :func:`lungmorph.files.dicom_header.patient_of` has it.
        label: StructureSetLabel.
        time: date and time of the set, to sort by.
        regions: with a contour at least; names are unique ("Lung (2)" for a second of one name).
        images: slices that the set as a whole refers to.
        series: SeriesInstanceUIDs that it refers to.
        frames: FrameOfReferenceUIDs that it refers to.
    """

    path: Path
    patient: str
    label: str
    time: str
    regions: tuple[Region, ...]
    images: frozenset[Image]
    series: frozenset[str]
    frames: frozenset[str]

    @property
    def drawn_on(self) -> frozenset[Image]:
        """The slices that its contours say they were drawn on."""
        return frozenset(i for r in self.regions for c in r.contours for i in c.images)

    def region(self, name: str) -> Region:
        """The region of that name.

        Raises:
            InputError: there is none.
        """
        for region in self.regions:
            if region.name == name:
                return region
        raise InputError(
            self.path,
            expected=f"a region {name!r}",
            found=", ".join(region.name for region in self.regions) or "none with contours",
        )


def read_structures(path: str | os.PathLike[str]) -> StructureSet:
    """Read a structure set.

    Raises:
        InputError: no DICOM, damaged, or no structure set; contours that are not triplets of numbers.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path, force=True)
            return _parsed(path, data)
    except InputError:
        raise
    except (AttributeError, KeyError) as error:  # an element that every set has
        raise InputError(
            path,
            expected="a whole structure set",
            found="one that breaks off",
            do="export it again",
        ) from error
    except UNREADABLE as error:
        raise InputError(
            path, expected="a readable structure set", found=f"{error}"[:120] or "a damaged file"
        ) from error


@lru_cache(maxsize=2)
def _kept(path: Path, changed: int) -> StructureSet:
    return read_structures(path)


def region_mask(
    path: str | os.PathLike[str],
    names: Iterable[str],
    grid: Grid,
    images: frozenset[Image] | None = None,
) -> Volume:
    """The union of regions as a mask, bool, on a grid.

    Args:
        path: of the structure set.
        names: of the regions.
        grid: of the image they were drawn on, LPS mm.
        images: take only contours drawn on these slices.

    Raises:
        InputError: as :func:`read_structures`; no such region; no contour on a slice of the grid.
    """
    path = Path(path)
    found = _kept(path, path.stat().st_mtime_ns)
    names = list(names)
    masks = [fill_contours(found.region(name).placed(grid, images), grid) for name in names]
    union = masks[0].data
    for mask in masks[1:]:
        union = union | mask.data
    if not bool(union.any()):
        raise InputError(
            path,
            expected=f"contours of {' and '.join(names)} on the slices of the image",
            found="none",
        )
    return Volume(union, grid)


# ------------------------------------------------------------------ the file


def _parsed(path: Path, data: Dataset) -> StructureSet:
    if "StructureSetROISequence" not in data and "ROIContourSequence" not in data:
        raise InputError(path, expected="a structure set", found="a DICOM file of another kind")
    names = {
        int(r.ROINumber): text(r, "ROIName") for r in data.get("StructureSetROISequence") or ()
    }
    regions: list[Region] = []
    taken: set[str] = set()
    for item in data.get("ROIContourSequence") or ():
        number = int(item.ReferencedROINumber)
        contours, others = [], 0
        for drawn in item.get("ContourSequence") or ():
            points = _points(path, drawn)
            if text(drawn, "ContourGeometricType").upper().startswith("CLOSED") and len(points) > 2:
                contours.append(Contour(points, frozenset(_images(drawn))))
            else:
                others += 1
        if contours or others:
            name = _unique(names.get(number, "") or f"ROI {number}", taken)
            regions.append(Region(name, tuple(contours), others))
    images: set[Image] = set()
    series: set[str] = set()
    frames: set[str] = set()
    for frame in data.get("ReferencedFrameOfReferenceSequence") or ():
        frames.add(text(frame, "FrameOfReferenceUID"))
        for study in frame.get("RTReferencedStudySequence") or ():
            for one in study.get("RTReferencedSeriesSequence") or ():
                series.add(text(one, "SeriesInstanceUID"))
                images.update(_images(one))
    frames |= {
        text(r, "ReferencedFrameOfReferenceUID") for r in data.get("StructureSetROISequence") or ()
    }
    frames.add(text(data, "FrameOfReferenceUID"))
    return StructureSet(
        path,
        patient_of(data),
        text(data, "StructureSetLabel"),
        text(data, "StructureSetDate") + text(data, "StructureSetTime"),
        tuple(regions),
        frozenset(images),
        frozenset(series - {""}),
        frozenset(frames - {""}),
    )


def _points(path: Path, drawn: Dataset) -> Float:
    """The points of a contour, straight from the bytes: pydicom takes seconds for a large set."""
    element = drawn.get_item("ContourData") if "ContourData" in drawn else None
    value = element.value if element is not None else b""
    parts: list[Any]
    if isinstance(value, bytes):
        parts = [part for part in value.replace(b"\0", b" ").split(b"\\") if part.strip()]
    else:  # one number alone, or an element that pydicom has already taken apart
        parts = [value] if isinstance(value, str | float) else list(value or ())
    try:
        numbers = np.array(parts, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("not finite")
        return numbers.reshape(-1, 3)
    except ValueError as error:
        raise InputError(
            path,
            expected="contours of x, y, z in mm",
            found=f"{len(parts)} values, not all finite numbers in threes",
        ) from error


def _images(item: Dataset) -> Iterator[Image]:
    for image in item.get("ContourImageSequence") or ():
        uid = text(image, "ReferencedSOPInstanceUID")
        if uid:
            frames = [part for part in text(image, "ReferencedFrameNumber").split("\\") if part]
            yield from ((uid, int(frame)) for frame in frames)
            if not frames:
                yield uid, None


def _unique(name: str, taken: set[str]) -> str:
    made, n = name, 1
    while made in taken:
        n += 1
        made = f"{name} ({n})"
    taken.add(made)
    return made
