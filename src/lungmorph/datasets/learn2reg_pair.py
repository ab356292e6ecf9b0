"""A pair of Learn2Reg: two NIfTI files, masks, and points in voxels of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..space import Landmarks, Volume
from ..space.grid import Float
from .case import Case, LandmarkSet, Scan, noted
from .nifti_lattice import AXES, Lattice, check_size, read_lattice, read_mask_on, read_on
from .point_rows import read_rows
from .scan_files import files_at


@dataclass(frozen=True)
class ImageFiles:
    """One image of a pair: the name of its scan, its file, and its mask if there should be one."""

    name: str
    image: Path
    mask: Path | None = None


@dataclass(frozen=True)
class PointFiles:
    """Points of a pair: a file each for the fixed and the moving image, or one file with both in a row."""

    name: str
    expert: bool
    files: tuple[Path, ...]


@dataclass(frozen=True)
class PairFiles:
    """What a pair consists of; see :class:`lungmorph.datasets.case.Case` for the names."""

    id: str
    patient: str
    group: str
    split: str | None
    fixed: ImageFiles
    moving: ImageFiles
    points: Sequence[PointFiles]


def read_pair(
    pair: PairFiles,
    read: Callable[[Path, Lattice], Volume] = read_on,
    notes: Sequence[str] = (),
) -> Case:
    """The case of a pair: headers and points are read, voxels are not.

    Args:
        pair: the files, of which any may be missing.
        read: reads an image in HU.
        notes: of the release.
    """
    problems: list[str] = []
    notes = list(notes)
    lattices: dict[str, Lattice] = {}
    scans = []
    for files in (pair.fixed, pair.moving):
        lattice = noted(problems, partial(read_lattice, files.image))
        if lattice is None:
            continue
        lattices[files.name] = lattice
        if lattice.turned is not None:
            notes.append(
                f"{files.image}: its axes are left-handed; {AXES[lattice.turned]} is counted from the "
                "other end, every voxel stays in its place"
            )
        lungs = _lungs(files, lattice, problems, notes)
        load = partial(read, files.image, lattice)
        read_from = partial(files_at, *filter(None, (files.image, files.mask)))
        scans.append(
            Scan(files.name, lattice.grid, load, files.image, lungs=lungs, files=read_from)
        )
    sets = []
    if len(lattices) == 2:
        fixed, moving = (lattices[files.name] for files in (pair.fixed, pair.moving))
        if not fixed.same_as(moving):
            notes.append(
                f"fixed and moving lie on different grids ({fixed.grid}; {moving.grid}): the challenge "
                "counts voxels, so its error differs from that in mm before registration"
            )
        for points in pair.points:
            found = noted(problems, partial(_landmarks, pair, points, fixed, moving))
            sets += [] if found is None else [found]
    return Case(
        id=pair.id,
        patient=pair.patient,
        scans=tuple(scans),
        fixed=pair.fixed.name,
        moving=pair.moving.name,
        landmark_sets=tuple(sets),
        group=pair.group,
        split=pair.split,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _lungs(
    files: ImageFiles, lattice: Lattice, problems: list[str], notes: list[str]
) -> Callable[[], Volume] | None:
    if files.mask is None:
        return None
    mask = noted(problems, partial(_mask_lattice, files.mask, lattice))
    if mask is None:
        return None
    if not mask.same_as(lattice):
        notes.append(
            f"{files.mask}: its header places it elsewhere than its image ({mask.grid}); it is taken "
            "voxel by voxel, as the challenge does"
        )
    return partial(read_mask_on, files.mask, lattice)


def _mask_lattice(path: Path, image: Lattice) -> Lattice:
    mask = read_lattice(path)
    check_size(path, mask.grid.size, image)
    return mask


def _landmarks(pair: PairFiles, points: PointFiles, fixed: Lattice, moving: Lattice) -> LandmarkSet:
    paths = points.files if len(points.files) == 2 else points.files * 2
    if len(points.files) == 2:
        rows = read_rows(paths[0], 3), read_rows(paths[1], 3)
    else:
        both = read_rows(paths[0], 6)
        rows = both[:, :3], both[:, 3:]
    if len(rows[0]) != len(rows[1]):
        raise InputError(
            paths[1], expected=f"{len(rows[0])} points, as in {paths[0]}", found=str(len(rows[1]))
        )
    return LandmarkSet(
        points.name,
        {
            files.name: Landmarks(_world(path, index, lattice, files.name), files.name)
            for files, lattice, path, index in zip(
                (pair.fixed, pair.moving), (fixed, moving), paths, rows, strict=True
            )
        },
        points.expert,
    )


def _world(path: Path, index: Float, lattice: Lattice, name: str) -> Float:
    points = lattice.to_world(index)
    outside = np.flatnonzero(~lattice.grid.contains(points))
    if len(outside):
        first = ", ".join(f"{v:g}" for v in index[outside[0]])
        raise InputError(
            path,
            expected=f"indices from 0 inside {lattice.grid}",
            found=f"{len(outside)} points of the {name} image outside, the first of them ({first})",
        )
    return points
