"""The report of one registration: a single HTML file that needs no network."""

from __future__ import annotations

import json
import shlex
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ..files import replacing
from ..files.headers import READABLE
from ..space import AIR_HU, Grid, Volume
from . import rows
from .contents import Report
from .sheets import Bytes, linear_bytes, log_bytes, make_sheet, shown_grid

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
#: Share of that from which its colour is as solid as it gets; below, it fades.
SOLID_FROM = 0.25
CHANGE = (1 / 3, 3.0)
AIR_RANGE = (-1.0, 1.0)


def write_report(report: Report, path: str | Path) -> Path:
    """Write the page, whole or not at all."""
    text = render(report)
    with replacing(path) as part:
        # names of files need not be UTF-8
        part.write_text(text, encoding="utf-8", errors="replace")
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
        cards=[
            dict(zip(("title", "value", "note"), card, strict=True)) for card in rows.cards(report)
        ],
        start_name=report.start_name,
        overlays=[_legend(overlay) for overlay in overlays],
        windows=WINDOWS,
        checks=[rows.check_row(check) for check in found.verdict.checks],
        places=rows.place_rows(report),
        undecided=rows.undecided_ml(report),
        airless=rows.airless_ml(report),
        landmarks=rows.landmark_rows(report),
        region_heads=rows.region_heads(report),
        regions=rows.region_rows(report),
        method=[(name, str(value)) for name, value in report.method.items()],
        transform_files=report.transform_files,
        foreign_files=report.foreign_files,
        displacement_images=any(name.lower().endswith(READABLE) for name in report.transform_files),
        # the line is there to be copied: a name may hold spaces, and worse
        transform_in_shell=shlex.quote(report.transform_files[0]),
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
    gained = report.assessment.air_change.resample(grid).data.numpy()
    maps.append(
        (
            _overlay("air gained", "mL per mL", AIR_RANGE, "PuOr_r", 2),
            linear_bytes(gained, *AIR_RANGE),
        )
    )
    predicted = report.assessment.predicted
    if predicted is not None:
        error = predicted.mm.resample(grid).data.numpy()
        overlay = _overlay("predicted error", "mm", ERROR_MM, "inferno", 1)
        overlay["fades"] = SOLID_FROM
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
    rims = {}
    if predicted is not None and places:
        rims["wrong"] = predicted.wrong
    if predicted is not None and rows.undecided_ml(report):
        rims["undecided"] = predicted.undecided
    for name, where in rims.items():
        inside = where.resample(grid).data.numpy() & lungs
        sheets[name] = make_sheet(np.where(inside, np.uint8(255), np.uint8(0)), exact=True)
    begin = places or (predicted.undecided_places if predicted is not None else [])
    if begin:
        nearest = np.rint(grid.to_index(begin[0].at)).astype(int)
        first = np.clip(nearest, 0, np.asarray(grid.size) - 1).tolist()
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


def _json(data: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(data).replace("<", "\\u003c")
