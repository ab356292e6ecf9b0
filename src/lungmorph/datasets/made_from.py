"""What a converted scan was made from: a line that shows later whether the dataset is still the same.

Digests stand for the pair, the case, the place of the image, the files, the masks and the landmarks, so
that a change is not only seen but named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from .case import Case, Scan
from .scan_files import ages

#: By the name of a scan, what it was made from: a digest a fact.
Facts = Mapping[str, Mapping[str, str]]
_MARK = "made from "


def facts_of(case: Case, scans: Sequence[Scan]) -> Facts:
    """What scans of a case are made from now.

    Raises:
        OSError: a file of one cannot be looked at.
    """
    about = (case.patient, case.group, case.split, case.published_before_mm)
    return {
        scan.name: {
            "pair": _digest(case.fixed, case.moving),
            "patient or group": _digest(*about),
            "grid or phase": _digest(scan.percent, scan.grid),
            "files": _digest(*ages(scan)),
            "masks": _digest(scan.lungs is not None, *sorted(scan.structures)),
            "landmarks": _digest(
                *(
                    (one.name, one.expert, one.points[scan.name].points.tobytes())
                    for one in case.landmark_sets
                    if scan.name in one.points
                )
            ),
        }
        for scan in scans
    }


def as_line(facts: Facts) -> str:
    """Facts as one line of text."""
    return _MARK + json.dumps(facts)


def from_lines(lines: Sequence[str]) -> Facts:
    """Facts from the lines among which :func:`as_line` stands; none if it does not."""
    line = next((line for line in lines if line.startswith(_MARK)), "")
    try:
        found = json.loads(line.removeprefix(_MARK) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def changes(before: Facts, now: Facts) -> list[str]:
    """What is another now in any of the scans that are there now."""
    names: dict[str, None] = {}
    for scan, facts in now.items():
        old = before.get(scan, {})
        names.update(dict.fromkeys(what for what in facts if old.get(what) != facts[what]))
    return list(names)


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
