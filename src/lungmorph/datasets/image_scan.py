"""A scan that is an image file or a DICOM series, with its masks in files beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from ..files import read_grid, read_image, read_mask
from ..files.images import check_mask_grid
from ..space import Grid, Volume
from .case import Scan, noted


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
        series: of a DICOM folder.
        lungs, structures: masks on the grid of the image.
    """
    grid = noted(problems, partial(read_grid, path, series))
    if grid is None:
        return None
    masks = {key: _mask(file, grid, problems) for key, file in (structures or {}).items()}
    return Scan(
        name,
        grid,
        partial(read_image, path, series),
        path,
        percent,
        None if lungs is None else _mask(lungs, grid, problems),
        {key: mask for key, mask in masks.items() if mask is not None},
    )


def _mask(path: Path, grid: Grid, problems: list[str]) -> Callable[[], Volume] | None:
    def look() -> Callable[[], Volume]:
        check_mask_grid(path, read_grid(path), grid)
        return partial(read_mask, path, grid)

    return noted(problems, look)
