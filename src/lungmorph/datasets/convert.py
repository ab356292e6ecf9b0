"""Any dataset as NIfTI and CSV, which :mod:`lungmorph.datasets.table` reads back.

::

    OUT/dataset.csv                     every case; a row a scan
    OUT/CASE/dataset.csv                that case alone
    OUT/CASE/SCAN.nii.gz                int16 HU
    OUT/CASE/SCAN_lungs.nii.gz          where the dataset has a mask
    OUT/CASE/SCAN_NAME.csv              landmarks of the set NAME, LPS mm
    OUT/CASE/landmarks.csv              pairs of the default pair, LPS mm
    OUT/CASE/structures/SCAN_NAME.nii.gz

A case appears whole or not at all, and one that is there is kept, so that an interrupted conversion
goes on where it was; one that was made from other files or in another way is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import InputError
from ..files import output_folder, write_image, write_landmark_pairs, write_landmarks
from ..space import Volume
from .case import Case, Dataset, Scan
from .made_from import as_line, changes, facts_of
from .table_rows import KEYPOINTS, LANDMARKS, STRUCTURE, TABLE_NAME
from .table_write import MARK, facts_in, merge_tables, scans_in, source_of, write_table

Progress = Callable[[str, float], None]
ALL, PAIR = "all", "pair"


@dataclass(frozen=True)
class Converted:
    """What became of a case: "written", "kept" from before, or "failed"; and what was wrong with it."""

    id: str
    state: str
    problems: tuple[str, ...] = ()


def convert(
    dataset: Dataset,
    out: Path,
    *,
    cases: Sequence[str] = (),
    phases: str = ALL,
    progress: Progress | None = None,
) -> list[Converted]:
    """Write a dataset as NIfTI and CSV.

    Args:
        out: folder; made if it is not there.
        cases: ids; all if empty.
        phases: "all" scans, or the default "pair" only.
        progress: called with what is written and the share that is done.

    Returns:
        One entry a case. A case that is not complete, that cannot be read, or whose place is taken, has
        failed; the others are written. A written case may have problems too: it lacks what they name.

    Raises:
        InputError: a case that is not there; a place where nothing can be written, where the table of
            somebody else is, or that of the dataset itself.
    """
    chosen = _chosen(dataset, cases)
    _prepare(out)
    if out.resolve() == dataset.root.resolve():
        # its table would stand for the dataset from then on
        raise InputError(out, expected="another folder", found="that of the dataset itself")
    source = f"{MARK} from {dataset.kind} {dataset.root.resolve()}"
    total = max(1, sum(len(_scans(case, phases)) for case in chosen))
    started = 0
    done = []
    for case in chosen:

        def step(scan: Scan, case: Case = case) -> None:
            nonlocal started
            if progress:
                progress(f"{case.id} {scan.name}", started / total)
            started += 1

        try:
            state = _converted(case, _scans(case, phases), out / case.id, source, step)
            done.append(Converted(case.id, state, case.problems))
        except (InputError, OSError) as error:
            done.append(Converted(case.id, "failed", (str(error),)))
        merge_tables(out)
    return done


def _chosen(dataset: Dataset, ids: Sequence[str]) -> list[Case]:
    there = {case.id: case for case in dataset.cases}
    for name in ids:
        if name not in there:
            raise InputError(dataset.root, expected=f"a case {name!r}", found=", ".join(there))
    return [case for case in dataset.cases if not ids or case.id in ids]


def _scans(case: Case, phases: str) -> list[Scan]:
    return [s for s in case.scans if phases == ALL or s.name in (case.fixed, case.moving)]


def _prepare(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            out, expected="a folder to write into", found=error.strerror or str(error)
        ) from error
    if (out / TABLE_NAME).exists():
        source_of(out / TABLE_NAME)


# ------------------------------------------------------------------ one case


def _converted(
    case: Case, scans: Sequence[Scan], folder: Path, source: str, step: Callable[[Scan], None]
) -> str:
    if folder.exists():
        _check_kept(case, scans, folder, source)
        return "kept"
    if not case.complete:
        raise InputError(
            f"case {case.id}",
            expected=f"the scans {case.fixed} and {case.moving}",
            found=", ".join(scan.name for scan in case.scans) or "none",
            do="; ".join(case.problems),
        )
    facts = facts_of(case, scans)  # before they are read: a change in the meantime shows next time
    with output_folder(folder) as temporary:
        rows = _Writer(case, temporary).write(scans, step)
        write_table(temporary / TABLE_NAME, source, rows, as_line(facts))
    return "written"


def _check_kept(case: Case, scans: Sequence[Scan], folder: Path, source: str) -> None:
    """Make sure that an earlier conversion wrote the same into the folder."""
    table = folder / TABLE_NAME
    wanted = {scan.name for scan in scans}
    found = source_of(table)
    if found != source or not wanted <= scans_in(table):
        there = "another dataset" if found != source else ", ".join(sorted(scans_in(table)))
        raise InputError(
            folder,
            expected=f"the scans {', '.join(sorted(wanted))} of an earlier run, or nothing",
            found=f"{there} ({found})",
            do="choose another output folder, or remove this one",
        )
    before = facts_in(table)
    other = changes(before, facts_of(case, scans))
    if other:
        found = f"one with other {', other '.join(other)}" if before else "one that does not say"
        raise InputError(
            folder,
            expected="a case made from what the dataset is now",
            found=found,
            do="remove this folder to convert the case anew, or choose another output folder",
        )


class _Writer:
    """Writes the files of one case into a folder, each under a name of its own."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.folder = folder
        self.taken: set[str] = set()

    def write(self, scans: Sequence[Scan], step: Callable[[Scan], None]) -> list[dict[str, str]]:
        """Everything; a row of the table for every scan."""
        rows = []
        for scan in scans:
            step(scan)
            rows.append(self._scan(scan))
        for marked in self.case.landmark_sets:
            column = (LANDMARKS if marked.expert else KEYPOINTS) + _one_line(marked.name)
            there = [
                (s, row) for s, row in zip(scans, rows, strict=True) if s.name in marked.points
            ]
            for scan, row in there if len(there) > 1 else ():
                row[column] = self._name(f"{scan.name}_{marked.name}", ".csv")
                write_landmarks(marked.points[scan.name], self.folder / row[column])
        pair = self.case.landmarks(self.case.fixed, self.case.moving)
        if pair is not None:
            write_landmark_pairs(*pair, self.folder / self._name("landmarks", ".csv"))
        return rows

    def _scan(self, scan: Scan) -> dict[str, str]:
        case = self.case
        row = {
            "id": case.id,
            "scan": _one_line(scan.name),
            "phase": "" if scan.percent is None else f"{scan.percent:g}",
            "role": {case.fixed: "fixed", case.moving: "moving"}.get(scan.name, ""),
            "image": self._name(scan.name, ".nii.gz"),
            "mask": "",
            "patient": _one_line(case.patient),
            "group": _one_line(case.group),
            "split": case.split or "",
            "published_before": "" if case.published_before_mm is None
            else f"{case.published_before_mm:.{case.published_decimals}f}",
        }  # fmt: skip
        image = scan.load()
        hu = image.data.round().clamp(-32768, 32767).to(torch.int16)
        write_image(Volume(hu, image.grid), self.folder / row["image"])
        if scan.lungs is not None:
            row["mask"] = self._name(f"{scan.name}_lungs", ".nii.gz")
            write_image(scan.lungs(), self.folder / row["mask"])
        for name, load in scan.structures.items():
            (self.folder / "structures").mkdir(exist_ok=True)
            file = self._name(f"{scan.name}_{name}", ".nii.gz", "structures/")
            row[STRUCTURE + _one_line(name)] = file
            write_image(load(), self.folder / file)
        return row

    def _name(self, name: str, suffix: str, below: str = "") -> str:
        """A file name that is like ``name`` and is not taken, on systems that ignore case too."""
        plain = below + re.sub(r"[^\w.+-]+", "_", name)
        number = 1
        file = plain + suffix
        while file.lower() in self.taken:
            number += 1
            file = f"{plain}_{number}{suffix}"
        self.taken.add(file.lower())
        return file


def _one_line(text: str) -> str:
    return " ".join(text.split())
