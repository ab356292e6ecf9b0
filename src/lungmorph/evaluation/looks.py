"""How the pictures of an evaluation look: colours, axes, legends."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..space.grid import Float

#: Okabe and Ito's colours, told apart with any kind of colour vision; yellow, too pale, is grey here.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#111111", "#8A8A8A",
)  # fmt: skip
MARKS = "osD^vP*X"
BEFORE, INK, SOFT, LINE = "#9AA1A9", "#1b1f24", "#5b6470", "#d9dde2"
DASHED = (0, (3, 1.5))
#: Clinical limits of AAPM TG-132: mean and largest error, mm.
LIMITS_MM = (2.0, 5.0)
#: From here on, largest over smallest, an axis of errors is logarithmic.
_WIDE = 12.0


def new_figure(width: float, height: float) -> Figure:
    """A page of so many inches."""
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(axes: Axes) -> None:
    """Axes without what is not needed."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(SOFT)
    axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=9)
    axes.grid(axis="y", color=LINE, lw=0.6)
    axes.set_axisbelow(True)


def logarithmic(axes: Axes, axis: str) -> None:
    """A logarithmic axis with numbers as people write them."""
    (axes.set_xscale if axis == "x" else axes.set_yscale)("log")
    which = axes.xaxis if axis == "x" else axes.yaxis
    which.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    which.set_minor_formatter(NullFormatter())


def time_axis(axes: Axes, seconds: Sequence[float]) -> None:
    """Logarithmic, from a third of the shortest to three times the longest."""
    logarithmic(axes, "x")
    axes.set_xlim(max(min(seconds), 1e-2) / 3, max(seconds) * 3)


def limit_lines(axes: Axes, way: str) -> None:
    """Lines at 2 and 5 mm, where the axis reaches them."""
    low, high = axes.get_ylim() if way == "h" else axes.get_xlim()
    for limit in LIMITS_MM:
        if low < limit < high:
            draw = axes.axhline if way == "h" else axes.axvline
            draw(limit, color=SOFT, lw=0.9, ls=(0, (1, 1.5)), zorder=1)
            if way == "v":
                axes.text(limit, 2, f" {limit:g} mm", color=SOFT, size=8.5, ha="left", va="bottom")


def finish(figure: Figure, title: str, handles: Sequence[Line2D], note: str = "") -> None:
    """Title above, legend in as many columns as fit below, with a line on how to read the picture."""
    width = figure.get_figwidth()
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = int(np.clip((width - 0.2) // (0.5 + 0.074 * longest), 1, len(handles)))
    lines = ceil(len(handles) / columns) + bool(note)
    figure.set_figheight(figure.get_figheight() + 0.19 * lines)
    figure.suptitle(title, x=0.012, ha="left", size=13, weight="bold", color=INK)
    legend = figure.legend(
        handles=list(handles), loc="outside lower left", ncols=columns, frameon=False,
        fontsize=9, labelcolor=INK, title=note or None, title_fontsize=8.5, alignment="left",
    )  # fmt: skip
    legend.get_title().set_color(SOFT)


# ---------------------------------------------------------------- marks


def box(axes: Axes, at: float, errors: Float, colour: str) -> None:
    """Quartiles, median, 5th and 95th percentile and mean of errors, at a place of the x axis."""
    low, first, middle, third, high = np.percentile(errors, (5, 25, 50, 75, 95))
    butt: dict[str, Any] = {"solid_capstyle": "butt"}
    axes.plot((at, at), (low, high), color=colour, lw=1.2, **butt)
    axes.bar(at, third - first, 0.74, bottom=first, color=colour, lw=0, zorder=3)
    axes.plot((at - 0.37, at + 0.37), (middle, middle), color="white", lw=1.6, zorder=4, **butt)
    axes.scatter([at], [errors.mean()], s=11, color="white", edgecolor=INK, lw=0.7, zorder=5)


def scatter(axes: Axes, colour: str, moved: Float, error: Float) -> None:
    """Errors against displacements, with their running median and 90th percentile."""
    far, top = axes.get_xlim()[1], axes.get_ylim()[1]
    faint = float(np.clip(120 / len(error) ** 0.8, 0.06, 0.6))
    axes.scatter(
        moved, np.minimum(error, top), s=7, color=colour, alpha=faint, lw=0, rasterized=True
    )
    axes.plot((0, far), (0, far), color=BEFORE, lw=1.2, ls=DASHED)
    middle, median, p90 = _binned(moved, error)
    halo = [withStroke(linewidth=3.2, foreground="white")]
    axes.plot(middle, p90, color=INK, lw=1.2, ls="-.", path_effects=halo)
    axes.plot(middle, median, color=INK, lw=1.8, marker="o", ms=3.5, path_effects=halo)
    above = int((error > top).sum())
    said = f"{len(error)} landmarks" + (f", {above} off the scale" if above else "")
    axes.text(
        0.98, 0.97, said, transform=axes.transAxes, ha="right", va="top", size=8, color=SOFT,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )  # fmt: skip


def error_axis(axes: Axes, low: float, high: float) -> None:
    """From zero, or logarithmic where the largest is many times the smallest."""
    if high > _WIDE * max(low, 1e-3):
        logarithmic(axes, "y")
        axes.set_ylim(top=1.15 * high)
    else:
        axes.set_ylim(0, 1.08 * high or 1.0)


def _binned(moved: Float, error: Float) -> tuple[Float, Float, Float]:
    """Middle, median and 90th percentile of up to eight groups of equally many landmarks."""
    groups = np.array_split(np.argsort(moved), int(np.clip(len(moved) // 25, 1, 8)))
    middle = [float(np.median(moved[group])) for group in groups]
    median = [float(np.median(error[group])) for group in groups]
    p90 = [float(np.percentile(error[group], 90)) for group in groups]
    return np.array(middle), np.array(median), np.array(p90)
