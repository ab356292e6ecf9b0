"""A page that lists many results: one sortable table, a row a folder."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import InputError
from ..files import replacing
from .page import page_template

#: Head of a column, and where its figure is in ``quality.json``.
COLUMNS: dict[str, tuple[str, ...]] = {
    "landmark error, mm": ("figures", "landmarks", "after", "continuous", "mean"),
    "predicted error, mm": ("predicted", "mean_mm"),
    "both ways, mm": ("figures", "inverse_consistency_mm", "mean"),
    "Dice": ("figures", "overlap", "dice_after"),
    "surfaces, mm": ("figures", "overlap", "surface_mean_mm"),
    "folded, %": ("figures", "folding", "percent"),
    "displacement, mm": ("figures", "displacement_mm", "mean"),
}
QUALITY, PAGE = "quality.json", "report.html"


def results_below(folder: Path) -> list[Path]:
    """The folders below (or equal to) ``folder`` that hold a judged result, in order of their names."""
    return sorted(path.parent for path in folder.rglob(QUALITY) if path.is_file())


def write_index(folder: str | Path) -> Path:
    """Write ``index.html`` over all judged results below a folder.

    Raises:
        InputError: there are none, or a ``quality.json`` is not one.
    """
    folder = Path(folder)
    found = results_below(folder)
    if not found:
        raise InputError(
            folder,
            expected=f"results with {QUALITY} in folders below",
            found="none",
            do="register with --report, or run `lungmorph report RESULT` on each",
        )
    rows = [_row(folder, result) for result in found]
    text = page_template("index.html.j2").render(
        title=f"Results in {folder.resolve().name}",
        rows=rows,
        heads=list(COLUMNS),
        counts=sorted(Counter(row["verdict"] for row in rows).items()),
    )
    path = folder / "index.html"
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def _row(folder: Path, result: Path) -> dict[str, Any]:
    path = result / QUALITY
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        verdict, why = str(found["verdict"]), found["why"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(path, expected="what LungMorph wrote", found=repr(error)) from None
    name = result.relative_to(folder).as_posix() if result != folder else result.resolve().name
    page = (result / PAGE).relative_to(folder).as_posix() if (result / PAGE).is_file() else ""
    return {
        "name": name,
        "page": quote(page),
        "verdict": verdict,
        "why": " ".join(str(line) for line in why),
        "cells": [_cell(found, keys) for keys in COLUMNS.values()],
    }


def _cell(found: Any, keys: tuple[str, ...]) -> dict[str, str]:
    value = found
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, (int, float)):
        return {"value": "", "text": ""}
    return {"value": repr(float(value)), "text": f"{value:.3g}"}
