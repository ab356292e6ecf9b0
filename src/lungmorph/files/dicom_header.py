"""The header of one DICOM file, and whether it is an image; frames of enhanced CT as slices.

Few tags are read and no pixel. What decides where a voxel lies has to be readable; what only tells a
story (names, times, comments) may be broken and then counts as absent.
"""

from __future__ import annotations

import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import CTImageStorage, RTStructureSetStorage

from ..errors import InputError
from .dicom_mark import dicom_mark
from .dicom_tags import DECIMAL, PLACE_TAGS, READ_TAGS, STORY_TAGS, WHOLE

#: What pydicom raises where a file is damaged.
UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    struct.error,
    zlib.error,
    RecursionError,
    IndexError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    OverflowError,
)


class Header(dict[str, Any]):
    """Tags of one slice by keyword, as plain values: thousands of them are kept.

    Attributes:
        filename: of its file.
        frame_index: which frame of its file it describes, from 0; None for a file of one slice.
    """

    __slots__ = ("filename", "frame_index")

    def __init__(self, filename: str, frame_index: int | None = None, **values: Any) -> None:
        super().__init__(values)
        self.filename = filename
        self.frame_index = frame_index

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def read_header(path: Path) -> Header | None:
    """The tags of a DICOM file of any kind; None if it is none.

    A file without the mark counts only if it reads as a whole CT header, or as a structure set. The frames of an enhanced CT
    are kept, as headers of their own, under the keyword "Frames".

    Raises:
        InputError: it carries the mark and cannot be read.
    """
    begins = dicom_mark(path)
    if not begins:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = pydicom.dcmread(
                path,
                stop_before_pixels=True,
                specific_tags=list(READ_TAGS),
                force=begins == "bare",
            )
            of_ct = text(read, "Modality") == "CT"
            header = Header(str(path), None, **_place(read, of_ct), **_story(read))
            kind = getattr(read, "file_meta", {}).get("MediaStorageSOPClassUID", "")
            header["MediaStorageSOPClassUID"] = str(kind)
            if frames := read.get("PerFrameFunctionalGroupsSequence"):
                shared = read.get("SharedFunctionalGroupsSequence") or [None]
                header["Frames"] = [
                    _frame(header, shared[0], group, n) for n, group in enumerate(frames)
                ]
    except UNREADABLE as error:
        if begins == "bare":
            return None
        raise InputError(
            path, expected="a readable DICOM file", found=f"{error}"[:120] or "a damaged one"
        ) from error
    kinds = {"CT": has_image(header), "RTSTRUCT": True}
    if begins == "bare" and not kinds.get(text(header, "Modality"), False):
        return None
    return header


def has_image(header: Header) -> bool:
    """Whether a header describes an image of a series."""
    return all(header.get(tag) for tag in ("SeriesInstanceUID", "Rows", "Columns"))


def is_localizer(header: Header) -> bool:
    """Whether a header describes a projection for planning the scan."""
    return "LOCALIZER" in text(header, "ImageType").upper()


def is_structure_set(header: Header) -> bool:
    """Whether a header is that of a structure set (RTSTRUCT)."""
    by_class = text(header, "SOPClassUID") == RTStructureSetStorage
    return by_class or text(header, "Modality") == "RTSTRUCT"


def image_header(path: Path) -> Header | None:
    """The tags of a DICOM image, or None for any other file.

    Raises:
        InputError: as :func:`read_header`; a CT slice whose header was cut off.
    """
    header = read_header(path)
    if header is None:
        return None
    check_whole(path, header)
    return header if has_image(header) else None


def check_whole(path: Path, header: Header) -> None:
    """Refuse a header without image, or without places of its frames, that was meant to have them.

    Dropping it would shorten the scan.

    Raises:
        InputError: that.
    """
    kind = header["MediaStorageSOPClassUID"] or text(header, "SOPClassUID")
    meant = kind == CTImageStorage or kind.startswith(f"{CTImageStorage}.")
    if not kind:
        meant = text(header, "Modality") in ("", "CT")
    if meant and not has_image(header):
        raise InputError(
            path,
            expected="a whole CT slice",
            found="one without series or size",
            do="it is truncated: copy it again",
        )
    if meant and (number(header, "NumberOfFrames") or 1) > 1 and "Frames" not in header:
        raise InputError(
            path,
            expected="frames of which each has its position (PerFrameFunctionalGroupsSequence)",
            found=f"a multi-frame file of {header.NumberOfFrames} frames without",
            do="export it again, or convert it to NIfTI",
        )


