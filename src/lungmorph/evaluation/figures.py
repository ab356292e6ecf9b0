"""Pictures of an evaluation: how large errors are, where they come from, and what they cost in time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..files import replacing
from ..space.grid import Float
from .bootstrap import interval
from .looks import (
    BEFORE,
    COLOURS,
    DASHED,
    INK,
    MARKS,
    box,
    error_axis,
    finish,
    limit_lines,
    new_figure,
    plain,
    scatter,
    time_axis,
)
from .quantities import BY_KEY, Record, is_done, methods_of, titles_of
from .summary import natural, patient_of

_WIDEST_IN, _BOXES_A_ROW = 13.0, 56


@dataclass(frozen=True)
class _Method:
    """How a method is called and drawn: the same in every picture."""

    name: str
    title: str
    colour: str
    mark: str


@dataclass(frozen=True)
class _Marked:
    """One method on one case that has landmarks."""

    case: str
    method: str
    errors: Float
    displacements: Float


def draw_all(records: Iterable[Record], folder: str | Path) -> list[Path]:
    """Write every picture for which there is something to show into a folder that exists.

    Returns:
        The files: of ``errors_by_case.png``, ``errors_by_displacement.png``, ``errors_cumulative.png``
        and ``time_and_accuracy.png`` those that were written.

    Raises:
        InputError: nothing can be written there.
    """
    found = list(records)
    made = {
        "errors_by_case.png": errors_by_case(found),
        "errors_by_displacement.png": errors_by_displacement(found),
        "errors_cumulative.png": errors_cumulative(found),
        "time_and_accuracy.png": time_and_accuracy(found),
    }
    written = []
    for name, figure in made.items():
        if figure is not None:
            path = Path(folder) / name
            with replacing(path) as part:
                figure.savefig(part, format="png")
            written.append(path)
    return written


def errors_by_case(records: Sequence[Record]) -> Figure | None:
    """Box plot of the landmark error of every case and method; None without landmarks.

    Box: quartiles and median. Whiskers: 5th to 95th percentile. Dot: mean. Dash: mean before
    registration.
    """
    marked = _marked(records)
    if not marked:
        return None
    methods = _methods(records, {part.method for part in marked})
    cases = list(dict.fromkeys(part.case for part in marked))
    rows = ceil(len(cases) / max(1, _BOXES_A_ROW // len(methods)))
    a_row = ceil(len(cases) / rows)
    slot = len(methods) + 1.2
    span = max(a_row * slot, 9.0)  # so that a single box is no wall
    width = float(np.clip(1.0 + 0.19 * span, 5.5, _WIDEST_IN))
    figure = new_figure(width, 0.5 + 2.8 * rows)
    medians = [float(np.median(part.errors)) for part in marked]
    highest = max(
        max(float(np.percentile(p.errors, 95)), float(p.displacements.mean())) for p in marked
    )
    for number, axes in enumerate(figure.subplots(rows, 1, sharey=True, squeeze=False)[:, 0]):
        shown = cases[number * a_row : (number + 1) * a_row]
        for place, case in enumerate(shown):
            _boxes_of_case(axes, place * slot, [p for p in marked if p.case == case], methods)
        plain(axes)
        middle = (a_row * slot - 2.2) / 2
        axes.set_xlim(middle - span / 2, middle + span / 2)
        crowded = 0.085 * max(len(case) for case in shown) > (width - 1.0) * slot / span
        axes.set_xticks(
            [place * slot + (len(methods) - 1) / 2 for place in range(len(shown))],
            shown,
            rotation=35 if crowded else 0,
            ha="right" if crowded else "center",
        )
        axes.tick_params(axis="x", length=0)
        error_axis(axes, min(medians), highest)
        limit_lines(axes, "h")
        axes.set_ylabel("landmark error [mm]", color=INK)
    handles = [
        Line2D([], [], color=m.colour, marker="s", ls="", ms=9, label=m.title) for m in methods
    ]
    handles.append(_line("mean before registration", BEFORE, 1.6, DASHED))
    note = "box: quartiles and median · whiskers: 5 % to 95 % · dot: mean"
    finish(figure, "Landmark error by case", handles, note)
    return figure


def errors_by_displacement(records: Sequence[Record]) -> Figure | None:
    """Error of every landmark against how far it truly moved, a panel a method; None without landmarks."""
    marked = _marked(records)
    if not marked:
        return None
    methods = _methods(records, {part.method for part in marked})
    columns = {1: 1, 2: 2, 4: 2, 7: 4, 8: 4}.get(len(methods), 3)
    rows = ceil(len(methods) / columns)
    figure = new_figure({1: 5.6, 2: 8.4, 3: 10.8, 4: 13.0}[columns], 0.8 + rows * 3.0)
    far = max(float(part.displacements.max()) for part in marked) * 1.03
    every = np.concatenate([part.errors for part in marked])
    top = max(1.15 * float(np.percentile(every, 99.5)), 1e-3)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number >= len(methods):
            axes.set_axis_off()
            continue
        method = methods[number]
        own = [part for part in marked if part.method == method.name]
        moved = np.concatenate([part.displacements for part in own])
        error = np.concatenate([part.errors for part in own])
        plain(axes)
        axes.set_xlim(0, far)
        axes.set_ylim(0, top)
        scatter(axes, method.colour, moved, error)
        limit_lines(axes, "h")
        axes.set_title(method.title, size=10, color=INK, loc="left")
        if number % columns == 0:
            axes.set_ylabel("landmark error [mm]", color=INK)
        if number + columns >= len(methods):
            axes.set_xlabel("true displacement [mm]", color=INK)
            axes.tick_params(labelbottom=True)
    handles = [
        Line2D([], [], color=INK, lw=1.8, marker="o", ms=3.5, label="median"),
        _line("90 % lie below", INK, 1.2, "-."),
        _line("not registered", BEFORE, 1.2, DASHED),
    ]
    finish(figure, "Error against true displacement", handles)
    return figure


def errors_cumulative(records: Sequence[Record]) -> Figure | None:
    """Share of all landmarks with an error of at most x, a line a method; None without landmarks."""
    marked = _marked(records)
    if not marked:
        return None
    figure = new_figure(7.2, 4.0)
    axes = figure.subplots()
    handles = []
    highest = 0.0
    counts = {}
    for number, method in enumerate(_methods(records, {part.method for part in marked})):
        own = [part.errors for part in marked if part.method == method.name]
        errors = np.concatenate(own)
        counts[method.title] = f"{_cases(len(own))}, {len(errors)} landmarks"
        highest = max(highest, float(np.percentile(errors, 99)))
        style = "-" if number < 4 else (0, (5, 1.2))
        axes.step(*_shares(errors), where="post", color=method.colour, lw=2.0, ls=style)
        handles.append(_line(method.title, method.colour, 2.0, style))
    once = {part.case: part.displacements for part in marked}
    before = _shares(np.concatenate(list(once.values())))
    axes.step(*before, where="post", color=BEFORE, lw=1.6, ls=DASHED)
    handles.append(_line("before registration", BEFORE, 1.6, DASHED))
    plain(axes)
    axes.set_xlim(0, float(np.clip(1.1 * highest, 5.6, 20.0)))
    axes.set_ylim(0, 101)
    limit_lines(axes, "v")
    axes.set_xlabel("landmark error [mm]", color=INK)
    axes.set_ylabel("landmarks up to this error [%]", color=INK)
    note = next(iter(counts.values()))
    if len(set(counts.values())) > 1:  # who finished what is part of the result
        note = ""
        for handle in handles[:-1]:
            handle.set_label(f"{handle.get_label()} ({counts[str(handle.get_label())]})")
    finish(figure, "Cumulative landmark error", handles, note)
    return figure


def time_and_accuracy(records: Sequence[Record]) -> Figure | None:
    """Median time against the mean landmark error (without landmarks: against surface distance).

    Large marks: methods, with 95 % bootstrap intervals over patients. Small marks: their cases. None
    where no case has both.
    """
    key, known = next(
        ((key, own) for key in ("lde_mm", "surface_mm") if (own := _timed(records, key))),
        ("", []),
    )
    if not known:
        return None
    figure = new_figure(7.2, 4.0)
    axes = figure.subplots()
    handles = []
    for method in _methods(records, {name for name, *_ in known}):
        own = [row for row in known if row[0] == method.name]
        times, values = (np.array([row[i] for row in own], dtype=np.float64) for i in (2, 3))
        at, mean = float(np.median(times)), float(values.mean())
        style: dict[str, Any] = {"marker": method.mark, "color": method.colour}
        if len(own) > 1:
            axes.scatter(times, values, s=14, alpha=0.35, lw=0, **style)
        axes.scatter([at], [mean], s=75, edgecolor="white", lw=0.8, zorder=5, **style)
        ends = interval(values, [row[1] for row in own])
        if ends:
            axes.plot((at, at), ends, color=INK, lw=1.3, zorder=6, solid_capstyle="butt")
        label = f"{method.title} ({_cases(len(own))})"
        handles.append(Line2D([], [], ls="", ms=8, label=label, **style))
    plain(axes)
    time_axis(axes, [row[2] for row in known])
    accuracies = [row[3] for row in known]
    error_axis(axes, min(accuracies), max(accuracies))
    if key == "lde_mm":
        limit_lines(axes, "h")
    name = "mean landmark error" if key == "lde_mm" else "mean surface distance of the lungs"
    axes.set_xlabel("time a case, whole process [s]", color=INK)
    axes.set_ylabel(f"{name} [mm]", color=INK)
    note = "large: mean over cases, median time · line: 95 % interval · small: cases"
    finish(figure, "Time and accuracy", handles, note)
    return figure


# ---------------------------------------------------------------- data


def _methods(records: Iterable[Record], having: set[str]) -> list[_Method]:
    """Those of a set, with the colours that their places among all methods give them."""
    found = list(records)
    titles = titles_of(found)
    return [
        _Method(name, titles[name], COLOURS[n % len(COLOURS)], MARKS[n % len(MARKS)])
        for n, name in enumerate(methods_of(found))
        if name in having
    ]


def _marked(records: Iterable[Record]) -> list[_Marked]:
    found = []
    for record in records:
        marks = record["judged"].get("landmarks") if is_done(record) else None
        if marks and marks["after"]["errors_mm"]:
            lists = (marks["after"][name] for name in ("errors_mm", "displacements_mm"))
            errors, moved = (np.array(values, dtype=np.float64) for values in lists)
            found.append(_Marked(str(record["case"]), str(record["method"]), errors, moved))
    return sorted(found, key=lambda part: natural(part.case))


def _timed(records: Iterable[Record], key: str) -> list[tuple[str, str, float, float]]:
    """(method, patient, seconds, accuracy) of every case that has both."""
    return [
        (str(record["method"]), patient_of(record), seconds, value)
        for record in records
        if is_done(record)
        and (seconds := BY_KEY["seconds"].of(record)) is not None
        and (value := BY_KEY[key].of(record)) is not None
    ]


def _shares(errors: Float) -> tuple[Float, Float]:
    """Errors in order, from 0 to far, and the percentage of landmarks up to each."""
    ordered = np.sort(errors)
    values = np.concatenate(([0.0], ordered, [max(1e3, float(ordered[-1]))]))
    shares = 100.0 * np.arange(len(ordered) + 1) / len(ordered)
    return values, np.append(shares, 100.0)


# ---------------------------------------------------------------- marks


def _boxes_of_case(
    axes: Axes, at: float, parts: Sequence[_Marked], methods: Sequence[_Method]
) -> None:
    for offset, method in enumerate(methods):
        for part in parts:
            if part.method == method.name:
                box(axes, at + offset, part.errors, method.colour)
    before = float(parts[0].displacements.mean())
    ends = (at - 0.6, at + len(methods) - 0.4)
    axes.plot(ends, (before, before), color=BEFORE, lw=1.6, ls=DASHED)


def _line(label: str, colour: str, width: float, style: object) -> Line2D:
    return Line2D([], [], color=colour, lw=width, ls=style, label=label)


def _cases(count: int) -> str:
    return f"{count} case{'s' if count != 1 else ''}"
