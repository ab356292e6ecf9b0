"""Where a DICOM file may say its breathing phase: the tags, from the most telling to the least."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataelem import DataElement

from ..errors import InputError
from .dicom_header import UNREADABLE, Header, number, numbers, path_of, text
from .phase_text import Label, labels_of

#: How much a tag can be trusted to be the phase: said in percent; counted; only in the order of time.
SAID, COUNTED, TIMED = range(3)


@dataclass(frozen=True)
class Tag:
    """A place where the phase may stand.

    Attributes:
        name: for people.
        strength: ``SAID``, ``COUNTED`` or ``TIMED``.
        read: the label of each of several headers, None where there is none.
    """

    name: str
    strength: int
    read: Callable[[Sequence[Header]], list[Label | None]]


def _in_words(name: str) -> Tag:
    def read(headers: Sequence[Header]) -> list[Label | None]:
        texts = [text(header, name).replace("\\", " ") for header in headers]
        known = list(dict.fromkeys(texts))
        labels = dict(zip(known, labels_of(known), strict=True))
        return [labels[words] for words in texts]

    return Tag(name, SAID, read)


def _in_percent(name: str) -> Tag:
    def read(headers: Sequence[Header]) -> list[Label | None]:
        values = [number(header, name) for header in headers]
        return [Label(round(v, 2)) if v is not None and 0 <= v <= 100 else None for v in values]

    return Tag(name, SAID, read)


def _counted(name: str, strength: int) -> Tag:
    def read(headers: Sequence[Header]) -> list[Label | None]:
        made: list[Label | None] = []
        for header in headers:
            value, total = number(header, name), number(header, "NumberOfTemporalPositions")
            known = int(total) if total and strength == COUNTED else None
            made.append(None if value is None else Label(value, unit="number", total=known))
        return made

    return Tag(name, strength, read)


def _stacked(name: str) -> Tag:
    """Of slices that are counted through, which run of positions of which none is there twice."""

    def read(headers: Sequence[Header]) -> list[Label | None]:
        counts = [number(header, name) for header in headers]
        if None in counts or len(set(counts)) < len(counts):
            return [None] * len(headers)
        made: list[Label | None] = [None] * len(headers)
        run, seen = 0, set[tuple[float, ...]]()
        for i in sorted(range(len(headers)), key=lambda i: counts[i] or 0.0):
            place = numbers(headers[i], "ImagePositionPatient")
            if place in seen:
                run, seen = run + 1, set()
            seen.add(place)
            made[i] = Label(float(run), unit="number")
        # fewer are two exports, or a scan that was repeated
        return made if run >= 3 else [None] * len(headers)

    return Tag(name, TIMED, read)


def _folder_names() -> Tag:
    """Of the folder that a file lies in, or of the one above where those tell nothing ("50%/DICOM")."""

    def read(headers: Sequence[Header]) -> list[Label | None]:
        found: list[Label | None] = [None] * len(headers)
        for above in (0, 1):
            names = [path_of(header).absolute().parents[above].name for header in headers]
            folders = list(dict.fromkeys(names))
            labels = dict(zip(folders, labels_of(folders), strict=True))
            found = [labels[name] for name in names]
            if any(found):
                break
        return found

    return Tag("the name of the folder", SAID, read)


#: A phase in the description of the series, its comment or its type is a statement of the scanner;
#: what a cardiac tag says of a breath is the same in another box.
TAGS = (
    _in_percent("NominalPercentageOfRespiratoryPhase"),
    _in_words("SeriesDescription"),
    _in_words("ImageComments"),
    _in_words("ImageType"),
    _in_words("ProtocolName"),
    _in_words("AcquisitionProtocolDescription"),
    _in_words("DerivationDescription"),
    _in_words("ScanOptions"),
    _in_percent("NominalPercentageOfCardiacPhase"),
    _counted("TemporalPositionIndex", COUNTED),
    _counted("TemporalPositionIdentifier", COUNTED),
)
#: Asked one after the other only where none of TAGS tells.
FOLDER = _folder_names()
TIMES = (
    _counted("AcquisitionNumber", TIMED),
    _counted("TriggerTime", TIMED),
    _counted("AcquisitionDateTime", TIMED),
    _counted("AcquisitionTime", TIMED),
)
LAST = _counted("ContentTime", TIMED)
#: Asked after all others: whole stacks that are numbered one after the other.
STACKED = _stacked("InstanceNumber")


#: How the names of private tags begin.
_PRIVATE = "the private tag "


def is_called(tag: Tag, wanted: str | None) -> bool:
    """Whether a tag is the one that is wanted, by a name that :func:`tag_name` made; all are, of None."""
    begins = wanted is not None and wanted.startswith(_PRIVATE) and tag.name.startswith(wanted)
    return wanted is None or tag.name == wanted or begins


def is_private(wanted: str | None) -> bool:
    """Whether a name that :func:`tag_name` made is that of a private tag."""
    return wanted is not None and wanted.startswith(_PRIVATE)


def tag_name(wanted: str) -> str:
    """The name of a tag from what people write: a keyword, "folder", or a private "(0045,1030)".

    Raises:
        InputError: none that is known to tell phases.
    """
    words = wanted.strip().removeprefix(_PRIVATE)
    private = re.match(r"\(?([0-9a-f]{4}),\s?([0-9a-f]{4})\)?", words, re.IGNORECASE)
    if private and int(private[1], 16) % 2:
        return f"{_PRIVATE}({private[1].upper()},{private[2].upper()})"
    if words.lower() in ("folder", FOLDER.name):
        return FOLDER.name
    known = [tag.name for tag in (*TAGS, *TIMES, LAST, STACKED)]
    if words not in known:
        raise InputError(
            "phase_tag",
            expected=f"one of {', '.join(known)}, folder, or a private tag as (0045,1030)",
            found=repr(wanted),
        )
    return words


def private_tags(headers: Sequence[Header]) -> list[Tag]:
    """The private elements that may hold a phase in percent: text with a per cent sign, or numbers
    that differ from slice to slice and are even steps from 0 to below 100.

    Reads the whole headers, so it is asked last.
    """
    rows = [_private_values(header) for header in headers]
    made = []
    for key in sorted(set().union(*rows)):
        values = [row.get(key) for row in rows]
        texts = [str(value) for value in values if value is not None]
        if any("%" in words for words in texts):
            labels = labels_of([str(value or "") for value in values])
        else:
            labels = _even_numbers(values)
        if len({str(label) for label in labels if label}) > 1:
            made.append(Tag(f"{_PRIVATE}{key}", SAID, _known(labels)))
    return made


def _known(labels: list[Label | None]) -> Callable[[Sequence[Header]], list[Label | None]]:
    return lambda headers: labels


def _even_numbers(values: Sequence[object]) -> list[Label | None]:
    try:
        numbers = [None if v is None else float(str(v)) for v in values]
    except ValueError:
        return [None] * len(values)
    found = sorted({v for v in numbers if v is not None})
    even = len(found) > 1 and all(abs(v - i * 100 / len(found)) < 1.0 for i, v in enumerate(found))
    return [Label(v) if even and v is not None else None for v in numbers]


def _private_values(header: Header) -> dict[str, object]:
    if header.frame_index is not None:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = pydicom.dcmread(Path(path_of(header)), stop_before_pixels=True, force=True)
            return {_key(e): e.value for e in whole if e.tag.is_private and _is_single(e)}
    except UNREADABLE:
        return {}


def _key(element: DataElement) -> str:
    creator = f" {element.private_creator}" if element.private_creator else ""
    return f"({element.tag.group:04X},{element.tag.element:04X}){creator}"


def _is_single(element: DataElement) -> bool:
    if element.tag.is_private_creator or element.VR == "SQ" or element.VM != 1:
        return False
    value = element.value
    if isinstance(value, bytes):  # implicit VR of unknown private elements: text or nothing
        try:
            element.value = value.decode("ascii").strip("\0 ")
        except UnicodeDecodeError:
            return False
    return len(str(element.value)) <= 64
