"""The report of a registration that LungMorph made, from its result in memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..files import replacing, write_image
from ..plain_json import json_text
from ..quality import Assessment, assess
from ..quality.error_weights import load_error_network
from ..quality.predict import THRESHOLDS_MM, PredictedError, predict_error
from ..registration.presets import CHECK_MM
from ..registration.result import Registration
from ..registration.witnesses import Witnesses, register_witnesses
from ..space import Grid, Transform, Volume
from ..threads import side_by_side
from .contents import Report
from .overview import pair_title, start_of
from .page import write_report

log = logging.getLogger(__name__)

WAY_BACK = f"the way back is LungMorph's at {CHECK_MM:g} mm"


def write_quality(
    result: Registration, folder: Path, progress: Callable[[str, float], None] | None = None
) -> Assessment:
    """Write what :func:`write_assessment` writes, and ``report.html``, into a folder. Registers the swapped pair for it."""
    settings = result.settings
    begin = time.perf_counter()
    witnesses = register_witnesses(
        result.fixed,
        result.moving,
        result.fixed_lungs,
        result.moving_lungs,
        result.coarse and result.coarse(),
        names=(settings["fixed"], settings["moving"]),
        model=settings.get("model"),
        levels=0 if settings.get("model") is None else None,
        device=settings.get("device", "cpu"),
        progress=progress,
    )
    log.info("witnesses: %.2f s", time.perf_counter() - begin)
    images = result.fixed, result.moving, result.fixed_lungs, result.moving_lungs
    found = assess(
        *images,
        result.transform,
        landmarks=result.landmarks,
        backward=witnesses.back,
        backward_is=WAY_BACK,
        predicted=predicted(*images, result.transform, witnesses),
        judged=judged(settings, "transform.h5"),
    )
    write_assessment(found, result.fixed.grid, folder)
    write_report(report_of(result, found), folder / "report.html")
    return found


def judged(
    names: Mapping[str, Any], transform: str, tolerances: str | None = None
) -> dict[str, str]:
    """What is judged and by what, for the record.

    Args:
        names: of the scans, "fixed" and "moving".
        transform: name of its file.
        tolerances: name of their file, if they are not the package's.
    """
    scans = {side: str(names.get(side, "")) for side in ("fixed", "moving")}
    return {
        **scans,
        "transform": transform,
        "judged by": f"LungMorph {__version__}",
        "tolerances": tolerances or "LungMorph's",
    }


def predicted(
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    moving_lungs: Volume,
    transform: Transform,
    witnesses: Witnesses,
) -> PredictedError:
    """The error as the network that ships predicts it; see :func:`lungmorph.quality.predict.predict_error`."""
    begin = time.perf_counter()
    network, _ = load_error_network()
    found = predict_error(network, fixed, moving, fixed_lungs, moving_lungs, transform, witnesses)
    log.info("predicted error: %.2f s", time.perf_counter() - begin)
    return found


def write_assessment(found: Assessment, grid: Grid, folder: Path) -> None:
    """Write ``quality.json``, and what is known of every place as images, into a folder.

    Args:
        found: verdict, checks, figures, regions.
        grid: of the images, that of the fixed scan.
        folder: gets ``ventilation.nii.gz`` (mL of air that each mL of the fixed lung gains), and
            ``error.nii.gz`` (mm) and ``error_over_2mm.nii.gz`` (probability) if an error was predicted.
    """
    images = [("ventilation", found.air_change, 0.001)]
    if found.predicted:
        over = found.predicted.over(THRESHOLDS_MM[0])
        images.append(("error", found.predicted.within(found.predicted.mm, found.lungs), 0.01))
        images.append(("error_over_2mm", found.predicted.within(over, found.lungs), 0.001))

    def write(image: tuple[str, Volume, float]) -> None:
        name, values, step = image
        # digits that mean nothing would take most of the file
        rounded = Volume((values.data / step).round() * step, values.grid)
        write_image(rounded.resample(grid, fill=0.0), folder / f"{name}.nii.gz")

    side_by_side(write, images)
    with replacing(folder / "quality.json") as part:
        part.write_text(json_text(found.as_dict()) + "\n", encoding="utf-8")


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
