"""Simulated patients as files: a dataset that every verb reads, with the truth beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..datasets.dirlab_write import package_name, write_case
from ..datasets.table_rows import TABLE_NAME
from ..datasets.table_write import write_table
from ..errors import InputError
from ..files import write_image, write_landmark_pairs, write_landmarks, write_transform
from ..ops import length
from ..space import DisplacementField, Landmarks, Volume
from .recipe import Recipe
from .series import PHASES, SimulatedSeries

Progress = Callable[[str, float], None]
Summary = list[dict[str, Any]]
INHALE, EXHALE = "T00", "T50"
_SAID = "written by lungmorph simulate; LPS mm; the truth maps fixed to moving points"
#: Landmarks of the intermediate phases in DIR-Lab's packages.
_SAMPLED = 75


def write_pairs(
    folder: Path, recipe: Recipe, count: int, patient: str = "", progress: Progress | None = None
) -> Summary:
    """Write ``folder/case-001`` ... and ``folder/dataset.csv``, a row a pair.

    Args:
        folder: exists.
        patient: who they all are; each is a patient of its own if empty.
        progress: told (what, share done).

    Returns:
        For each pair its ``id``, ``landmarks`` and ``motion_mm`` (mean and max in the fixed lungs).
    """
    rows, made = [], []
    for number in range(count):
        case = f"case-{number + 1:03d}"
        if progress:
            progress(case, number / count)
        with _told_of(case):
            pair = recipe.pair(number)
        (folder / case).mkdir()
        cells = {"id": case, "patient": patient or case}
        for name, ct, lungs in (
            ("fixed", pair.fixed, pair.fixed_lungs),
            ("moving", pair.moving, pair.moving_lungs),
        ):
            cells |= {name: f"{case}/{name}.nii.gz", f"{name}_mask": f"{case}/{name}_lungs.nii.gz"}
            _write_scan(ct, folder / cells[name])
            write_image(lungs, folder / cells[f"{name}_mask"])
        write_transform(pair.truth, folder / case / "truth.nii.gz")
        if len(pair.fixed_landmarks):
            cells["landmarks"] = f"{case}/landmarks.csv"
            points = (pair.fixed_landmarks, pair.moving_landmarks)
            write_landmark_pairs(*points, folder / cells["landmarks"])
        rows.append(cells)
        made.append(_facts(case, pair.truth, pair.fixed_lungs, pair.fixed_landmarks))
    write_table(folder / TABLE_NAME, _SAID, rows)
    return made


def write_series(
    folder: Path,
    recipe: Recipe,
    count: int,
    patient: str = "",
    progress: Progress | None = None,
    every_truth: bool = False,
) -> Summary:
    """Write ``folder/case-001`` ... with T00 to T90 and ``folder/dataset.csv``, a row a phase.

    The truth is that of the pair T00 (fixed) and T50 (moving). With ``every_truth``, those from T00 to all other phases
    are written as well, as ``T10_truth.nii.gz`` .... Otherwise as :func:`write_pairs`.
    """
    rows, made = [], []
    for case, series in _each(recipe, count, progress, "case-{:03d}"):
        (folder / case).mkdir()
        for phase, scan, lungs, points in zip(
            PHASES, series.phases, series.lungs, series.landmarks, strict=True
        ):
            cells = {
                "id": case,
                "patient": patient or case,
                "phase": phase[1:],
                "image": f"{case}/{phase}.nii.gz",
                "role": {INHALE: "fixed", EXHALE: "moving"}.get(phase, ""),
                "mask": f"{case}/{phase}_lungs.nii.gz",
            }
            _write_scan(scan, folder / cells["image"])
            write_image(lungs, folder / cells["mask"])
            if len(points):
                cells["landmarks"] = f"{case}/{phase}_landmarks.csv"
                write_landmarks(points, folder / cells["landmarks"])
            rows.append(cells)
        truth = series.truth(INHALE, EXHALE)
        write_transform(truth, folder / case / "truth.nii.gz")
        for phase in PHASES[1:] if every_truth else ():
            there = truth if phase == EXHALE else series.truth(INHALE, phase)
            write_transform(there, folder / case / f"{phase}_truth.nii.gz")
        made.append(_facts(case, truth, series.lungs[0], series.landmarks[0]))
    write_table(folder / TABLE_NAME, _SAID, rows)
    return made


def write_dirlab(
    folder: Path, recipe: Recipe, count: int, progress: Progress | None = None
) -> Summary:
    """Write ``folder/Case1Pack`` ... as DIR-Lab 4DCT distributes them; no masks, no truth.

    Raises:
        InputError: the grid is too coarse to choose landmarks on.
    """
    made = []
    for case, series in _each(recipe, count, progress, "{}"):
        points = series.landmarks
        if len(points[0]) == 0:
            raise InputError(
                f"case {case}",
                expected="vessels to set landmarks at",
                found=f"none on {recipe.grid}",
                do="ask for a finer spacing",
            )
        sampled = [Landmarks(marked.points[:_SAMPLED], marked.frame) for marked in points[:6]]
        number = int(case)
        write_case(folder, number, series.phases, (points[0], points[5]), sampled)
        truth = series.truth(INHALE, EXHALE)
        made.append(_facts(package_name(number), truth, series.lungs[0], points[0]))
    return made


# ---------------------------------------------------------------- parts


def _each(
    recipe: Recipe, count: int, progress: Progress | None, name: str
) -> Iterator[tuple[str, SimulatedSeries]]:
    for number in range(count):
        case = name.format(number + 1)

        def within(what: str, share: float, case: str = case, number: int = number) -> None:
            if progress:
                progress(f"{case}, {what}", (number + share) / count)

        with _told_of(case):
            series = recipe.series(number, within)
        yield case, series


@contextmanager
def _told_of(case: str) -> Iterator[None]:
    """Say of which case a refusal is."""
    try:
        yield
    except InputError as error:
        raise InputError(
            f"{case}, {error.what}", expected=error.expected, found=error.found, do=error.do
        ) from error


def _write_scan(ct: Volume, path: Path) -> None:
    write_image(Volume(ct.data.round().to(torch.int16), ct.grid), path)


def _facts(case: str, truth: DisplacementField, lungs: Volume, points: Landmarks) -> dict[str, Any]:
    size = length(truth.data[None])[0, 0][lungs.data]
    motion = {"mean": float(size.mean()), "max": float(size.max())}
    return {"id": case, "motion_mm": motion, "landmarks": len(points)}
