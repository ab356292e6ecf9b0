"""A look at a dataset before anything is computed on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files.phase_order import apart
from ..measures import landmark_error
from ..registration.prepare import clean_hu
from ..space import Landmarks, Volume
from .case import Case, Dataset, Scan, noted
from .masks import lungs_of
from .phases import INHALE

#: By how many mm an error may differ from the published one, and by how many units of its last decimal.
PUBLISHED_TOLERANCE, PUBLISHED_UNITS = 0.02, 0.6
#: Below the first share of landmarks inside the lungs something is wrong, below the second unusual.
#: In six COPDgene cases it is 0.99 or more, and 0.58 to 0.80 with the slices in the wrong order; the
#: landmark error before registration does not see that.
LEAST_IN_LUNGS, USUAL_IN_LUNGS = 0.8, 0.95
LEAST_IN_IMAGE = 0.5

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Before:
    """Landmark error before registration, continuous, mm; population standard deviation."""

    mean: float
    sd: float


@dataclass(frozen=True)
class CaseReport:
    """What was found about a case.

    Attributes:
        scans: those that can be used.
        landmarks: number of pairs of the default pair.
        before: their distance when the scans are laid over each other as they are.
        in_lungs: the lesser share of them inside the lungs of either scan; None where that was not
            looked at.
        problems, warnings, notes: one line each. A case with problems is not ready; a warning should
            be read before figures are compared with others'.
    """

    id: str
    patient: str
    pair: tuple[str, str]
    scans: tuple[Scan, ...]
    landmarks: int
    before: Before | None
    published: float | None
    in_lungs: float | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """JSON-ready: sizes in voxels (x, y, z), spacing and origin in mm, LPS."""
        return {
            "id": self.id,
            "patient": self.patient,
            "pair": {"fixed": self.pair[0], "moving": self.pair[1]},
            "phases": [
                {
                    "name": scan.name,
                    "percent": scan.percent,
                    "size": list(scan.grid.size),
                    "spacing": list(scan.grid.spacing),
                    "origin": list(scan.grid.origin),
                    "direction": [[v + 0.0 for v in row] for row in scan.grid.direction],  # no -0.0
                }
                for scan in self.scans
            ],
            "landmarks": self.landmarks,
            "lde_before": None if self.before is None else asdict(self.before),
            "published": self.published,
            "in_lungs": self.in_lungs,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }


def check(
    dataset: Dataset, *, quick: bool = False, progress: Progress | None = None
) -> list[CaseReport]:
    """Look at every case; nothing that is wrong with one stops the others.

    Args:
        quick: headers and landmarks only, no voxel.
        progress: called with what is read and the share that is done.
    """
    reports = []
    total = max(1, sum(len(case.scans) for case in dataset.cases))
    done = 0
    for case in dataset.cases:

        def step(scan: Scan, case: Case = case) -> None:
            nonlocal done
            if progress:
                progress(f"{case.id} {scan.name}", done / total)
            done += 1

        reports.append(_looked_at(case, None if quick else step))
    return reports


def as_dict(dataset: Dataset, reports: Sequence[CaseReport]) -> dict[str, object]:
    """The whole report, JSON-ready."""
    return {
        "dataset": dataset.title,
        "kind": dataset.kind,
        "root": str(dataset.root),
        "cases": [report.as_dict() for report in reports],
        "problems": list(dataset.problems),
        "notes": list(dataset.notes),
    }


def _looked_at(case: Case, step: Callable[[Scan], None] | None) -> CaseReport:
    problems: list[str] = list(case.problems)
    warnings: list[str] = []
    if not case.complete and not problems:
        there = ", ".join(scan.name for scan in case.scans) or "none"
        problems.append(f"expected the scans {case.fixed} and {case.moving}, found {there}")
    _in_images(case, problems, warnings)
    _as_many_slices(case, warnings)
    pair = case.landmarks(case.fixed, case.moving)
    before = None
    if pair is not None and len(pair[0]) > 0:
        # both scans as they are: the transform is the identity
        spread = landmark_error(Landmarks(pair[0].points, "moving"), pair[1]).continuous
        before = Before(spread.mean, spread.sd)
        published = case.published_before_mm
        decimals = case.published_decimals
        allowed = max(PUBLISHED_TOLERANCE, PUBLISHED_UNITS * 10.0**-decimals)
        if published is not None and abs(before.mean - published) > allowed:
            warnings.append(
                f"landmark error before registration {before.mean:.2f} mm, published "
                f"{published:.{decimals}f}: wrong frame, or not the original data"
            )
    return CaseReport(
        id=case.id,
        patient=case.patient,
        pair=(case.fixed, case.moving),
        scans=case.scans,
        landmarks=0 if pair is None else len(pair[0]),
        before=before,
        published=case.published_before_mm,
        in_lungs=None if step is None else _voxels(case, step, problems, warnings),
        problems=tuple(dict.fromkeys(problems)),  # a mask may be read by the same file as its image
        warnings=tuple(warnings),
        notes=tuple(dict.fromkeys((*case.notes, *(n for scan in case.scans for n in scan.notes)))),
    )


def _in_images(case: Case, problems: list[str], warnings: list[str]) -> None:
    """Whether the landmarks of every scan lie inside it."""
    scans = {scan.name: scan for scan in case.scans}
    for marked in case.landmark_sets:
        for name, points in marked.points.items():
            if name in scans and len(points):
                inside = scans[name].grid.contains(points.points)
                what = f"landmarks {marked.name} of {name}"
                where = f"the image {scans[name].source}"
                bad = inside.mean() < LEAST_IN_IMAGE
                _outside(what, inside, where, problems if bad else warnings)


def _as_many_slices(case: Case, warnings: list[str]) -> None:
    """Whether a phase has other slices than most: what is missing at an end leaves no gap."""
    phases = [scan for scan in case.scans if scan.percent is not None]
    counts = Counter(scan.grid.size[2] for scan in phases)
    usual, times = counts.most_common(1)[0] if counts else (0, 0)
    if len(phases) < 3 or 2 * times <= len(phases):
        return
    expected = f"{usual} slices, as in most phases"
    do = "copy it again, if slices are missing at an end"
    for scan in phases:
        if (count := scan.grid.size[2]) != usual:
            what = f"{scan.source}, {scan.name}"
            warnings.append(str(InputError(what, expected=expected, found=str(count), do=do)))


def _voxels(
    case: Case, step: Callable[[Scan], None], problems: list[str], warnings: list[str]
) -> float | None:
    """Read every image and mask; the share of landmarks inside the lungs."""
    points = case.landmarks(case.fixed, case.moving)
    sides = {} if points is None else dict(zip((case.fixed, case.moving), points, strict=True))
    shares = []
    litres: dict[str, float] = {}
    for scan in case.scans:
        step(scan)
        image = noted(problems, partial(_plausible, scan))
        for mask in scan.structures.values():
            noted(problems, mask)
        if scan.name not in (case.fixed, case.moving):
            if scan.lungs is not None:
                noted(problems, scan.lungs)
            continue
        if image is None and scan.lungs is None:
            continue
        # a mask that cannot be made is no defect of the data, but registration will need one
        lines = warnings if scan.lungs is None else problems
        lungs = noted(lines, partial(lungs_of, scan, image))
        if lungs is not None:
            litres[scan.name] = float(lungs.data.sum()) * float(np.prod(lungs.grid.spacing)) / 1e6
        marks = sides.get(scan.name)
        if lungs is not None and marks is not None and len(marks):
            inside = _inside(lungs, marks)
            share = float(inside.mean())
            shares.append(share)
            if share < USUAL_IN_LUNGS:
                bad = share < LEAST_IN_LUNGS
                what = f"landmarks of {scan.name}"
                _outside(what, inside, "the lungs", problems if bad else warnings)
    _inhale_is_larger(case, litres, warnings)
    return min(shares, default=None)


def _inhale_is_larger(case: Case, litres: dict[str, float], warnings: list[str]) -> None:
    """Whether the lungs agree with the percents on which scan of the default pair is inhale."""
    places = sorted(
        (apart(scan.percent, INHALE), scan.name)
        for scan in case.scans
        if scan.name in litres and scan.percent is not None
    )
    if len(places) != 2 or places[0][0] == places[1][0]:
        return
    (_, inhale), (_, exhale) = places
    if litres[inhale] < litres[exhale]:
        warnings.append(
            f"the lungs of {inhale} ({litres[inhale]:.2f} l) are smaller than those of {exhale}"
            f" ({litres[exhale]:.2f} l), although {inhale} is said to be the nearer to inhale: the"
            " phases may be in another order"
        )


def _plausible(scan: Scan) -> Volume:
    return clean_hu(scan.load(), scan.source)


def _inside(lungs: Volume, marks: Landmarks) -> NDArray[np.bool_]:
    """Whether the voxel at each point belongs to a mask."""
    inside = lungs.grid.contains(marks.points)
    i, j, k = np.rint(lungs.grid.to_index(marks.points[inside])).astype(int).T
    size = np.asarray(lungs.grid.size)[:, None] - 1
    i, j, k = np.clip((i, j, k), 0, size)
    inside[inside] = lungs.data.numpy()[k, j, i]
    return inside


def _outside(what: str, inside: NDArray[np.bool_], where: str, lines: list[str]) -> None:
    """A line on the points that are not where they should be, if there are any."""
    if inside.all():
        return
    found = f"{int((~inside).sum())} of {len(inside)} outside"
    do = "an axis the wrong way round, or another frame, looks like this"
    lines.append(str(InputError(what, expected=f"points inside {where}", found=found, do=do)))
