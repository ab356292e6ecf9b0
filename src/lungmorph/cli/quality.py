"""``lungmorph quality``: judge anybody's registration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .console import TONES, print_json, print_verdict, progress_bar, stdout, table, use_threads
from .given import make_sure_of, scan
from .options import Backward, LandmarkTable, Overwrite, Threads, Tolerances

if TYPE_CHECKING:
    from ..quality import Assessment


def quality(
    fixed: Annotated[Path, typer.Argument(metavar="FIXED", help="CT that stayed.")],
    moving: Annotated[Path, typer.Argument(metavar="MOVING", help="CT that was warped onto it.")],
    transform: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRANSFORM...",
            help="ITK transform, displacement image (LPS mm), last parameter file of elastix, field of NiftyReg, or DICOM registration, "
            "fixed to moving points. Of "
            "several a point goes through the first one first, as in antsApplyTransforms: 1Warp.nii.gz 0GenericAffine.mat.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to make, whole or not at all.")
    ],
    backward: Backward = None,
    fixed_mask: Annotated[
        Path | None, typer.Option(help="Lungs of the fixed image; made if left out.")
    ] = None,
    moving_mask: Annotated[
        Path | None, typer.Option(help="Lungs of the moving image; made if left out.")
    ] = None,
    landmarks: LandmarkTable = None,
    tolerances: Tolerances = None,
    series: Annotated[str | None, typer.Option(help="Of the fixed DICOM folder.")] = None,
    moving_series: Annotated[str | None, typer.Option(help="Of the moving DICOM folder.")] = None,
    phase: Annotated[str | None, typer.Option(help="Of a 4D CT in the fixed folder.")] = None,
    moving_phase: Annotated[
        str | None, typer.Option(help="Of a 4D CT in the moving folder.")
    ] = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print quality.json and nothing else.")
    ] = False,
) -> None:
    """Judge a registration of any tool: predicted error, checks after AAPM TG-132, regions, and a page to look at.

    The exit code is 0 whatever the verdict is.
    """
    use_threads(threads)
    from ..files import is_of_itk, output_folder, read_landmark_pairs, read_mask, read_transform
    from ..quality import load_tolerances
    from ..report.of_transform import write_quality_of
    from ..space import Composite

    make_sure_of(output, overwrite)
    limits = load_tolerances(tolerances)
    parts = [read_transform(file) for file in transform]
    mapping = parts[0] if len(parts) == 1 else Composite(parts)
    with progress_bar(not as_json) as progress:
        if progress:
            progress("read", 0.1)
        images = scan(fixed, series, phase), scan(moving, moving_series, moving_phase)
        masks = (
            read_mask(file, image) if file else None
            for file, image in zip((fixed_mask, moving_mask), images, strict=True)
        )
        fixed_lungs, moving_lungs = masks
        with output_folder(output, overwrite) as folder:
            found = write_quality_of(
                folder,
                *images,
                mapping,
                names=(str(fixed), str(moving)),
                transform_names=[str(file) for file in transform],
                foreign_names=[file.name for file in transform if not is_of_itk(file)],
                fixed_mask=fixed_lungs,
                moving_mask=moving_lungs,
                landmarks=read_landmark_pairs(landmarks) if landmarks else None,
                backward=read_transform(backward) if backward else None,
                tolerances=limits,
                tolerances_name=str(tolerances) if tolerances else None,
                progress=progress,
            )
    if as_json:
        print_json(found.as_dict())
        return
    show(found)
    where = escape(str(output))
    stdout().print(
        f"look at [bold]{where}/report.html[/]; figures are in {where}/quality.json, the predicted error in "
        f"{where}/error.nii.gz (mm) and {where}/error_over_2mm.nii.gz (probability)"
    )


def show(found: Assessment) -> None:
    """Verdict, reasons and the table of checks."""
    print_verdict(found.verdict)
    rows = []
    for check in found.verdict.checks:
        tone = TONES[check.verdict]
        rows.append((check.title, check.found, check.passes, f"[{tone}]{check.verdict}[/]"))
    stdout().print(table(rows, ("", "found", "passes", "verdict")))
