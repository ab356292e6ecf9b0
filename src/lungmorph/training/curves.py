"""Pictures of a run: its curves, and a pair before and after."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files import replacing
from ..ops import warp

Rows = list[dict[str, str]]


def draw_curves(folder: Path) -> None:
    """``curves.png`` from ``train.csv`` and ``validation.csv``: loss, error, folding; lines between stages."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    train, validation = _rows(folder / "train.csv"), _rows(folder / "validation.csv")
    figure = Figure(figsize=(9, 9))
    FigureCanvasAgg(figure)
    # fixed margins: a layout that is worked out takes as long as the drawing
    margins = {"left": 0.1, "right": 0.98, "top": 0.98, "bottom": 0.06, "hspace": 0.1}
    loss, error, folded = figure.subplots(3, 1, sharex=True, gridspec_kw=margins)
    _line(loss, train, "loss", "training", "0.7")
    _line(loss, validation, "loss", "validation", "C0")
    _line(error, validation, "error_mm", "after", "C0")
    _line(error, validation, "start_mm", "before", "0.6")
    _line(folded, validation, "folded", "share of lung voxels with det J <= 0", "C3")
    for axes, label in ((loss, "loss"), (error, "error, mm"), (folded, "folding")):
        axes.set_ylabel(label)
        for step in _stage_starts(validation or train)[1:]:
            axes.axvline(step, color="0.8", linewidth=1, zorder=0)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    folded.set_xlabel("step")
    with replacing(folder / "curves.png") as temporary:
        figure.savefig(temporary, dpi=110)


def pair_picture(pair: dict[str, Tensor], output: Tensor) -> Tensor:
    """Middle coronal slices side by side: fixed, moving, warped, difference before and after.

    Args:
        pair: as the network sees it, (B, 1, D, H, W) in [0, 1].
        output: (B, 3, D, H, W), voxels.

    Returns:
        (D, 5 W) in [0, 1], head up (arrays count from the foot).
    """
    fixed, moving = pair["fixed"][:1], pair["moving"][:1]
    warped = warp(moving, output[:1])
    middle = fixed.shape[3] // 2
    shown = (fixed, moving, warped, (fixed - moving).abs(), (fixed - warped).abs())
    slices = [image[0, 0, :, middle].flip(0).clamp(0, 1) for image in shown]
    return torch.cat(slices, dim=1).cpu()


def _rows(path: Path) -> Rows:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _line(axes: Any, rows: Rows, name: str, label: str, color: str) -> None:
    points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, color=color, linewidth=1.2)


def _stage_starts(rows: Iterable[dict[str, str]]) -> list[int]:
    starts: dict[str, int] = {}
    for row in rows:
        starts.setdefault(row["stage"], int(row["step"]))
    return list(starts.values())
