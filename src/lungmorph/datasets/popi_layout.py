"""Where the files of the POPI / CREATIS patients lie, by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from .release_folders import release_folders

PHASES = tuple(range(0, 100, 10))

_OF_2007 = {
    "images": re.compile(r"(\d0)[-_]P\.mhd"),
    "points": re.compile(r"(\d0)-Landmarks\.pts", re.IGNORECASE),
    "masks": re.compile(r"(\d0)-(?:air-body-lungs|air-lungs-body)\.mhd"),
}
#: Landmarks of 2007 that were packed anew, in a folder that is called after them.
_RENAMED_POINTS = re.compile(r"(?:case)?(\d0)\.(?:txt|pts)")
_OF_2011 = {"mhd": re.compile(r"(\d0)\.mhd"), "pts": re.compile(r"(\d0)\.pts")}


@dataclass
class PatientFiles:
    """The files of one patient, by phase in percent.

    Attributes:
        year: 2007 or 2011, which of the two sets.
        renamed: landmark files that do not have the owner's names.
    """

    id: str
    year: int
    folder: Path
    images: dict[int, Path] = field(default_factory=dict)
    points: dict[int, Path] = field(default_factory=dict)
    masks: dict[int, Path] = field(default_factory=dict)
    renamed: bool = False
    problems: list[str] = field(default_factory=list)


def patients(root: Path) -> list[PatientFiles]:
    """All patients below a folder that have images."""
    if not root.is_dir():
        return []
    model = PatientFiles("POPI", 2007, root)
    others = []
    for folder, folders, files in release_folders(root):
        _take_2007(model, folder, files)
        if "mhd" in folders:
            found = _of_2011(folder)
            others += [found] if found.images else []
    if model.images and not model.points:
        model.renamed = True
        for folder, _, files in release_folders(root):
            if "landmark" in folder.name.lower():
                _take(model, "points", _RENAMED_POINTS, folder, files)
    return ([model] if model.images else []) + others


def _take_2007(model: PatientFiles, folder: Path, files: list[str]) -> None:
    for kind, pattern in _OF_2007.items():
        _take(model, kind, pattern, folder, files)


def _of_2011(folder: Path) -> PatientFiles:
    found = PatientFiles(folder.resolve().name, 2011, folder)
    for kind, (place, pattern) in zip(("images", "points"), _OF_2011.items(), strict=True):
        if (folder / place).is_dir():
            names = sorted(path.name for path in (folder / place).iterdir())
            _take(found, kind, pattern, folder / place, names)
    return found


def _take(
    patient: PatientFiles, kind: str, pattern: re.Pattern[str], folder: Path, files: list[str]
) -> None:
    """Keep the files whose names fit; a second one for the same phase is a problem."""
    by_phase: dict[int, Path] = getattr(patient, kind)
    for name in files:
        if match := pattern.fullmatch(name):
            first = by_phase.setdefault(int(match[1]), folder / name)
            if first != folder / name:
                twice = InputError(
                    folder / name, expected=f"one file of this phase ({first})", found="two"
                )
                patient.problems.append(str(twice))
