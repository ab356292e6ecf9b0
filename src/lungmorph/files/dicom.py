"""A CT series from a folder of DICOM files: nothing guessed, nothing repaired in silence.

pydicom reads the headers, GDCM (through SimpleITK) decodes and rescales the pixels of each slice,
and the volume is put together here, because ITK's series reader takes the spacing and the rescaling
for granted where slices are missing or differ.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..space import Grid, Volume
from .dicom_header import (
    Header,
    check_whole,
    has_image,
    image_header,
    is_localizer,
    is_structure_set,
    number,
    path_of,
    read_header,
    slices_of,
    text,
)
from .dicom_others import check_others
from .dicom_phases import phases_line
from .dicom_pixels import read_stack
from .phase_divide import is_volume
from .slices import check_alike, stack_geometry
from .walk import files_below

__all__ = [
    "Located",
    "Series",
    "list_series",
    "locate_series",
    "read_series",
    "read_series_grid",
    "series_of",
]

_log = logging.getLogger(__name__)


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


@dataclass(frozen=True, eq=False)
class Located:
    """A CT series whose voxels are still on the disk.

    Attributes:
        headers: of its slices, in their order along the normal.
        grid: of the image, LPS mm.
        notes: what lies beside it and was left aside, one line each.
    """

    headers: tuple[Header, ...]
    grid: Grid
    notes: tuple[str, ...] = ()

    def load(self) -> Volume:
        """The image, float32 HU; raises as :func:`lungmorph.files.dicom_pixels.read_stack`."""
        return read_stack(self.headers, self.grid)


def series_of(path: str | os.PathLike[str]) -> str:
    """The SeriesInstanceUID of one file.

    Raises:
        InputError: it has none, or is no DICOM image.
    """
    header = image_header(Path(path))
    if header is not None:
        return str(header.SeriesInstanceUID)
    found, do = "a DICOM file without image", ""
    if Path(path).name == "DICOMDIR":
        do = "give the folder that it lies in"
    elif (other := read_header(Path(path))) and is_structure_set(other):
        found = "a structure set (RTSTRUCT)"
        do = (
            "name it as a mask in a table, beside the DICOM scan that it was drawn on (see"
            " docs/datasets.md), or write its regions as mask images"
        )
    raise InputError(path, expected="a DICOM image", found=found, do=do)


def list_series(folder: str | os.PathLike[str]) -> list[Series]:
    """The image series below a folder (searched with its subfolders), by number and UID.

    Files that are no DICOM image (reports, contours, DICOMDIR, notes) are passed over.

    Raises:
        InputError: no such folder.
    """
    return [series for series, _ in _grouped(Path(folder))[0]]


def read_series(folder: str | os.PathLike[str], series: str | None = None) -> Volume:
    """Read one CT series as float32 HU.

    Args:
        folder: searched with its subfolders.
        series: UID, number or description of the wanted one, or a unique part of its UID; needed
            where there are several volumes. Localizers, dose reports, RT doses and the like are none, and
            are left aside with a warning in the log.

    Returns:
        Slices sorted along their normal (right-handed), spacing from their positions, each rescaled
        with its own slope and intercept, padding set to -1024.

    Raises:
        InputError: no image, several series, none or several that match ``series``, not CT, colour
            or multi-frame files, missing tags, slices that do not decode, differ in orientation,
            size or pixel spacing, are missing, doubled, unevenly spaced, or sheared by a gantry tilt.
    """
    return _warned(locate_series(folder, series)).load()


def read_series_grid(folder: str | os.PathLike[str], series: str | None = None) -> Grid:
    """Where :func:`read_series` would put its volume, without decoding a pixel; raises what it does."""
    return _warned(locate_series(folder, series)).grid


def _warned(found: Located) -> Located:
    for line in found.notes:
        _log.warning("%s", line)
    return found


def locate_series(folder: str | os.PathLike[str], series: str | None = None) -> Located:
    """What :func:`read_series` would read, from headers alone; raises what it does, and logs nothing."""
    folder = Path(folder)
    found, sets = _grouped(folder)
    if not found:
        raise InputError(folder, expected="a folder with DICOM images", found="none in it")
    try:
        (chosen, headers), notes = _choose(folder, found, series)
    except InputError as error:
        every = [header for _, members in found for header in members]
        raise (series is None and phases_line(folder, every)) or error from error
    slices = [header for header in headers if not is_localizer(header)]
    if slices and (scouts := len(headers) - len(slices)):
        notes.append(f"{folder}, {chosen}: left aside: localizers among its slices, {scouts}")
        headers = slices
    if chosen.modality != "CT":
        raise InputError(
            folder, expected="a CT series", found=f"modality {chosen.modality or '(none)'}"
        )
    check_alike(folder, headers)
    try:
        order, grid = stack_geometry(folder, headers)
    except InputError as error:
        raise phases_line(folder, headers) or error from error
    for path in sets:
        notes.append(f"{path}: a structure set, used only where a table names it as a mask")
    return Located(tuple(headers[i] for i in order), grid, tuple(notes))


def _grouped(folder: Path) -> tuple[list[tuple[Series, list[Header]]], list[Path]]:
    """The series below a folder with their slices, and the structure sets there."""
    if not folder.is_dir():
        raise InputError(folder, expected="a DICOM folder", found="nothing there")
    groups: dict[str, list[Header]] = defaultdict(list)
    others: list[Path] = []
    sets: list[Path] = []
    for path in files_below(folder):
        header = read_header(path)
        if header is None:
            others.append(path)
            continue
        check_whole(path, header)
        if not has_image(header):
            sets += [path] if is_structure_set(header) else []
            continue
        groups[str(header.SeriesInstanceUID)].extend(slices_of(header))
    slices = (path_of(header) for members in groups.values() for header in members)
    for error in check_others(others, slices):
        raise error
    listed = []
    for uid, members in groups.items():
        first = members[0]
        its_number = number(first, "SeriesNumber")
        made = Series(
            uid=uid,
            number=None if its_number is None else int(its_number),
            description=text(first, "SeriesDescription"),
            modality=str(first.get("Modality") or ""),
            size=(int(first.Columns), int(first.Rows)),
            files=tuple(path_of(header) for header in members),
        )
        listed.append((made, members))
    return sorted(listed, key=lambda item: (item[0].number or 0, item[0].uid)), sets


def _choose(
    folder: Path, found: list[tuple[Series, list[Header]]], wanted: str | None
) -> tuple[tuple[Series, list[Header]], list[str]]:
    """The series that is meant, and what to note of those that were left aside."""
    if wanted is None:
        volumes = [item for item in found if _is_ct_volume(*item)]
        if len(found) == 1 or len(volumes) == 1:
            only = (volumes or found)[0]
            beside = [item for item in found if item is not only]
            line = f"{folder}: read {only[0]}; left aside: {_listing(beside)}"
            return only, [line] * bool(beside)
        raise InputError(
            folder,
            expected="one series",
            found=f"{len(found)}: {_listing(found)}",
            do="choose one with --series, or name one of its files in place of the folder",
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
            return matches[0], []
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


def _is_ct_volume(series: Series, headers: list[Header]) -> bool:
    """Not so what lies beside the scan in most exports: localizers, dose reports, RT doses, the PET of a PET/CT."""
    slices = [header for header in headers if not is_localizer(header)]
    return series.modality == "CT" and is_volume(slices)


def _listing(found: list[tuple[Series, list[Header]]]) -> str:
    return "; ".join(str(series) for series, _ in found)
