"""Pairs to measure on, made on the spot (simulated) or found beside the repository (real).

A case is a folder with `fixed.nii.gz`, `moving.nii.gz`, `fixed_mask.nii.gz`, `moving_mask.nii.gz` and, where
the truth is known, `landmarks.csv` (fixed_x, ..., moving_z in LPS mm). It is made once and kept.

Real data is looked for in the folder named by LUNGMORPH_DATA, else in `../shared/data` beside the
repository; cases that need it are skipped without it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from lungmorph.files import write_image, write_landmark_pairs
from lungmorph.registration.lungs import lung_mask
from lungmorph.simulate import (
    Breath,
    Draw,
    SimulatedPair,
    breathing_field,
    load_motion,
    real_anatomy,
    simulate_pair,
    thorax,
)
from lungmorph.space import Grid, Volume


class MissingDataError(Exception):
    """The real data that a case needs is not on this machine."""


@dataclass(frozen=True)
class Case:
    """A name for `--cases`, what it is, and a function that fills a folder."""

    title: str
    make: Callable[[Path], None]


def data_folder() -> Path:
    """Where the real data is.

    Raises:
        MissingDataError: it is not there.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LUNGMORPH_DATA", beside))
    if not folder.is_dir():
        raise MissingDataError(f"no real data in {folder}; set LUNGMORPH_DATA")
    return folder


def prepared(name: str, work: Path) -> Path:
    """The folder of a case under `work`, made on first use (whole or not at all)."""
    folder = work / "cases" / name
    if not folder.exists():
        part = folder.with_name(f".{name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        CASES[name].make(part)
        part.rename(folder)
    return folder


def _centred(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
    x, y, z = (-(n - 1) * s / 2 for n, s in zip(size, spacing, strict=True))
    return Grid(size, spacing, (x, y, z))


def _procedural(
    size: tuple[int, int, int], spacing: tuple[float, float, float], seed: int
) -> Callable[[Path], None]:
    """An invented patient who breathes: a diaphragm motion of 25 mm, sliding along the wall."""

    def make(folder: Path) -> None:
        anatomy = thorax(seed, _centred(size, spacing))
        breath = Breath(diaphragm=25.0, front=6.0, sides=3.0)
        field = breathing_field(Draw(seed, 7), anatomy.lungs, breath)
        _write(simulate_pair(anatomy, field, seed), folder)

    return make


def _real_anatomy(folder: Path) -> None:
    """A patient's CT at 1.5 x 1.5 x 2.5 mm, moved by the breathing of another patient."""
    data = data_folder()
    ct = sitk.ReadImage(str(data / "chest_ct" / "pyradiomics_lung2.nii.gz"), sitk.sitkFloat32)
    spacing = (1.5, 1.5, 2.5)
    nx, ny, nz = (
        int((n - 1) * s / t) + 1
        for n, s, t in zip(ct.GetSize(), ct.GetSpacing(), spacing, strict=True)
    )
    size = (nx, ny, nz)
    fine = sitk.Resample(
        ct, size, sitk.Transform(), sitk.sitkBSpline, ct.GetOrigin(), spacing, ct.GetDirection()
    )
    grid = Grid(size, spacing, ct.GetOrigin())
    volume = Volume(torch.from_numpy(sitk.GetArrayFromImage(fine)), grid)
    anatomy = real_anatomy(volume, lung_mask(volume))
    motion = load_motion(data / "motion" / "learn2reg_lung_keypoints" / "case_010.csv")
    # At full size this motion is deep (11 mm on average, 26 mm at most).
    field = motion.field_on(grid, anatomy.lungs, keep_translation=False)
    _write(simulate_pair(anatomy, field, seed=5, noise_hu=15.0), folder)


def _real_pair(folder: Path) -> None:
    source = data_folder() / "real_pair_right_lung"
    for theirs, ours in (("baseline", "fixed"), ("followup", "moving")):
        shutil.copyfile(source / f"{theirs}.nii.gz", folder / f"{ours}.nii.gz")
        shutil.copyfile(source / f"{theirs}_lungmask.nii.gz", folder / f"{ours}_mask.nii.gz")


def _write(pair: SimulatedPair, folder: Path) -> None:
    for name in ("fixed", "moving"):
        ct = getattr(pair, name)
        rounded = Volume(ct.data.round().to(torch.int16), ct.grid)
        write_image(rounded, folder / f"{name}.nii.gz")
        write_image(getattr(pair, f"{name}_lungs"), folder / f"{name}_mask.nii.gz")
    write_landmark_pairs(pair.fixed_landmarks, pair.moving_landmarks, folder / "landmarks.csv")


CASES = {
    "small": Case(
        "simulated thorax, 96x80x80 at 3.5 mm (a trial run)",
        _procedural((96, 80, 80), (3.5, 3.5, 3.5), 11),
    ),
    "crop5m": Case(
        "simulated thorax, 192x160x160 at 1.75 mm (5 million voxels)",
        _procedural((192, 160, 160), (1.75, 1.75, 1.75), 12),
    ),
    "full": Case(
        "simulated thorax, 512x512x136 at 0.7x0.7x2.5 mm",
        _procedural((512, 512, 136), (0.7, 0.7, 2.5), 13),
    ),
    "real": Case("real baseline and follow-up, right lung, no landmarks", _real_pair),
    "anatomy": Case("real anatomy x real motion, 1.5x1.5x2.5 mm", _real_anatomy),
}


def landmarks(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """(fixed, moving) points of a case, LPS mm, or None."""
    path = folder / "landmarks.csv"
    if not path.exists():
        return None
    lines = [line for line in path.read_text().splitlines() if line and line[0] in "-.0123456789"]
    table = np.loadtxt(lines, delimiter=",", ndmin=2)
    return table[:, :3], table[:, 3:6]
