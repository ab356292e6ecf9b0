"""A page that lists many results: one sortable table, a row a folder."""

from __future__ import annotations

import json
import math
import os
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
QUALITY, PAGE, TRANSFORM = "quality.json", "report.html", "transform.h5"
#: In the order of how much they need a person, by which the table sorts.
VERDICTS = ("fail", "not computed", "review", "pass")


def results_below(folder: Path) -> list[Path]:
    """The folders below (or equal to) ``folder`` that hold a result, judged or not, in order of their names."""
    marks = (path for name in (QUALITY, TRANSFORM) for path in folder.rglob(name))
    return sorted({path.parent for path in marks if path.is_file()})


def write_index(folder: str | Path) -> Path:
    """Write ``index.html`` over all results below a folder; what is not judged, or damaged, says so in its row.

    Raises:
        InputError: there are none.
    """
    folder = Path(folder)
    found = results_below(folder)
    if not found:
        raise InputError(
            folder,
            expected=f"results with {QUALITY} or {TRANSFORM} in folders below",
            found="none",
            do="register with --report, or run `lungmorph report RESULT` on each",
        )
    rows = [_row(folder, result) for result in found]
    text = page_template("index.html.j2").render(
        title=f"Results in {folder.resolve().name}",
        rows=rows,
        heads=list(COLUMNS),
        counts=sorted(
            Counter(row["verdict"] for row in rows).items(), key=lambda one: _rank(one[0])
        ),
    )
    path = folder / "index.html"
    with replacing(path) as part:
        # names of folders need not be UTF-8
        part.write_text(text, encoding="utf-8", errors="replace")
    return path


def _row(folder: Path, result: Path) -> dict[str, Any]:
    found, verdict, why = _judged(result / QUALITY)
    name = result.relative_to(folder).as_posix() if result != folder else result.resolve().name
    page = (result / PAGE).relative_to(folder).as_posix() if (result / PAGE).is_file() else ""
    return {
        "name": name,
        "page": quote(os.fsencode(page)),
        "verdict": verdict,
        "rank": _rank(verdict),
        "why": " ".join(why),
        "cells": [_cell(found, keys) for keys in COLUMNS.values()],
    }


def _judged(path: Path) -> tuple[Any, str, list[str]]:
    """What a ``quality.json`` holds, its verdict and reasons; "not computed" where it is missing or damaged."""
    unread = None, "not computed"
    if not path.is_file():
        return *unread, ["Not judged: run `lungmorph report` on it."]
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        verdict, why = found["verdict"], found["why"]
    except (OSError, ValueError, KeyError, TypeError):
        verdict, why = None, None
    if verdict not in VERDICTS or not isinstance(why, list):
        return *unread, [f"{QUALITY} is damaged: judge it again."]
    return found, str(verdict), [str(line) for line in why]


def _rank(verdict: str) -> int:
    return VERDICTS.index(verdict)


def _cell(found: Any, keys: tuple[str, ...]) -> dict[str, str]:
    value = found
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    try:
        number = float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        return {"value": "", "text": ""}
    # no power of ten for what is far off
    text = f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return {"value": repr(number), "text": text}
