"""``lungmorph demo``: a breath whose truth is known, made on the spot and registered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..plain_json import json_text
from .console import print_json, print_verdict, progress_bar, stdout, table, use_threads
from .given import make_sure_of
from .options import Levels, MetricsAlone, Overwrite, Threads
from .register import PresetName, rows

if TYPE_CHECKING:
    from ..simulate import SimulatedPair

#: mm; the largest motion is at the diaphragm
DIAPHRAGM_MM, FRONT_MM, SIDES_MM = 24.0, 7.0, 4.0
EXTENT_MM = (320.0, 256.0, 320.0)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")] = Path(
        "demo-result"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Another patient for every seed.")] = 2,
    spacing: Annotated[
        float, typer.Option(min=1.0, max=6.0, help="Voxels of the simulated scans, mm.")
    ] = 2.5,
    preset: Annotated[PresetName, typer.Option(help="As in register.")] = PresetName.default,
    levels: Levels = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    as_json: MetricsAlone = False,
) -> None:
    """Simulate a patient breathing in and out, register the two scans, and show the true error.

    Body, breath and noise are made from a seed, so the displacement of every point is known exactly.
    """
    use_threads(threads)
    from .. import registration
    from ..files import output_folder, write_image, write_landmark_pairs

    make_sure_of(output, overwrite)
    console = stdout()
    with progress_bar(not as_json) as progress:
        if progress:
            progress("simulate a breath", 0.0)
        pair = breath(seed, spacing)
        result = registration.register(
            pair.fixed,
            pair.moving,
            preset=preset.value,
            levels=levels,
            landmarks=(pair.fixed_landmarks, pair.moving_landmarks),
            progress=progress,
            names=("exhale.nii.gz", "inhale.nii.gz"),
        )
        if progress:
            progress("write", 1.0)
        with output_folder(output, overwrite) as folder:
            write_image(pair.fixed, folder / "exhale.nii.gz")
            write_image(pair.moving, folder / "inhale.nii.gz")
            write_landmark_pairs(
                pair.fixed_landmarks, pair.moving_landmarks, folder / "landmarks.csv"
            )
            found = result.save(folder / "registration")
            # marks the folder as a result, which --overwrite may replace
            (folder / "metrics.json").write_text(json_text(result.summary()) + "\n")
    if as_json:
        print_json(result.summary())
        return
    count = len(pair.fixed_landmarks)
    console.print(f"A simulated breath (seed {seed}), its motion known at {count} vessel points:")
    console.print(table(rows(result.metrics), ("", "as given", "pre-aligned", "after")))
    if found:
        print_verdict(found.verdict)
    where = escape(str(output))
    console.print(
        f"{sum(result.seconds.values()):.1f} s for the registration, written to [bold]{where}[/]."
    )
    console.print(
        f"Look at {where}/registration/report.html (verdict, slices, places to look at) or overview.png; or register the pair yourself:"
    )
    console.print(
        f"  lungmorph register {where}/exhale.nii.gz {where}/inhale.nii.gz"
        f" --landmarks {where}/landmarks.csv -o my-result"
    )


def breath(seed: int, spacing: float) -> SimulatedPair:
    """Exhale (fixed) and inhale (moving) of a random patient."""
    from ..simulate import Breath, Draw, breathing_field, simulate_pair, thorax
    from ..simulate.pairs import averaged
    from ..simulate.recipe import inner_voxels
    from ..space import DisplacementField, Grid

    half = [length / 2 for length in EXTENT_MM]
    grid = Grid.covering([-h for h in half], half, spacing)
    anatomy = thorax(seed, grid.divided(inner_voxels(grid.spacing)))
    motion = Breath(diaphragm=DIAPHRAGM_MM, front=FRONT_MM, sides=SIDES_MM)
    field = breathing_field(Draw(seed, 9), averaged(anatomy.lungs, grid), motion)
    there = DisplacementField(field, grid)
    return simulate_pair(anatomy, there, seed, fixed_grid=grid, moving_grid=grid)