def slices_of(header: Header) -> list[Header]:
    """The header itself, or one for every frame of an enhanced (multi-frame) CT."""
    return header.get("Frames") or [header]


def path_of(header: Header) -> Path:
    """The file that a header was read from."""
    return Path(header.filename)


def text(header: Header | Dataset, tag: str) -> str:
    """A value as text, several parts joined by a backslash; empty if absent or broken."""
    try:
        value = header.get(tag)
    except UNREADABLE:
        return ""
    if value is None:
        return ""
    if isinstance(value, MultiValue | list | tuple):
        return "\\".join(str(part) for part in value).strip()
    return str(value).strip()


def name_of(header: Header | Dataset) -> str:
    """PatientID, or the name, of the patient; empty if there is none of them."""
    return text(header, "PatientID") or text(header, "PatientName")


def patient_of(header: Header | Dataset) -> str:
    """What stands for the patient: :func:`name_of`, else the StudyInstanceUID, else "patient"."""
    return name_of(header) or text(header, "StudyInstanceUID") or "patient"


def number(header: Header, tag: str) -> float | None:
    """A value as a number; None if absent or broken."""
    try:
        value = float(text(header, tag))
    except ValueError:
        return None
    return value if isfinite(value) else None


def numbers(header: Header, tag: str) -> tuple[float, ...]:
    """Several values as numbers; empty if absent or broken."""
    try:
        return tuple(float(part) for part in text(header, tag).split("\\"))
    except ValueError:
        return ()


# ------------------------------------------------------------------ plain values


def _place(read: Dataset, of_ct: bool) -> dict[str, Any]:
    """Raises ValueError for a broken value of a CT; those of other objects are of no interest."""
    found = {tag: _plain(value) for tag in PLACE_TAGS if (value := read.get(tag)) is not None}
    for tag, value in found.items() if of_ct else ():
        _check_value(tag, value)
    return found


def _check_value(tag: str, value: Any) -> None:
    """What pydicom could not make a number of it hands over as text; several where one belongs as a tuple."""
    parts = value if isinstance(value, tuple) else (value,)
    if parts in ((), ("",)):
        return  # an empty element: absent
    try:
        if tag in DECIMAL:
            good = len(parts) == DECIMAL[tag] and all(isfinite(float(part)) for part in parts)
        elif tag in WHOLE:  # the padding of an unknown transfer syntax comes as bytes
            good = len(parts) == 1 and (isinstance(parts[0], bytes) or int(parts[0]) >= -(1 << 31))
        else:
            return
    except (ValueError, TypeError, OverflowError):
        good = False
    if not good:
        raise ValueError(f"{tag} of {', '.join(str(part) for part in parts)!r}")


def _story(read: Dataset) -> dict[str, Any]:
    values = ((tag, text(read, tag)) for tag in STORY_TAGS)
    return {tag: sys.intern(value) for tag, value in values if value}


def _plain(value: Any) -> Any:
    if isinstance(value, MultiValue | list):
        return tuple(_plain(part) for part in value)
    if isinstance(value, str):
        return sys.intern(str(value))
    return float(value) if isinstance(value, float) else value


#: What a functional group calls otherwise than a classic slice.
_CLASSIC = {
    "FrameType": "ImageType",
    "FrameComments": "ImageComments",
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "FrameAcquisitionDateTime": "AcquisitionDateTime",
}


def _frame(whole: Header, shared: Dataset | None, own: Dataset, n: int) -> Header:
    made = Header(whole.filename, n, **whole)
    of_ct = text(whole, "Modality") == "CT"
    made["NumberOfFrames"] = 1
    for item in _functional_items(shared, own):
        made.update({**_place(item, of_ct), **_story(item)})
        made.update({c: text(item, f) for f, c in _CLASSIC.items() if text(item, f)})
    return made


def _functional_items(shared: Dataset | None, own: Dataset) -> Iterator[Dataset]:
    """The contents of the functional groups, those of the frame itself last."""
    for group in (shared, own):
        for element in group or ():
            if element.VR == "SQ" and element.value:
                yield element.value[0]
