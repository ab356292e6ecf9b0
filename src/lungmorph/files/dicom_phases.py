"""One phase of the 4D CT in a folder of DICOM files, chosen by its percent or name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..space import Volume
from .breathing_ct import BreathingCT, Phase
from .dicom_folder import DicomFolder, arrange, find_phases
from .dicom_header import Header, text
from .phase_notes import only_timed


def read_phase(folder: str | os.PathLike[str], phase: str, series: str | None = None) -> Volume:
    """Read one phase of the 4D CT in a folder, float32 HU.

    Args:
        folder: searched with its subfolders.
        phase: percent ("50", "50%", "T50") or name ("20% In"); with the tag to take it from behind, if need
            be ("50@ImageComments"; tags as in :func:`lungmorph.files.dicom_folder.find_phases`).
        series: where there are several 4D CTs: UID, number or description of a series of the one that is
            meant, its study date, or a part that only it has.

    Raises:
        InputError: no 4D CT, several, no such phase, or one with missing or doubled slices; phases in an
            order of time, where no tag is given.
    """
    return find_phase(folder, phase, series).load()


def find_phase(folder: str | os.PathLike[str], phase: str, series: str | None = None) -> Phase:
    """The phase that :func:`read_phase` reads, from headers alone; raises the same."""
    return phase_and_whole(folder, phase, series)[0]


def phase_and_whole(
    folder: str | os.PathLike[str], phase: str, series: str | None = None
) -> tuple[Phase, BreathingCT]:
    """As :func:`find_phase`, with the 4D CT that it is one of."""
    phase, at, tag = phase.partition("@")
    found = find_phases(folder, tag.strip() if at else None)
    if not found.ct:
        raise InputError(
            folder,
            expected="a 4D CT",
            found="none" + (f" ({found.problems[0]})" if found.problems else ""),
            do=_how_to_choose(phase, found.problems)
            if found.problems
            else "leave the phase out to read a single scan",
        )
    fit = [ct for ct in found.ct if series is None or _matches(ct, series)]
    if len(fit) != 1:
        raise InputError(
            folder,
            expected="one 4D CT" + (f" that matches {series!r}" if series else ""),
            found=f"{len(fit)} of " * bool(series) + "; ".join(map(str, fit or found.ct)),
            do="give the folder of one, or choose it by one of its series, its date or description",
        )
    if tag_of := fit[0].timed_by:
        raise only_timed(folder, tag_of, f"with the phase {phase}@{tag_of}")
    wanted = plain_name(phase)
    for one in fit[0].phases:
        if wanted in (plain_name(one.name), "" if one.percent is None else f"{one.percent:g}"):
            return one, fit[0]
    broken = [line for line in fit[0].problems if f"phase {wanted} %" in line]
    raise InputError(
        folder,
        expected=f"a phase {phase!r}",
        found=", ".join(one.name for one in fit[0].phases),
        do=broken[0] if broken else "",
    )


def _how_to_choose(phase: str, problems: Iterable[str]) -> str:
    tags = any("phase_tag" in line for line in problems)
    return f"a tag is chosen as in {phase}@SeriesDescription" if tags else ""


def phases_line(folder: Path, headers: Iterable[Header]) -> InputError | None:
    """What to say where one scan was wanted and the slices are phases; None if they are not, or a series each of two."""
    found = DicomFolder()
    arrange(found, headers, folder)
    if all(len(ct.phases) == len({phase.series for phase in ct.phases}) < 3 for ct in found.ct):
        return None
    first = found.ct[0]
    inhale, exhale = (
        f'"{n}"' if " " in n else n for n in map(_option, (first.inhale, first.exhale))
    )
    return InputError(
        folder,
        expected="one 3D scan",
        found="; ".join(map(str, found.ct)),
        do=f"`lungmorph register` takes phases with --phase and --moving-phase (such as {inhale} and"
        f" {exhale}); choose one series with --series",
    )


def plain_name(name: str) -> str:
    """ "50 %", "T50" and "050%" are the same phase: "50"; "20 % In" is "20in"."""
    bare = re.sub(r"[\s%_]+", "", name).lower()
    match = re.fullmatch(r"t?=?0*(\d+(?:\.\d+)?)(in|ex)?", bare)
    return f"{float(match[1]):g}{match[2] or ''}" if match else bare


def _option(name: str) -> str:
    return name.removesuffix(" %").replace(" %", "%")


def _matches(ct: BreathingCT, wanted: str) -> bool:
    said = {ct.date, ct.study, ct.patient, ct.apart}
    for phase in ct.phases:
        first = phase.headers[0]
        said |= {phase.series, text(first, "SeriesNumber"), text(first, "SeriesDescription")}
    words = wanted.strip().lower()
    return any(
        words == one.lower() or (len(words) > 2 and words in one.lower()) for one in said if one
    )
