"""The report of anybody's registration: two scans and a transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..quality import Assessment, Tolerance, assess
from ..registration.given_landmarks import check_landmarks
from ..registration.prepare import prepare
from ..registration.witnesses import register_witnesses
from ..space import Landmarks, Transform, Volume
from .contents import Report
from .of_registration import WAY_BACK, judged, predicted, write_assessment
from .overview import pair_title, start_between
from .page import write_report


def write_quality_of(
    folder: Path,
    fixed: Volume,
    moving: Volume,
    transform: Transform,
    *,
    names: tuple[str, str],
    transform_names: Sequence[str],
    foreign_names: Sequence[str] = (),
    fixed_mask: Volume | None = None,
    moving_mask: Volume | None = None,
    landmarks: tuple[Landmarks, Landmarks] | None = None,
    backward: Transform | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    tolerances_name: str | None = None,
    method: Mapping[str, Any] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Assessment:
    """Judge a transform, and write figures, predicted error and page into a folder that is there.

    They are what :func:`.of_registration.write_assessment` writes, and ``report.html``.

    Args:
        folder: to write into.
        fixed, moving: CT in HU.
        transform: fixed to moving points, LPS mm.
        names: of the two scans, for people.
        transform_names: of the files of the transform, that through which a point goes first first.
        foreign_names: of those of them, without folders, that 3D Slicer does not understand.
        fixed_mask, moving_mask: lungs; found if left out.
        landmarks: (fixed, moving), LPS mm.
        backward: moving to fixed, from a registration of the swapped pair; LungMorph's own if left out.
        tolerances: other limits than the package's.
        tolerances_name: of their file, for people.
        method: more rows for the table of how it was made.
        progress: called as progress(what, share done).

    Raises:
        InputError: as :func:`lungmorph.registration.given_landmarks.check_landmarks`, :func:`lungmorph.registration.prepare.prepare` and :func:`lungmorph.quality.assess`.
    """
    if landmarks is not None:
        check_landmarks(landmarks, fixed.grid, moving.grid)
    pair = prepare(fixed, moving, fixed_mask, moving_mask, names)
    images = pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs
    # the error network knows LungMorph's way back and no other
    own = register_witnesses(*images, names=names, progress=progress)
    scans = dict(zip(("fixed", "moving"), names, strict=True))
    transform_name = ", then ".join(transform_names)
    record = judged(scans, transform_name, tolerances_name)
    found = assess(
        *images,
        transform,
        landmarks=landmarks,
        backward=own.back if backward is None else backward,
        backward_is=WAY_BACK if backward is None else "the way back is the one given",
        predicted=predicted(*images, transform, own),
        tolerances=tolerances,
        judged=record,
    )
    write_assessment(found, pair.fixed.grid, folder)
    made = {**(method or {}), **record}
    start, start_name = start_between(pair.fixed_lungs, pair.moving_lungs)
    report = Report(
        title=pair_title(made),
        subtitle=f"Judged by {record['judged by']}: {transform_name}",
        fixed=pair.fixed,
        moving=pair.moving,
        fixed_lungs=pair.fixed_lungs,
        transform=transform,
        assessment=found,
        start=start,
        start_name=start_name,
        landmarks=landmarks,
        method=made,
        transform_files=[Path(name).name for name in transform_names],
        foreign_files=foreign_names,
    )
    write_report(report, folder / "report.html")
    return found
