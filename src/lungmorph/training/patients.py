"""Who was learned from, in the folder of a run: for people, and so that a run goes on with the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import replacing
from .data import Planned

#: Its name in the folder of a run.
PATIENTS = "patients.json"


def patients_of(planned: Planned) -> dict[str, Any]:
    """The patients of all datasets, by what they are for, and what of them could not be used; JSON-ready."""
    return {
        "train": [sorted({pair.case.patient for pair in part}) for part in planned.train],
        "validation": sorted({pair.case.patient for pair in planned.validation}),
        "judged": {
            group.name: sorted({pair.case.patient for pair in group.pairs})
            for group in planned.judged
        },
        "problems": list(planned.problems),
    }


def check_patients(folder: Path, planned: Planned) -> None:
    """A dataset that has grown is dealt out anew by shares: who was trained on may now be validated on.

    Raises:
        InputError: a run in this folder began with other patients.
    """
    path = folder / PATIENTS
    if not path.exists():
        return
    try:
        before = json.loads(path.read_text())
        lists = {part: before[part] for part in ("train", "validation")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            path, expected="the patients of a run", found="a file that cannot be read"
        ) from error
    now = patients_of(planned)
    for part, patients in lists.items():
        if patients != now[part]:
            raise InputError(
                path,
                expected=f"the {part} patients that the run began with",
                found="others in the data",
                do="train into another folder, or name them in data.sources.N.split",
            )


def save_patients(folder: Path, planned: Planned) -> None:
    """Write ``patients.json``; nothing where all pairs are simulated."""
    if planned.all:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / PATIENTS) as temporary:
            temporary.write_text(json.dumps(patients_of(planned), indent=2) + "\n")
