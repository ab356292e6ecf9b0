"""A scan that is an image file or a DICOM series, with its masks in files beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..files import read_grid, read_image, read_mask
from ..files.breathing_ct import Phase
from ..files.dicom import locate_series
from ..files.dicom_header import is_structure_set, read_header
from ..files.dicom_phases import phase_and_whole
from ..files.headers import dicom_place
from ..files.images import check_mask_grid
from ..space import Grid, Volume
from .case import Scan, noted
from .dicom_structures import Drawn, drawn_on
from .scan_files import files_at


def image_scan(
    name: str,
    path: Path,
    problems: list[str],
    *,
    series: str | None = None,
    percent: float | None = None,
    lungs: Path | None = None,
    structures: Mapping[str, Path] | None = None,
) -> Scan | None:
    """The scan at ``path``, looked at and not read; None if it cannot be used.

    Args:
        name, percent: as in :class:`Scan`.
        path: whatever :func:`lungmorph.files.read_image` reads.
        problems: gets a line for the image and for every mask that cannot be used; such a mask is
            left out.
        series: of a DICOM folder. One that holds a whole 4D CT is asked for the phase ``percent``.
        lungs, structures: masks on the grid of the image. Of a scan in DICOM also structure sets (RTSTRUCT)
            that were drawn on it: their lungs, and the regions of the names in ``structures``.
    """
    found = noted(problems, partial(_looked_at, name, path, series, percent))
    if found is None:
        return None
    look, load, part, notes = found
    masks = {
        key: _mask(file, look, key, problems, notes) for key, file in (structures or {}).items()
    }
    return Scan(
        name,
        look if isinstance(look, Grid) else look.grid,
        load,
        path,
        percent,
        None if lungs is None else _mask(lungs, look, None, problems, notes),
        {key: mask for key, mask in masks.items() if mask is not None},
        partial(files_at, path, *filter(None, (lungs, *(structures or {}).values()))),
        part,
        tuple(notes),
    )


def _looked_at(
    name: str, path: Path, series: str | None, percent: float | None
) -> tuple[Grid | Phase, Callable[[], Volume], str, list[str]]:
    """Grid, or slices of DICOM with theirs; voxels; which part of a folder it is; what to note."""
    where = dicom_place(path, series)
    if where is None:
        return read_grid(path), partial(read_image, path), "", []
    try:
        found = locate_series(*where)
    except InputError:
        if percent is None or not path.is_dir():
            raise
    else:
        phase = Phase(name, percent, found.headers, found.grid)
        return phase, partial(_read, *where), series or "", list(found.notes)
    phase, whole = phase_and_whole(path, f"{percent:g}", series)
    return phase, phase.load, f"{series or ''}, {percent:g} %", list(whole.notes)


def _read(folder: Path, series: str | None) -> Volume:
    """The voxels of a series; what lies beside it was noted when it was looked at."""
    return locate_series(folder, series).load()


def _mask(
    path: Path, image: Grid | Phase, region: str | None, problems: list[str], notes: list[str]
) -> Callable[[], Volume] | None:
    """What reads a mask, or a region of a structure set: the lungs, if none is named."""

    def look() -> Callable[[], Volume]:
        header = read_header(path) if path.is_file() else None
        if header is not None and is_structure_set(header):
            return _of_set(path, image, region, problems, notes)
        grid = image if isinstance(image, Grid) else image.grid
        check_mask_grid(path, read_grid(path), grid)
        return partial(read_mask, path, grid)

    return noted(problems, look)


def _of_set(
    path: Path, image: Grid | Phase, region: str | None, problems: list[str], notes: list[str]
) -> Callable[[], Volume]:
    if isinstance(image, Grid):
        raise InputError(
            path,
            expected="a mask image",
            found="a structure set (RTSTRUCT), beside a scan that is not in DICOM",
            do="give the DICOM slices that it was drawn on as the scan, or write its regions as mask images",
        )
    drawn: Drawn = drawn_on(path, image)
    mask = drawn.lungs if region is None else drawn.structures.get(region)
    problems += drawn.problems
    if mask is None:
        raise InputError(
            path,
            expected="contours of both lungs" if region is None else f"contours of {region!r}",
            found=", ".join(drawn.structures) or "none that can be used",
            do="write the lungs as a mask image" if region is None else "",
        )
    notes += drawn.notes
    return mask
