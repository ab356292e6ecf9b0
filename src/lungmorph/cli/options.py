"""Options that several verbs have, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str | None, typer.Option(help="Weights: a shipped name or a file.")]
Levels = Annotated[
    int | None, typer.Option(min=0, help="Run only the first so many levels; 0: no network.")
]
Device = Annotated[str, typer.Option(help="For network and refinement: cpu, cuda, cuda:1, mps.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; all if left out.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")]
MetricsAlone = Annotated[bool, typer.Option("--json", help="Print metrics.json and nothing else.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell every step.")]
LandmarkTable = Annotated[
    Path | None, typer.Option(help="CSV with columns fixed_x, ..., moving_z in LPS mm.")
]
Backward = Annotated[
    Path | None,
    typer.Option(
        help="Transform of the swapped pair, for the inverse consistency; LungMorph's own if left out."
    ),
]
Tolerances = Annotated[
    Path | None, typer.Option(help="Limits of your own, as quality/tolerances.yaml.")
]
