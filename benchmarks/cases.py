"""Simulated pairs to measure on, as a dataset that `lungmorph evaluate` reads.

    python benchmarks/cases.py FOLDER [--split development] [--quick]

Every case is an anatomy (a real chest CT or an invented one), a motion (that of another real patient, or an
invented breath) and two scanners, as `recipes.py` lists them. The anatomy is finer than the scans, whose voxels show what
they hold of it on average: neither scan is the other one interpolated. Landmarks lie at vessels and follow the motion exactly.

Real data is looked for in the folder named by LUNGMORPH_DATA, else in `../shared/data` beside the repository; cases
that need it are left out without it, with a line that says so. Cases are made once and kept.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import torch

from lungmorph.files import read_image, write_image, write_landmark_pairs
from lungmorph.ops import length
from lungmorph.registration.lungs import lung_mask
from lungmorph.simulate import (
    Anatomy,
    Breath,
    Draw,
    SimulatedPair,
    breathing_field,
    collapse,
    load_motion,
    real_anatomy,
    simulate_pair,
    thorax,
)
from lungmorph.simulate.real_ct import anatomy_at
from lungmorph.space import Affine, Grid, Volume
from lungmorph.space.grid import Float
from recipes import SPLITS, Recipe, chosen
from splits import data_folder

COLUMNS = (
    "id", "patient", "group", "split", "fixed", "moving", "fixed_mask", "moving_mask", "landmarks",
)  # fmt: skip

#: Voxels of the patients that are scanned, mm, at most.
DETAIL_MM = 1.5
#: Of the two scans' lattices, in voxels of the moving one.
APART = (0.37, 0.21, 0.43)


def write_dataset(
    folder: Path,
    split: str = "test",
    quick: bool = False,
    each: int | None = None,
    only: Collection[str] | None = None,
) -> Path:
    """Make the cases that are not there yet, or of these ``only`` those so called, and their table; returns the table.

    The real pair, where the data is there, comes last, without landmarks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = data_folder()
    rows = []
    for recipe in chosen(split, quick, each):
        if only is not None and recipe.id not in only:
            continue
        if recipe.real and data is None:
            print(f"{recipe.id}: left out, no real data (set LUNGMORPH_DATA)")
            continue
        where = folder / recipe.id
        if not where.exists():
            part = folder / f".{recipe.id}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            _write(make(recipe, data), part)
            part.rename(where)
        files = [f"{recipe.id}/{name}.nii.gz" for name in COLUMNS[4:8]]
        points = f"{recipe.id}/landmarks.csv"
        rows.append([recipe.id, str(recipe.anatomy), recipe.group, split, *files, points])
    if data is not None and split == "test" and only is None:
        rows.append(_real_pair(data / "real_pair_right_lung", folder / "real-pair"))
    table = folder / ("quick.csv" if quick else "dataset.csv")
    with open(table, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    return table


def make(recipe: Recipe, data: Path | None) -> SimulatedPair:
    """The pair of a recipe."""
    anatomy = _anatomy(recipe, data)
    grid = anatomy.ct.grid
    scan = grid.with_spacing(recipe.spacing)
    if isinstance(recipe.motion, str):
        assert data is not None
        motion = load_motion(data / "motion" / recipe.motion)
        field = motion.field_on(grid, anatomy.lungs, keep_translation=False)
        if recipe.mean is not None:
            found = float(length(field[None])[0, 0][anatomy.lungs.data].mean())
            factor = recipe.mean / found
            field = motion.field_on(grid, anatomy.lungs, factor, keep_translation=False)
    else:
        depth = recipe.motion
        breath = Breath(diaphragm=depth, front=0.3 * depth, sides=0.15 * depth)
        field = breathing_field(Draw(recipe.seed, 7), anatomy.lungs, breath)
    airless = collapse(Draw(recipe.seed, 8), anatomy.lungs) if recipe.collapsed else None
    if airless is not None:
        field = airless.after(field)
    x, y, z = recipe.spacing
    spacing = (x, y, recipe.slices or z)
    # where a scanner's voxels begin has nothing to do with where those of another do
    apart = np.asarray(APART) * spacing
    offset = Affine.from_parts(np.eye(3), recipe.offset)
    moving_grid = shifted(scan.with_spacing(spacing), np.add(recipe.offset, apart))
    pair = simulate_pair(
        anatomy,
        field,
        recipe.seed,
        noise_hu=recipe.noise,
        offset=offset,
        consolidation=airless.consolidation if airless else None,
        moving_grid=moving_grid,
        fixed_grid=_turned(scan, recipe.turned) if recipe.turned else scan,
    )
    return replace(pair, moving=with_contrast(pair.moving, recipe.contrast))


def with_contrast(scan: Volume, hu: float) -> Volume:
    """The scan with an agent in its blood: soft tissue brighter by ``hu``, vessels in the lung by the blood they hold."""
    data = scan.data.float()
    blood = ((data + 450) / 450).clamp(0, 1) * (data < 150)
    return Volume(data + hu * blood, scan.grid)


def _anatomy(recipe: Recipe, data: Path | None) -> Anatomy:
    if isinstance(recipe.anatomy, int):
        half = (170.0, 130.0, 150.0)
        return thorax(
            recipe.anatomy, Grid.covering([-h for h in half], half, finer(recipe.spacing))
        )
    assert data is not None
    ct = read_image(data / "chest_ct" / f"{recipe.anatomy}.nii.gz")
    patient = anatomy_at(ct, lung_mask(ct), finer(recipe.spacing)).ct
    return real_anatomy(patient, lung_mask(patient))


def finer(spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    """Of the anatomy that scans of a spacing are taken of: at most half of it, and at most ``DETAIL_MM``."""
    x, y, z = (step / max(2, ceil(step / DETAIL_MM)) for step in spacing)
    return x, y, z


def shifted(grid: Grid, by: Float) -> Grid:
    """The grid moved by so many mm along the world's axes."""
    return Grid(grid.size, grid.spacing, tuple(np.add(grid.origin, by)), grid.direction)


def _turned(grid: Grid, degrees: float) -> Grid:
    """The grid turned about its middle, around an axis that is none of the world's."""
    axis = np.array([2.0, 1.0, 3.0]) / np.sqrt(14.0)
    a = np.radians(degrees)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * k @ k
    half = (np.asarray(grid.size) - 1) / 2 * np.asarray(grid.spacing)
    return Grid(grid.size, grid.spacing, tuple(grid.center - turn @ half), tuple(map(tuple, turn)))


def _write(pair: SimulatedPair, folder: Path) -> None:
    for name in ("fixed", "moving"):
        ct = getattr(pair, name)
        rounded = Volume(ct.data.round().to(torch.int16), ct.grid)
        write_image(rounded, folder / f"{name}.nii.gz")
        write_image(getattr(pair, f"{name}_lungs"), folder / f"{name}_mask.nii.gz")
    write_landmark_pairs(pair.fixed_landmarks, pair.moving_landmarks, folder / "landmarks.csv")


def _real_pair(source: Path, folder: Path) -> list[str]:
    """A real baseline and follow-up, read where they lie."""
    names = ("baseline", "followup", "baseline_lungmask", "followup_lungmask")
    files = [os.path.relpath(source / f"{name}.nii.gz", folder.parent) for name in names]
    return ["real-pair", "real pair", "real pair", "test", *files, ""]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--quick", action="store_true", help="a case a group, for a trial")
    given = parser.parse_args()
    print(write_dataset(given.folder, given.split, given.quick))


if __name__ == "__main__":
    main()
