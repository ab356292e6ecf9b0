"""One picture of a registration: before, after, displacement and Jacobian in three planes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from ..registration.result import Registration
from ..space import AIR_HU, Affine, Transform, Volume
from ..space.grid import Float
from .planes import Plane, middle_planes

WINDOW_HU = (-1150.0, 250.0)
#: The Jacobian's colours span at least a factor of this and at most of that, either way.
JACOBIAN_SPAN = (1.25, 3.0)
VOLUME_TICKS = (1 / 3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0, 3.0)
#: A pre-alignment that moves the lungs by more speaks of two scanner frames rather than of a breath.
SAME_FRAME_MM = 25.0

_INK, _SOFT = "#1b1f24", "#5b6470"
_FOLDED = (1.0, 0.9, 0.0, 1.0)
_TITLE_IN, _HEADER_IN, _BAR_IN, _GAP_IN, _EDGE_IN = 0.74, 0.34, 0.62, 0.06, 0.3
_WIDEST_IN, _NARROWEST_IN, _TALLEST_IN = 13.0, 11.0, 8.6

Array = NDArray[np.float32]


def draw(result: Registration, path: str | Path) -> None:
    """Write the picture of a registration as PNG.

    Planes are axial, coronal and sagittal where the fixed lungs are widest, along the patient's axes
    whatever way the scan is stored, in radiological orientation and true proportions. Fixed is green,
    moving magenta: where they agree the overlay is grey.

    Args:
        result: of :func:`lungmorph.register`.
        path: of the file to write.
    """
    planes = middle_planes(result.fixed_lungs, result.fixed.grid)
    start, start_name = start_of(result)
    views = [_view(result, plane, start) for plane in planes]
    inside = [view["lungs"] for view in views]
    motion = Normalize(0, _round_up(_percentile([v["motion"] for v in views], inside, 99.5)))
    spread = np.exp(_percentile([np.abs(np.log(_positive(v["det"]))) for v in views], inside, 99))
    span = float(np.clip(spread, *JACOBIAN_SPAN))
    volume_change = LogNorm(1 / span, span)

    wide = max(plane.width_mm for plane in planes)
    room = 2 * _EDGE_IN + 3 * _GAP_IN
    inch_per_mm = min(
        (_WIDEST_IN - room) / 4 / wide, _TALLEST_IN / sum(plane.height_mm for plane in planes)
    )
    heights = [inch_per_mm * plane.height_mm for plane in planes]
    panel = max(inch_per_mm * wide, (_NARROWEST_IN - room) / 4)
    page = 4 * panel + room
    above = _TITLE_IN + _HEADER_IN
    tall = above + sum(heights) + 2 * _GAP_IN + _BAR_IN + 0.1
    figure = Figure(figsize=(page, tall), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)

    def axes_at(column: int, top: float, width: float, height: float) -> Axes:
        left = _EDGE_IN + column * (panel + _GAP_IN) + (panel - width) / 2
        box = (left / page, 1 - (top + height) / tall, width / page, height / tall)
        return figure.add_axes(box)

    titles = (f"Before ({start_name})", "After", "Displacement", "Jacobian determinant")
    for column, title in enumerate(titles):
        middle = _EDGE_IN + column * (panel + _GAP_IN) + panel / 2
        figure.text(
            middle / page, 1 - (above - 0.09) / tall, title,
            ha="center", va="bottom", size=12, weight="bold", color=_INK,
        )  # fmt: skip
    top = above
    for plane, view, height in zip(planes, views, heights, strict=True):
        width = inch_per_mm * plane.width_mm
        row = [axes_at(column, top, width, height) for column in range(4)]
        row[0].imshow(_overlay(view["fixed"], view["before"]), aspect="auto")
        row[1].imshow(_overlay(view["fixed"], view["after"]), aspect="auto")
        _paint(row[2], view["fixed"], view["motion"], view["lungs"], "viridis", motion)
        _paint(row[3], view["fixed"], view["det"], view["lungs"], "RdBu_r", volume_change)
        for axes in row:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_frame_on(False)
        _letters(row[0], plane)
        figure.text(
            0.5 * _EDGE_IN / page, 1 - (top + height / 2) / tall,
            f"{plane.name}, {plane.axis} = {plane.at_mm:.0f} mm",
            size=9.5, color=_SOFT, rotation=90, ha="center", va="center",
        )  # fmt: skip
        top += height + _GAP_IN

    bar_top = top + 0.08
    _legend(axes_at(0, bar_top, panel * 0.9, 0.3))
    _note(axes_at(1, bar_top, panel * 0.9, 0.3), "moving image warped onto the fixed one")
    unit = "mm" if start_name == "as given" else "mm beyond the pre-alignment"
    _bar(axes_at(2, bar_top, panel * 0.8, 0.12), "viridis", motion, unit)
    _bar(
        axes_at(3, bar_top, panel * 0.8, 0.12), "RdBu_r", volume_change,
        "smaller in moving   |   larger in moving",
    )  # fmt: skip
    first, second = pair_title(result.settings), _headline(result)
    left = _EDGE_IN / page
    figure.text(left, 1 - 0.3 / tall, first, size=15, weight="bold", color=_INK, va="center")
    size = min(11.0, 112 * page / len(second))  # so that a long line fits on a narrow page
    figure.text(left, 1 - 0.6 / tall, second, size=size, color=_SOFT, va="center")
    figure.savefig(path, format="png", pil_kwargs={"compress_level": 4})


# ---------------------------------------------------------------- what is shown


def start_of(result: Registration) -> tuple[Transform, str]:
    """The mapping to compare with: none where the scanner frames agree, else the pre-alignment."""
    middle = _middle(result.fixed_lungs)
    if np.linalg.norm(result.prealigned.apply(middle) - middle) <= SAME_FRAME_MM:
        return Affine.identity(), "as given"
    return result.prealigned, "pre-aligned"


def start_between(fixed_lungs: Volume, moving_lungs: Volume) -> tuple[Transform, str]:
    """As :func:`start_of` where no pre-alignment is known: the middles of the lungs are laid on each other instead."""
    shift = _middle(moving_lungs) - _middle(fixed_lungs)
    if np.linalg.norm(shift) <= SAME_FRAME_MM:
        return Affine.identity(), "as given"
    return Affine.from_parts(np.eye(3), shift), "pre-aligned"


def _middle(lungs: Volume) -> Float:
    """Of a mask, LPS mm."""
    return lungs.points(50_000).mean(axis=0)


def _view(result: Registration, plane: Plane, start: Transform) -> dict[str, Any]:
    grid = plane.grid
    total = result.transform.displacement_on(grid).data
    beyond = total - start.displacement_on(grid).data

    def seen(volume: Volume) -> Array:
        return plane.picture(volume.data.float().numpy())

    # linear rather than nearest: an outline without steps
    lungs = Volume(result.fixed_lungs.data.float(), result.fixed_lungs.grid)
    return {
        "fixed": seen(result.fixed.resample(grid, fill=AIR_HU)),
        "before": seen(start.warp(result.moving, grid, fill=np.nan)),
        "after": seen(result.transform.warp(result.moving, grid, fill=np.nan)),
        "motion": plane.picture(beyond.norm(dim=0).numpy()),
        "det": seen(result.jacobian.resample(grid)),
        "lungs": seen(lungs.resample(grid, fill=0.0)) > 0.5,
    }


def pair_title(settings: dict[str, Any]) -> str:
    """Which scan was moved onto which, in one short line."""
    names = [str(settings.get(key, key)) for key in ("fixed", "moving")]
    short = [Path(name).name if "/" in name else name for name in names]
    if short[0] == short[1]:
        short = ["/".join(Path(name).parts[-2:]) for name in names]
    return f"{_cut(short[1])} onto {_cut(short[0])}"


def _headline(result: Registration) -> str:
    metrics = result.metrics
    parts = []
    marks = metrics.get("landmarks")
    if marks:
        before, after = (marks[k]["continuous"]["mean"] for k in ("before", "after"))
        parts.append(
            f"landmark error {before:.2f} → {after:.2f} mm (n = {marks['after']['count']})"
        )
    lungs, similar = metrics["lungs"], metrics["similarity"]
    parts.append(f"lung Dice {lungs['dice_after']:.3f}")
    parts.append(f"NCC {similar['ncc_after']:.2f}")
    folding = metrics["folding"]
    parts.append(f"folded {folding['percent']:.2g} % (least det {folding['min']:.2f})")
    parts.append(f"{sum(result.seconds.values()):.0f} s")
    return "   ·   ".join(parts)


# ---------------------------------------------------------------- how it is drawn


def _overlay(fixed: Array, moving: Array) -> Array:
    """Fixed in green, moving (NaN where the scan does not reach) in magenta; there, dim grey."""
    green, magenta = (_windowed(image) for image in (fixed, moving))
    both = np.stack((magenta, green, magenta), axis=-1)
    return np.where(np.isnan(moving)[..., None], 0.35 * green[..., None], both)


def _windowed(image: Array) -> Array:
    low, high = WINDOW_HU
    return np.clip((image - low) / (high - low), 0, 1)


def _paint(
    axes: Axes, ct: Array, values: Array, lungs: NDArray[np.bool_], colours: str, norm: Normalize
) -> None:
    axes.imshow(_windowed(ct) * 0.75, cmap="gray", vmin=0, vmax=1, aspect="auto")
    shown = np.ma.masked_array(values, ~lungs)
    axes.imshow(shown, cmap=colours, norm=norm, aspect="auto", interpolation="nearest", alpha=0.9)
    folded = lungs & (values <= 0)
    if norm.vmin and folded.any():  # only the Jacobian's colours begin above 0
        marked = np.zeros((*folded.shape, 4))
        marked[folded] = _FOLDED
        axes.imshow(marked, aspect="auto", interpolation="nearest")


def _letters(axes: Axes, plane: Plane) -> None:
    places = (
        (0.02, 0.5, "left"),
        (0.98, 0.5, "right"),
        (0.5, 0.985, "center"),
        (0.5, 0.015, "center"),
    )
    lines = ("center", "center", "top", "bottom")
    for letter, (x, y, across), up in zip(plane.letters, places, lines, strict=True):
        axes.text(
            x, y, letter, transform=axes.transAxes, ha=across, va=up,
            color="white", size=11, weight="bold",
            path_effects=[withStroke(linewidth=2.5, foreground="#000000a0")],
        )  # fmt: skip


def _legend(axes: Axes) -> None:
    axes.set_axis_off()
    for x, colour, text in (
        (0.08, "#00b400", "fixed"),
        (0.4, "#d800d8", "moving"),
        (0.74, "#9a9a9a", "both"),
    ):
        axes.scatter([x], [0.75], s=70, marker="s", color=colour, clip_on=False)
        axes.text(x + 0.05, 0.75, text, va="center", size=10, color=_INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _note(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.text(
        0.5, 0.75, text, ha="center", va="center", size=10, color=_SOFT, transform=axes.transAxes
    )


def _bar(axes: Axes, colours: str, norm: Normalize, label: str) -> None:
    where = axes.figure
    bar = where.colorbar(ScalarMappable(norm, colours), cax=axes, orientation="horizontal")
    if isinstance(norm, LogNorm):
        low, high = norm.vmin or 0.0, norm.vmax or 0.0
        ticks = [t for t in VOLUME_TICKS if low <= t <= high]
        bar.set_ticks(ticks, labels=[f"{t:.2g}" for t in ticks])
        bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=9, colors=_SOFT, length=2)
    bar.ax.spines["outline"].set_visible(False)
    bar.set_label(label, size=9.5, color=_SOFT, labelpad=1)


# ---------------------------------------------------------------- figures


def _percentile(images: list[Array], inside: list[NDArray[np.bool_]], percent: float) -> float:
    values = np.concatenate([image[mask] for image, mask in zip(images, inside, strict=True)])
    return float(np.percentile(values, percent)) if values.size else 1.0


def _positive(determinants: Array) -> Array:
    return np.maximum(determinants, 1e-3)


def _round_up(value: float) -> float:
    """The next number that looks good at the end of a colour bar."""
    for step in (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100):
        if value <= step:
            return float(step)
    return value


def _cut(name: str, most: int = 48) -> str:
    return name if len(name) <= most else "…" + name[1 - most :]
