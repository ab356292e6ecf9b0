"""``lungmorph register``: two scans in, a folder with the displacement of every point out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ..errors import InputError
from .console import print_json, print_verdict, progress_bar, show_steps, stdout, table, use_threads
from .given import check_device, make_sure_of, read_points, scan, scan_name
from .options import Device, Levels, MetricsAlone, Model, Overwrite, Threads, Verbose

if TYPE_CHECKING:
    from ..space import Landmarks

FILES = {
    "transform.h5": "fixed -> moving points, ITK (3D Slicer, SimpleITK)",
    "displacement.nii.gz": "the same as an image of vectors, LPS mm",
    "warped.nii.gz": "the moving image on the fixed grid, HU",
    "jacobian.nii.gz": "local volume change",
    "fixed_lungs.nii.gz": "the lungs that were compared; and moving_lungs.nii.gz",
    "metrics.json": "every figure, setting and time",
    "overview.png": "the picture to look at first",
}
TRANSFORM_ONLY = {
    "transform.h5": FILES["transform.h5"],
    "metrics.json": "every setting and time",
}
JUDGED = {
    "report.html": "the page to look at next: verdict, slices, checks",
    "ventilation.nii.gz": "mL of air that each mL of the lung gains; for research",
    "error.nii.gz": "the error as predicted without landmarks, mm",
    "error_over_2mm.nii.gz": "the probability that it is over 2 mm",
    "quality.json": "checks, regions and verdict, for machines",
}


class PresetName(StrEnum):
    """How much work to spend."""

    fast = "fast"
    default = "default"
    accurate = "accurate"


def register(
    fixed: Annotated[
        Path,
        typer.Argument(
            metavar="FIXED", help="CT that stays: NIfTI, .mha, .nrrd, or a DICOM folder."
        ),
    ],
    moving: Annotated[Path, typer.Argument(metavar="MOVING", help="CT that is warped onto it.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to make, whole or not at all.")
    ],
    preset: Annotated[
        PresetName,
        typer.Option(
            help="fast: network alone. default: refined on the pair. accurate: there and back."
        ),
    ] = PresetName.default,
    fixed_mask: Annotated[
        Path | None, typer.Option(help="Lungs of the fixed image, on its grid; made if left out.")
    ] = None,
    moving_mask: Annotated[
        Path | None, typer.Option(help="Lungs of the moving image, on its grid; made if left out.")
    ] = None,
    landmarks: Annotated[
        list[Path] | None,
        typer.Option(
            help="To report the error, never to register: one CSV with columns "
            "fixed_x,...,moving_z in LPS mm, or the option twice, fixed points first."
        ),
    ] = None,
    model: Model = None,
    levels: Levels = None,
    spacing: Annotated[
        float | None, typer.Option(help="Finest spacing that the refinement works at, mm.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    series: Annotated[
        str | None, typer.Option(help="Of the fixed DICOM folder: UID, number or description.")
    ] = None,
    moving_series: Annotated[str | None, typer.Option(help="Of the moving DICOM folder.")] = None,
    phase: Annotated[
        str | None,
        typer.Option(
            help="Of a 4D CT in the fixed DICOM folder: percent, or a name as '20% In'; 50@ImageComments takes "
            "it from that tag."
        ),
    ] = None,
    moving_phase: Annotated[
        str | None, typer.Option(help="Of a 4D CT in the moving DICOM folder.")
    ] = None,
    first_index: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="Where landmarks in a .txt of indices start to count."),
    ] = None,
    report: Annotated[
        bool | None,
        typer.Option("--report/--no-report", help="Judge it and write report.html (the default)."),
    ] = None,
    transform_only: Annotated[
        bool,
        typer.Option(
            "--transform-only",
            help="Write transform.h5, with settings and times in metrics.json: no images, figures or report.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    as_json: MetricsAlone = False,
    verbose: Verbose = False,
) -> None:
    """Register MOVING to FIXED and write transform, warped image, Jacobian, figures and a picture.

    The transform maps fixed points to moving points (LPS mm), as ITK and 3D Slicer expect it.
    """
    if report and transform_only:
        raise InputError("--transform-only", expected="no --report beside it", found="both")
    use_threads(threads)
    show_steps(verbose)
    from .. import registration

    check_device(device)
    make_sure_of(output, overwrite)
    chosen = ((series, phase), (moving_series, moving_phase))
    points = _landmarks(landmarks or [], (fixed, moving), chosen, first_index)
    with progress_bar(not as_json and not verbose) as progress:
        result = registration.register(
            scan(fixed, series, phase) if series or phase else fixed,
            scan(moving, moving_series, moving_phase) if moving_series or moving_phase else moving,
            preset=preset.value,
            fixed_mask=fixed_mask,
            moving_mask=moving_mask,
            landmarks=points,
            model=model,
            levels=levels,
            spacing=spacing,
            device=device,
            progress=progress,
            names=(scan_name(fixed, series, phase), scan_name(moving, moving_series, moving_phase)),
        )
        if progress:
            progress("write", 1.0)
        found = result.save(output, overwrite, report is not False, progress, transform_only)
    if as_json:
        print_json(result.made if transform_only else result.summary())
        return
    console = stdout()
    if not transform_only:
        console.print(table(rows(result.metrics), ("", "as given", "pre-aligned", "after")))
    if found:
        print_verdict(found.verdict)
    console.print(
        f"{sum(result.seconds.values()):.1f} s for the registration, written to [bold]{escape(str(output))}[/]:"
    )
    written = TRANSFORM_ONLY if transform_only else FILES | JUDGED if found else FILES
    for name, what in written.items():
        console.print(f"  {name:<22} [dim]{what}[/]")


def rows(metrics: dict[str, Any]) -> list[tuple[str, ...]]:
    """What the short table at the end says, from ``Registration.metrics``.

    All in the lungs.
    """
    lungs, similar, folding = metrics["lungs"], metrics["similarity"], metrics["folding"]
    back, length = metrics["inverse_residual_mm"], metrics["beyond_prealigned_mm"]
    made = []
    if marks := metrics.get("landmarks"):
        states = [marks[state] for state in ("before", "prealigned", "after")]
        for title, key in (
            ("landmark error, mm", "continuous"),
            ("  snapped to voxels", "snapped"),
        ):
            made.append((title, *(_spread(state[key]) for state in states)))
        medians = (f"{state['continuous']['median']:.2f}" for state in states)
        made.append(("  median", *medians))
    after = {
        "beyond the pre-alignment, mm": f"{length['mean']:.1f} (max {length['max']:.1f})",
        "inverse misses by, mm": f"{back['mean']:.2f} (95 % {back['p95']:.2f})",
        "folded voxels": f"{folding['voxels']} ({folding['percent']:.2g} %)",
        "Jacobian": f"{folding['min']:.2f} to {folding['max']:.2f}",
    }
    return [
        *made,
        (
            "lung overlap (Dice)",
            "",
            *(f"{lungs[k]:.3f}" for k in ("dice_prealigned", "dice_after")),
        ),
        ("lung correlation", "", *(f"{similar[k]:.3f}" for k in ("ncc_prealigned", "ncc_after"))),
        *((name, "", "", value) for name, value in after.items()),
    ]


def _landmarks(
    files: list[Path],
    images: tuple[Path, Path],
    chosen: tuple[tuple[str | None, str | None], tuple[str | None, str | None]],
    first: int | None,
) -> tuple[Landmarks, Landmarks] | None:
    from ..files import read_landmark_pairs

    if len(files) > 2:
        raise InputError(
            "landmarks", expected="one file of pairs or two files", found=str(len(files))
        )
    if not files:
        return None
    if len(files) == 1:
        return read_landmark_pairs(files[0])
    fixed, moving = (
        read_points(file, frame, image, series, first, phase)
        for file, frame, image, (series, phase) in zip(
            files, ("fixed", "moving"), images, chosen, strict=True
        )
    )
    return fixed, moving


def _spread(values: dict[str, float]) -> str:
    return f"{values['mean']:.2f} ± {values['sd']:.2f}"
