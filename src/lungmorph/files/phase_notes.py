"""What there is to say of the phases of a 4D CT that are not all alike, or not all there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .breathing_ct import Phase
from .dicom_header import number, text
from .phase_order import Ordered, apart


def differences(phases: Sequence[Phase]) -> list[str]:
    """What is not the same in all phases."""
    if not phases:
        return []
    notes = []
    counts = Counter(phase.grid.size[2] for phase in phases)
    usual = max(counts, key=lambda n: (counts[n], n))
    for phase in phases:
        if phase.grid.size[2] != usual:
            notes.append(f"phase {phase.name} has {phase.grid.size[2]} slices, others {usual}")
    if len({phase.grid.size[:2] for phase in phases}) > 1:
        sizes = ", ".join(f"{p.name} {p.grid.size[0]}x{p.grid.size[1]}" for p in phases)
        notes.append(f"phases differ in their matrix: {sizes}")
    first = phases[0].grid
    steps = [phase.grid.spacing for phase in phases]
    if not np.allclose(steps, first.spacing, rtol=0.005):  # more than tables shake
        listed = ", ".join(
            f"{p.name} {'x'.join(f'{v:.4g}' for v in p.grid.spacing)}" for p in phases
        )
        notes.append(f"phases differ in their spacing: {listed} mm")
    if turned := [
        p.name for p in phases if not np.allclose(p.grid.direction, first.direction, atol=1e-3)
    ]:
        notes.append(
            f"phases differ in their orientation: {', '.join(turned)} from {phases[0].name}"
        )
    tilts = [number(header, "GantryDetectorTilt") or 0.0 for p in phases for header in p.headers]
    if tilt := max(tilts, key=abs, default=0.0):
        notes.append(
            f"GantryDetectorTilt is {tilt:g} degrees, but slices are stacked along their normal: taken as resampled"
        )
    units = {text(header, "RescaleType") for p in phases for header in p.headers}
    if others := sorted(units - {"", "HU", "US"}):  # US: unspecified, as many scanners write it
        notes.append(
            f"RescaleType is {', '.join(others)}: values are taken as HU, though they may be others"
        )
    if len({phase.frame_of_reference for phase in phases}) > 1:
        notes.append(
            "phases have different FrameOfReferenceUIDs; their positions are taken as of one"
        )
    return notes


def only_timed(where: object, tag: str, how: str) -> InputError:
    """What to say of phases in an order of time: cine, perfusion and scans for a biopsy have one too.

    Args:
        where: folder and series.
        tag: that has the time or counts the acquisitions.
        how: to confirm it.
    """
    return InputError(
        where,
        expected="a tag that says the breathing phase",
        found=f"only the order of {tag}, which other scans that are repeated have too",
        do=f"if it is the order of the breath, confirm it {how}",
    )


def steps_of(order: Ordered) -> tuple[list[str], list[str]]:
    """What to note of uneven phases, and what to complain of where one is missing."""
    known = [percent for percent in order.percents if percent is not None]
    gaps = (
        [b - a for a, b in zip(known, [*known[1:], known[0] + 100], strict=True)] if known else []
    )
    if not gaps or max(gaps) - min(gaps) <= 1.5:
        return [], []
    n = round(100 / min(gaps))
    even = sorted(round(known[0] + 100 * i / n, 1) % 100 for i in range(n))
    if all(min(apart(p, e) for e in even) <= 1.0 for p in known):
        lost = [f"{e:.3g} %" for e in even if min(apart(p, e) for p in known) > 1.0]
        line = f"expected a phase every {100 / n:.3g} %, found none at {', '.join(lost)}"
        return [], [line]
    return ["phases are not in even steps: " + ", ".join(order.names)], []
