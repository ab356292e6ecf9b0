"""POPI / CREATIS: 4D CTs of the Léon Bérard Cancer Center as MetaImage, with landmarks in mm.

Two sets are given out under this name (https://github.com/open-vv/popi-model):

* the **POPI-model** of 2007, one patient: ``10-P.mhd``, ``10-Landmarks.pts``,
  ``10-air-body-lungs.mhd`` for every phase 00 to 90 (Vandemeulebroucke, Sarrut, Clarysse, ICCR 2007);
* the **DIR validation data** of 2011, six patients: ``bl/mhd/00.mhd``, ``bl/pts/00.pts``
  (Vandemeulebroucke et al., Med Phys 38(1), 2011).

Their landmarks are in different frames; see :mod:`lungmorph.datasets.popi_points`. The pairs registered
by default are those of the owner: 2007 from end of inhale (10 %) to 60 %, 2011 from the reference phase at
the end of exhale (50 %, of patient ``bl`` 60 %) to 0 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import read_grid, read_image
from ..files.images import check_mask_grid
from ..space import Grid, Volume
from .case import Case, Dataset, Scan, natural_order, noted
from .image_scan import image_scan
from .phases import phase_name
from .popi_layout import PHASES, PatientFiles, patients
from .popi_points import FRAMES, landmark_sets
from .scan_files import files_at

KIND, TITLE = "popi", "POPI / CREATIS"

#: Mean distance of the first 40 landmarks from those of phase 10, mm, by phase (owner's table).
PUBLISHED_2007 = {0: 0.5, 20: 0.5, 30: 2.2, 40: 4.3, 50: 5.8, 60: 6.1, 70: 5.0, 80: 3.7, 90: 2.1}
PAIR_2007 = (10, 60)
#: End of exhale by patient (owner's table, "reference phase").
REFERENCE_2011 = {"bl": 60, "ng": 50, "dx": 50, "gt": 50, "mm2": 50, "bh": 50}
INHALE_2011 = 0

#: The labels of the masks of 2007 that are not air (1); which of them the lungs are is seen from the HU.
_BODY_OR_LUNGS = (0, 2)
_LUNG_HU = (-950.0, -450.0)
_BODY_HU = -300.0


def recognises(root: Path) -> bool:
    """Whether files of either set lie below a folder."""
    return bool(patients(root))


def open_dataset(root: Path, *, points: str | None = None) -> Dataset:
    """Read the patients below a folder.

    Args:
        root: as its owner distributes it, one patient or several.
        points: the frame of the landmark files, where it is another one than the owner says:
            "first-voxel" (mm from the centre of the first voxel along the axes of the image) or
            "world" (as the header places the image).

    Raises:
        InputError: another word for ``points``.
    """
    if points is not None and points not in FRAMES:
        raise InputError("points", expected=f"one of {', '.join(FRAMES)}", found=repr(points))
    cases = [_case(files, points) for files in patients(root)]
    cases.sort(key=lambda case: natural_order(case.id))
    return Dataset(KIND, TITLE, root, tuple(cases))


def _case(files: PatientFiles, frame: str | None) -> Case:
    problems, notes = list(files.problems), list[str]()
    missing = [phase_name(p) for p in PHASES if p not in files.images]
    if missing:
        problems.append(
            f"{files.folder}: expected ten phases, found {len(files.images)} "
            f"(not {', '.join(missing)})"
        )
    scans: dict[int, Scan] = {}
    for percent, image in sorted(files.images.items()):
        scan = image_scan(phase_name(percent), image, problems, percent=percent)
        if scan is not None:
            scans[percent] = _with_lungs(scan, files.masks.get(percent), problems)
    fixed, moving = _pair(files, notes)
    sets = landmark_sets(
        files, {p: scan.grid for p, scan in scans.items()}, (fixed, moving), frame, problems, notes
    )
    published = PUBLISHED_2007.get(moving) if files.year == 2007 else None
    return Case(
        id=files.id,
        patient=files.id,
        scans=tuple(scans.values()),
        fixed=phase_name(fixed),
        moving=phase_name(moving),
        landmark_sets=tuple(sets),
        group="POPI-model" if files.year == 2007 else "DIR validation data",
        published_before_mm=published,
        published_decimals=1,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _pair(files: PatientFiles, notes: list[str]) -> tuple[int, int]:
    """Phases of the fixed and the moving scan."""
    if files.year == 2007:
        notes.append(
            "phases as their owner names them: end of inhale is 10 %, end of exhale near 60 %"
        )
        return PAIR_2007
    if files.id in REFERENCE_2011:
        return REFERENCE_2011[files.id], INHALE_2011
    marked = sorted(files.points)
    reference = marked[1] if len(marked) == 2 and marked[0] == INHALE_2011 else 50
    notes.append(
        f"{files.folder}: not the owner's name of a patient ({', '.join(REFERENCE_2011)}); "
        f"{reference} % is taken for the end of exhale"
    )
    return reference, INHALE_2011


# ------------------------------------------------------------------ masks of 2007


def _with_lungs(scan: Scan, mask: Path | None, problems: list[str]) -> Scan:
    if mask is None:
        return scan
    found = noted(problems, partial(read_grid, mask))
    if found is None or noted(problems, partial(_same_place, mask, found, scan.grid)) is None:
        return scan
    return replace(
        scan,
        lungs=partial(read_lungs, mask, scan.source, scan.grid),
        files=partial(files_at, scan.source, mask),
    )


def _same_place(path: Path, found: Grid, image: Grid) -> bool:
    check_mask_grid(path, found, image)
    return True


def read_lungs(mask: Path, image: Path, grid: Grid) -> Volume:
    """The lungs of a label image of 2007, bool.

    The owner's page gives air, lungs and body the labels 1, 0 and 2, readers of the files 1, 2 and 0.
    So the lungs are that label of 0 and 2 whose voxels look like lung.

    Raises:
        InputError: neither of them does, or both; an image that cannot be read.
    """
    volume = read_image(mask)
    check_mask_grid(mask, volume.grid, grid)
    labels, values = volume.data.numpy(), read_image(image).data.numpy()
    means: Mapping[int, float] = {
        label: float(values[labels == label].mean()) if np.any(labels == label) else np.nan
        for label in _BODY_OR_LUNGS
    }
    low, high = _LUNG_HU
    lungs = [label for label, mean in means.items() if low < mean < high]
    body = [label for label, mean in means.items() if mean > _BODY_HU]
    if len(lungs) != 1 or len(body) != 1:
        told = ", ".join(f"{label} with a mean of {mean:.0f} HU" for label, mean in means.items())
        raise InputError(mask, expected="one label of lung and one of body", found=told)
    return Volume(volume.data == lungs[0], grid)
