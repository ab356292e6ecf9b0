"""The report of a registration that LungMorph made, from its result in memory."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

from ..files import replacing
from ..quality import Assessment, assess
from ..registration.backward import BACK_MM, register_back
from ..registration.result import Registration
from .overview import pair_title, start_of
from .page import Report, write_report

log = logging.getLogger(__name__)

WAY_BACK = f"the way back is LungMorph's at {BACK_MM:g} mm"


def write_quality(result: Registration, folder: Path) -> Assessment:
    """Write ``quality.json`` and ``report.html`` into a folder. Registers the way back for it."""
    settings = result.settings
    begin = time.perf_counter()
    backward = register_back(
        result.fixed,
        result.moving,
        result.fixed_lungs,
        result.moving_lungs,
        model=settings.get("model"),
        levels=0 if settings.get("model") is None else None,
        device=settings.get("device", "cpu"),
    )
    log.info("way back: %.2f s", time.perf_counter() - begin)
    found = assess(
        result.fixed,
        result.moving,
        result.fixed_lungs,
        result.moving_lungs,
        result.transform,
        landmarks=result.landmarks,
        backward=backward,
        backward_is=WAY_BACK,
    )
    write_json(found, folder / "quality.json")
    write_report(report_of(result, found), folder / "report.html")
    return found


def write_json(found: Assessment, path: Path) -> None:
    """``quality.json``: verdict, checks, figures, regions."""
    with replacing(path) as part:
        part.write_text(json.dumps(found.as_dict(), indent=2) + "\n", encoding="utf-8")


def report_of(result: Registration, found: Assessment) -> Report:
    """What the page shows of a result."""
    start, name = start_of(result)
    total = sum(result.seconds.values())
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in result.seconds.items())
    settings = {key: value for key, value in result.settings.items() if value is not None}
    return Report(
        title=pair_title(result.settings),
        subtitle=f"Registered by LungMorph {settings.get('lungmorph', '')}, preset {settings.get('preset', '')}, in {total:.0f} s",
        fixed=result.fixed,
        moving=result.moving,
        fixed_lungs=result.fixed_lungs,
        transform=result.transform,
        assessment=found,
        start=start,
        start_name=name,
        landmarks=result.landmarks,
        method={**settings, "seconds": f"{total:.1f} ({steps})"},
    )
