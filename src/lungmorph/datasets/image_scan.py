"""A scan that is an image file or a DICOM series, with its masks in files beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ..errors import InputError
from ..files import read_grid, read_image, read_mask
from ..files.dicom_phases import find_phase
from ..files.images import check_mask_grid
from ..space import Grid, Volume
from .case import Scan, noted
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
        lungs, structures: masks on the grid of the image.
    """
    found = noted(problems, partial(_looked_at, path, series, percent))
    if found is None:
        return None
    grid, load, part = found
    masks = {key: _mask(file, grid, problems) for key, file in (structures or {}).items()}
    return Scan(
        name,
        grid,
        load,
        path,
        percent,
        None if lungs is None else _mask(lungs, grid, problems),
        {key: mask for key, mask in masks.items() if mask is not None},
        partial(files_at, path, *filter(None, (lungs, *(structures or {}).values()))),
        part,
    )


def _looked_at(
    path: Path, series: str | None, percent: float | None
) -> tuple[Grid, Callable[[], Volume], str]:
    """Grid, voxels, and which part of a folder it is."""
    try:
        return read_grid(path, series), partial(read_image, path, series), series or ""
    except InputError:
        if percent is None or not path.is_dir():
            raise
    phase = find_phase(path, f"{percent:g}", series)
    return phase.grid, phase.load, f"{series or ''}, {percent:g} %"


def _mask(path: Path, grid: Grid, problems: list[str]) -> Callable[[], Volume] | None:
    def look() -> Callable[[], Volume]:
        check_mask_grid(path, read_grid(path), grid)
        return partial(read_mask, path, grid)

    return noted(problems, look)
