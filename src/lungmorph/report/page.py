"""The report of one registration: a single HTML file that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ..files import replacing
from ..quality import Assessment
from ..quality.checks import Check
from ..quality.predict import THRESHOLDS_MM, Place
from ..space import Affine, Grid, Landmarks, Transform, Volume
from ..space.grid import Float
from .sheets import Bytes, linear_bytes, log_bytes, make_sheet, shown_grid

AIR_HU = -1024.0
#: HU that the page can show.
SHOWN_HU = (-1100.0, 600.0)
WINDOWS = (
    {"name": "lung", "range": (-1100, 250)},
    {"name": "soft tissue", "range": (-160, 240)},
    {"name": "vessels", "range": (-900, -300)},
    {"name": "all", "range": SHOWN_HU},
)
#: Around the lungs, mm.
MARGIN_MM = 20.0
LEAST_RANGE_MM = 5.0
ERROR_MM = (0.0, 10.0)
CHANGE = (1 / 3, 3.0)


@dataclass(frozen=True)
class Report:
    """What the page is made of.

    Attributes:
        title: in one line, which pair.
        subtitle: what it is.
        fixed, moving: HU.
        fixed_lungs: bool, any grid.
        transform: fixed to moving points, LPS mm.
        start: the mapping to compare with: identity, or the pre-alignment.
        start_name: "as given" or "pre-aligned".
        assessment: see :func:`lungmorph.quality.assess`.
        landmarks: (fixed, moving), if there are any.
        method: rows of the table of how it was made.
        cards: more key figures, (title, value, note).
        transform_file: how the file of the transform is called.
    """

    title: str
    subtitle: str
    fixed: Volume
    moving: Volume
    fixed_lungs: Volume
    transform: Transform
    assessment: Assessment
    start: Transform = field(default_factory=Affine.identity)
    start_name: str = "as given"
    landmarks: tuple[Landmarks, Landmarks] | None = None
    method: Mapping[str, Any] = field(default_factory=dict)
    cards: Sequence[tuple[str, str, str]] = ()
    transform_file: str = "transform.h5"


def write_report(report: Report, path: str | Path) -> Path:
    """Write the page, whole or not at all."""
    text = render(report)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)


def render(report: Report) -> str:
    """The page as HTML."""
    sheets, overlays, grid, start = _volumes(report)
    data = {
        "size": grid.size,
        "origin": grid.origin,
        "spacing": grid.spacing[0],
        "hu": SHOWN_HU,
        "windows": WINDOWS,
        "overlays": overlays,
        "sheets": sheets,
        "start": start,
        "shown": "none" if report.assessment.predicted is None else overlays[0]["name"],
    }
    found = report.assessment
    return page_template("report.html.j2").render(
        title=report.title,
        subtitle=report.subtitle,
        verdict=found.verdict.verdict,
        why=found.verdict.why,
        cards=[dict(zip(("title", "value", "note"), card, strict=True)) for card in _cards(report)],
        start_name=report.start_name,
        overlays=[_legend(overlay) for overlay in overlays],
        windows=WINDOWS,
        checks=[_check_row(check) for check in found.verdict.checks],
        places=_place_rows(report),
        landmarks=_landmark_rows(report),
        region_heads=_region_heads(report),
        regions=_region_rows(report),
        method=[(name, str(value)) for name, value in report.method.items()],
        transform_file=report.transform_file,
        viewer_data=Markup(_json(data)),
    )


def page_template(name: str) -> Any:
    """A template of ``page/`` with styles and scripts at hand."""
    folder = resources.files(__package__) / "page"

    def read(file: str) -> str:
        return (folder / file).read_text(encoding="utf-8")

    # everything from outside is escaped
    environment = Environment(
        loader=FunctionLoader(read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "style": Markup(read("style.css")),
        "viewer_script": Markup(read("viewer.js")),
        "tables_script": Markup(read("tables.js")),
    }
    return environment.get_template(name)


# ---------------------------------------------------------------- volumes


def _volumes(
    report: Report,
) -> tuple[dict[str, Any], list[dict[str, Any]], Grid, list[int]]:
    """The sheets, what colours mean, the grid of both, and the voxel to begin with."""
    index = np.argwhere(report.fixed_lungs.data.numpy() > 0)[:, ::-1]
    inside = report.fixed_lungs.grid.to_world(index)
    edges = report.fixed.grid.bounds()
    low = np.maximum(inside.min(axis=0) - MARGIN_MM, edges[0])
    high = np.minimum(inside.max(axis=0) + MARGIN_MM, edges[1])
    grid = shown_grid(low, high)
    lungs = Volume(report.fixed_lungs.data > 0, report.fixed_lungs.grid).resample(grid).data.numpy()

    total = report.transform.displacement_on(grid)
    beyond = (total.data - report.start.displacement_on(grid).data).norm(dim=0).numpy()
    longest = float(np.percentile(beyond[lungs], 99.5)) if lungs.any() else 0.0
    reach = max(LEAST_RANGE_MM, 5 * np.ceil(longest / 5))
    det = report.assessment.jacobian.resample(grid).data.numpy()
    unit = "mm" if report.start_name == "as given" else "mm beyond the pre-alignment"
    maps: list[tuple[dict[str, Any], Bytes]] = [
        (
            _overlay("displacement", unit, (0.0, reach), "viridis", 1),
            linear_bytes(beyond, 0, reach),
        ),
        (_overlay("Jacobian", "", CHANGE, "RdBu_r", 2, log=True), log_bytes(det, *CHANGE)),
    ]
    predicted = report.assessment.predicted
    if predicted is not None:
        error = predicted.mm.resample(grid).data.numpy()
        overlay = _overlay("predicted error", "mm", ERROR_MM, "inferno", 1)
        maps.insert(0, (overlay, linear_bytes(error, *ERROR_MM)))

    def ct(volume: Volume) -> Bytes:
        return linear_bytes(volume.data.float().numpy(), *SHOWN_HU)

    sheets = {
        "fixed": make_sheet(ct(report.fixed.resample(grid, fill=AIR_HU)), exact=False),
        "before": make_sheet(ct(report.start.warp(report.moving, grid, AIR_HU)), exact=False),
        "after": make_sheet(ct(report.transform.warp(report.moving, grid, AIR_HU)), exact=False),
        "lungs": make_sheet(np.where(lungs, np.uint8(255), np.uint8(0)), exact=True),
    }
    for overlay, values in maps:
        sheets[overlay["name"]] = make_sheet(np.where(lungs, values, np.uint8(0)), exact=True)
    places = predicted.places if predicted is not None else []
    first = _first_place(lungs)
    if predicted is not None and places:
        wrong = predicted.wrong.resample(grid).data.numpy() & lungs
        sheets["wrong"] = make_sheet(np.where(wrong, np.uint8(255), np.uint8(0)), exact=True)
        first = [round(float(n)) for n in grid.to_index(places[0].at)]
    packed = {name: sheet.as_dict() for name, sheet in sheets.items()}
    return packed, [overlay for overlay, _ in maps], grid, first


def _overlay(
    title: str, unit: str, limits: tuple[float, float], colours: str, digits: int, log: bool = False
) -> dict[str, Any]:
    stops = matplotlib.colormaps[colours](np.linspace(0, 1, 17))[:, :3]
    return {
        "name": title.replace(" ", "-").lower(),
        "title": title,
        "unit": unit,
        "range": limits,
        "log": log,
        "digits": digits,
        "colours": np.rint(255 * stops).astype(int).tolist(),
    }


def _legend(overlay: dict[str, Any]) -> dict[str, Any]:
    low, high = overlay["range"]
    css = ",".join(f"rgb({r},{g},{b})" for r, g, b in overlay["colours"])
    ends = {"low": f"{low:.2g}", "high": f"{high:.2g}", "css": Markup(css)}
    return {**overlay, **ends}


def _first_place(lungs: Any) -> list[int]:
    """Where the lung is widest along each axis: (i, j, k)."""
    return [
        int(lungs.sum(axis=tuple(d for d in range(3) if d != 2 - axis)).argmax())
        for axis in range(3)
    ]


# ---------------------------------------------------------------- figures


def _cards(report: Report) -> list[tuple[str, str, str]]:
    figures = report.assessment.figures
    overlap, folding = figures["overlap"], figures["folding"]
    made = []
    if marks := figures["landmarks"]:
        before, after = (marks[when]["continuous"] for when in ("before", "after"))
        note = f"{before['mean']:.2f} mm before, {marks['count']} landmarks"
        made.append(("landmark error", f"{after['mean']:.2f} mm", note))
    if predicted := report.assessment.predicted:
        told = predicted.summary()
        note = f"95 % of the lung below {told['p95_mm']:.1f} mm"
        made.append(("predicted error", f"{told['mean_mm']:.2f} mm", note))
        made.append(_places_card(predicted.places))
    made += [(title, value, note) for title, value, note in report.cards]
    made.append(
        (
            "lung overlap (Dice)",
            f"{overlap['dice_after']:.3f}",
            f"{overlap['dice_before']:.3f} before",
        )
    )
    if overlap["surface_mean_mm"] is not None:
        note = f"95 % within {overlap['surface_p95_mm']:.1f} mm"
        made.append(("lung surfaces apart", f"{overlap['surface_mean_mm']:.2f} mm", note))
    least = f"Jacobian {folding['min']:.2f} to {folding['max']:.2f}"
    made.append(("folded", f"{folding['percent']:.3g} %", least))
    if consistency := figures["inverse_consistency_mm"]:
        note = f"95 % within {consistency['p95']:.2f} mm"
        made.append(("there and back", f"{consistency['mean']:.2f} mm", note))
    length = figures["displacement_mm"]
    made.append(("displacement", f"{length['mean']:.1f} mm", f"at most {length['max']:.1f} mm"))
    return made


def _places_card(places: Sequence[Place]) -> tuple[str, str, str]:
    """How many places are wrong, and the largest."""
    if not places:
        return "places to look at", "none", f"no error over {THRESHOLDS_MM[0]:g} mm is probable"
    return "places to look at", str(len(places)), f"the largest has {places[0].ml:.0f} mL"


def _place_rows(report: Report) -> list[dict[str, str]]:
    """The largest first."""
    predicted = report.assessment.predicted
    return [
        {
            "place": _point(np.asarray(place.at)),
            "ml": f"{place.ml:.1f}",
            "mean": f"{place.mean_mm:.1f}",
            "max": f"{place.max_mm:.1f}",
            "at": json.dumps([round(x, 2) for x in place.at]),
        }
        for place in (predicted.places if predicted else [])
    ]


def _check_row(check: Check) -> dict[str, str]:
    unit = f" {check.unit}" if check.unit else ""
    return {
        "title": check.title,
        "found": "" if check.value is None else f"{check.value:.3g}{unit}",
        "passes": f"{check.limit:.3g}{unit}",
        "verdict": check.verdict,
        "source": check.source,
    }


def _landmark_rows(report: Report) -> list[dict[str, str]]:
    """The worst first."""
    if report.landmarks is None:
        return []
    fixed, moving = (marks.points for marks in report.landmarks)
    before = np.linalg.norm(fixed - moving, axis=1)
    after = np.linalg.norm(report.transform.apply(fixed) - moving, axis=1)
    return [
        {
            "number": str(n + 1),
            "fixed": _point(fixed[n]),
            "moving": _point(moving[n]),
            "before": f"{before[n]:.2f}",
            "after": f"{after[n]:.2f}",
            "at": json.dumps(np.round(fixed[n], 2).tolist()),
        }
        for n in np.argsort(-after)
    ]


def _point(place: Float) -> str:
    return ", ".join(f"{value:.1f}" for value in place)


def _region_heads(report: Report) -> list[str]:
    predicted = ["predicted error, mm"] if report.assessment.predicted else []
    return [
        "part", "fixed, mL", "moving, mL", "volume, %", "air, %", "mass, %", "Jacobian, 1 to 99 %", "folded voxels",
        *predicted,
    ]  # fmt: skip


def _region_rows(report: Report) -> list[list[str]]:
    found = report.assessment
    rows = []
    for name, row in found.ventilation.items():
        changes = (row.volume_change_percent, row.air_change_percent, row.mass_change_percent)
        cells = [name, f"{row.fixed_ml:.0f}", f"{row.moving_ml:.0f}"]
        cells += ["" if change is None else f"{change:+.0f}" for change in changes]
        region = found.regions.get(name)
        cells += (
            [f"{region['p1']:.2f} to {region['p99']:.2f}", str(region["voxels"])]
            if region
            else ["", ""]
        )
        if report.assessment.predicted:
            cells.append(f"{region['predicted_mm']['mean']:.1f}" if region else "")
        rows.append(cells)
    return rows


def _json(data: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(data).replace("<", "\\u003c")
