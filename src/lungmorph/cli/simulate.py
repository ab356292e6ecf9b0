"""``lungmorph simulate``: pairs or 4D CTs whose motion is known exactly, as a dataset."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ..errors import InputError
from ..plain_json import json_text
from .console import print_json, progress_bar, stdout, use_threads
from .given import make_sure_of
from .options import MetricsAlone, Overwrite, Threads

if TYPE_CHECKING:
    from ..simulate.anatomy import Anatomy
    from ..simulate.real_motion import Motion
    from ..simulate.recipe import Recipe

DEFAULT_SPACING = (2.5, 2.5, 2.5)
#: At the peak, for every voxel of a scan, measured on a 4D CT.
BYTES_A_VOXEL = 300


class Layout(StrEnum):
    """How the files lie."""

    nifti = "nifti"
    dirlab = "dirlab"


def simulate(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    pairs: Annotated[int | None, typer.Option(min=1, help="So many pairs.")] = None,
    series: Annotated[
        int | None, typer.Option(min=1, help="Or so many 4D CTs of ten phases.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Other patients for every seed.")] = 0,
    spacing: Annotated[
        str | None,
        typer.Option(help="Voxels in mm, 2 or 1x1x2.5; left out: 2.5, or those of --anatomy."),
    ] = None,
    anatomy: Annotated[
        Path | None,
        typer.Option(metavar="CT", help="A real chest CT; else every patient is invented."),
    ] = None,
    anatomy_mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its lungs; found if left out.")
    ] = None,
    motion: Annotated[
        str, typer.Option(help="breathing, random, or a CSV of keypoints of a real breath.")
    ] = "breathing",
    depth: Annotated[
        float | None,
        typer.Option(
            min=0, max=80, help="Motion of the diaphragm in mm; left out: 8 to 32, drawn."
        ),
    ] = None,
    noise: Annotated[float, typer.Option(min=0, max=1000, help="Of the scanner, HU.")] = 20.0,
    slice_thickness: Annotated[
        float | None, typer.Option(min=0, max=100, help="Millimetres that a slice averages.")
    ] = None,
    tumour: Annotated[
        float | None,
        typer.Option(min=2, max=1000, help="A mass of that mean radius in mm in a lung."),
    ] = None,
    collapse: Annotated[
        float,
        typer.Option(
            help="Share of the patients with a partly collapsed lung: in the fixed scan of a pair, in all phases of a 4D CT."
        ),
    ] = 0.0,
    every_truth: Annotated[
        bool,
        typer.Option(
            "--every-truth", help="Of a 4D CT, the motion from T00 to every phase; else to T50."
        ),
    ] = False,
    layout: Annotated[
        Layout, typer.Option(help="NIfTI and CSV, or (series) as DIR-Lab 4DCT.")
    ] = Layout.nifti,
    threads: Threads = None,
    overwrite: Overwrite = False,
    as_json: MetricsAlone = False,
) -> None:
    """Make lung CT whose motion is known at every point: pairs of scans, or 4D CTs.

    Body, motion and noise come from the seed. Fixed is exhale and moving inhale; of a 4D CT, fixed is
    T00 (end of inhale) and moving T50. Same options, same files.
    """
    count = _count(pairs, series)
    if series is None and layout is Layout.dirlab:
        raise _wrong("--layout dirlab", "--series, as DIR-Lab has ten phases", "--pairs")
    if every_truth and (series is None or layout is Layout.dirlab):
        found = "--pairs" if series is None else "--layout dirlab, which has no place for a truth"
        raise _wrong("--every-truth", "--series, as NIfTI", found)
    if anatomy is None and anatomy_mask is not None:
        raise _wrong("--anatomy-mask", "the CT that it belongs to (--anatomy)", "none")
    steps = None if spacing is None else _spacing(spacing)
    make_sure_of(output, overwrite)
    use_threads(threads)
    from ..files import output_folder
    from ..simulate.dataset import write_dirlab, write_pairs, write_series
    from ..simulate.recipe import Recipe

    with progress_bar(not as_json) as progress:
        if progress:
            progress("read", 0.0)
        recipe = Recipe(
            seed=seed,
            spacing=steps or DEFAULT_SPACING,
            anatomy=None if anatomy is None else _anatomy(anatomy, anatomy_mask, steps),
            motion=_motion(motion),
            depth_mm=depth,
            noise_hu=noise,
            slice_thickness=slice_thickness,
            tumour_mm=tumour,
            collapse=collapse,
        )
        _make_sure_of_memory(recipe, pairs=series is None)
        patient = "" if anatomy is None else re.sub(r"\.nii(\.gz)?$|\.\w+$", "", anatomy.name)
        with output_folder(output, overwrite) as folder:
            if layout is Layout.dirlab:
                cases = write_dirlab(folder, recipe, count, progress)
            elif series is None:
                cases = write_pairs(folder, recipe, count, patient, progress)
            else:
                cases = write_series(folder, recipe, count, patient, progress, every_truth)
            summary = _summary(recipe, "pairs" if series is None else "series", motion, cases)
            # marks the folder as a result, which --overwrite may replace
            (folder / "metrics.json").write_text(json_text(summary) + "\n")
    if as_json:
        print_json(summary)
        return
    _tell(summary, output, layout)


def _count(pairs: int | None, series: int | None) -> int:
    if (pairs is None) == (series is None):
        found = "neither" if pairs is None else "both"
        raise _wrong("what to simulate", "--pairs N or --series N", found)
    return pairs or series or 0


def _wrong(what: str, expected: str, found: str) -> InputError:
    return InputError(what, expected=expected, found=found)


def _spacing(text: str) -> tuple[float, float, float]:
    try:
        numbers = [float(part) for part in re.split(r"[x,\s]+", text.strip())]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not all(math.isfinite(n) and 0.3 <= n <= 20 for n in numbers):
        raise _wrong("--spacing", "one number or three, 0.3 to 20 mm (2 or 1x1x2.5)", repr(text))
    x, y, z = numbers
    return x, y, z


def _anatomy(path: Path, mask: Path | None, spacing: tuple[float, float, float] | None) -> Anatomy:
    from ..files import read_image, read_mask
    from ..registration.lungs import lung_mask
    from ..simulate.real_ct import anatomy_at

    try:
        ct = read_image(path)
    except InputError as error:
        if "--series" not in error.do:
            raise
        # which counts 4D CTs here
        do = "name one file of the series in place of the folder"
        raise InputError(error.what, expected=error.expected, found=error.found, do=do) from error
    lungs = lung_mask(ct, path) if mask is None else read_mask(mask, like=ct)
    try:
        return anatomy_at(ct, lungs, spacing)
    except ValueError as error:
        raise InputError(
            mask or path, expected="lungs where the CT is", found=str(error)
        ) from error


def _motion(text: str) -> str | Motion:
    from ..simulate.real_motion import load_motion
    from ..simulate.recipe import MOTIONS

    if text in MOTIONS:
        return text
    if not text.lower().endswith(".csv"):
        raise _wrong("--motion", f"{', '.join(MOTIONS)} or a CSV of keypoints", repr(text))
    return load_motion(text)


def _make_sure_of_memory(recipe: Recipe, pairs: bool) -> None:
    from ..registration.memory import available_bytes
    from ..simulate.recipe import inner_voxels

    parts = math.prod(inner_voxels(recipe.grid.spacing)) if pairs else 1
    needed, there = BYTES_A_VOXEL * recipe.grid.voxels * parts, available_bytes()
    if needed > there:
        raise InputError(
            "memory",
            expected=f"about {needed / 1e9:.1f} GB for scans of {recipe.grid}",
            found=f"{there / 1e9:.1f} GB available",
            do="ask for a coarser spacing",
        )


def _summary(recipe: Recipe, kind: str, motion: str, cases: list[dict[str, Any]]) -> dict[str, Any]:
    from ..simulate.real_ct import cut_off

    grid = recipe.grid
    cut = "" if recipe.anatomy is None else cut_off(recipe.anatomy)
    found = f"the CT ends within the lungs ({cut}): beyond, other phases repeat its last slice, outside of the masks"
    return {
        "kind": kind,
        "seed": recipe.seed,
        "size": list(grid.size),
        "spacing": list(grid.spacing),
        "motion": motion,
        "collapse": recipe.collapse,
        "tumour_mm": recipe.tumour_mm,
        "motion_mm": {
            "mean": sum(case["motion_mm"]["mean"] for case in cases) / len(cases),
            "max": max(case["motion_mm"]["max"] for case in cases),
        },
        "cases": cases,
        "problems": [found] if cut else [],
    }


def _tell(summary: dict[str, Any], output: Path, layout: Layout) -> None:
    console = stdout()
    cases = summary["cases"]
    size, step = ("x".join(f"{n:.4g}" for n in summary[key]) for key in ("size", "spacing"))
    one = {"pairs": "pair", "series": "4D CT of ten phases"}[summary["kind"]]
    several = {"pairs": "pairs", "series": "4D CTs of ten phases"}[summary["kind"]]
    mean, most = summary["motion_mm"]["mean"], summary["motion_mm"]["max"]
    points = sum(case["landmarks"] for case in cases) / len(cases)
    console.print(
        f"{len(cases)} {one if len(cases) == 1 else several}, {size} voxels of {step} mm,"
        f" {points:.0f} landmarks each."
    )
    console.print(f"Motion of the lung: mean {mean:.1f} mm, at most {most:.1f} mm.")
    for line in summary["problems"]:
        console.print(f"[red]problem[/] {line}")
    where = escape(str(output))
    console.print(f"Written to [bold]{where}[/]. Next:")
    if layout is Layout.dirlab:
        # not rounded as for people: it is what the files are read with
        exact = "x".join(f"{n:.10g}" for n in summary["spacing"])
        given = f"{where} --kind dirlab-4dct --size {size} --spacing {exact}"
    else:
        given = f"{where}/dataset.csv"
    console.print(f"  lungmorph data check {given}")
    console.print(f"  lungmorph evaluate {given} -o RESULT")
