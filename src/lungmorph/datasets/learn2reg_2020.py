"""Learn2Reg 2020, task 2: the first form in which LungCT was given out.

Zenodo 3835682 (training, cases 1 to 20) and 4048761 (test, 21 to 30)::

    training/scans/case_001_exp.nii.gz, case_001_insp.nii.gz
    training/lungMasks/case_001_exp.nii.gz, case_001_insp.nii.gz
    training/keypoints/case_001.csv      exhale i, j, k, inhale i, j, k; no header
    test/scans, test/lungMasks
    pairs_val.csv                        columns fixed, moving

The exhale scan is fixed. Values are stored as HU + 1000.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from ..files.tables import points, read_table
from ..space import Volume
from .case import Case, noted
from .learn2reg_pair import ImageFiles, PairFiles, PointFiles, read_pair
from .nifti_lattice import Lattice, read_on

SCANS, MASKS = "scans", "lungMasks"
_SCAN = re.compile(r"case_(\d{3})_(exp|insp)\.nii(\.gz)?")
_SPLITS = {"training": "train", "test": "test"}

STORED_ABOVE_HU = 1000.0
#: A chest CT in HU has air and lung far below this.
LEAST_HU = -100.0
_NOTE = (
    f"voxels are taken as HU + {STORED_ABOVE_HU:g}, as this release stores them, "
    f"where none is below {LEAST_HU:g}"
)


def is_release(folder: Path) -> bool:
    """Whether scans of the 2020 release lie in ``folder/scans``."""
    scans = folder / SCANS
    return scans.is_dir() and any(_SCAN.fullmatch(path.name) for path in scans.iterdir())


def read_cases(folder: Path, problems: list[str]) -> list[Case]:
    """The cases of one part (``training`` or ``test``)."""
    named: dict[str, dict[str, str]] = {}
    for path in sorted((folder / SCANS).iterdir()):
        if match := _SCAN.fullmatch(path.name):
            named.setdefault(match[1], {})[match[2]] = path.name
    validation = _validation(folder, problems)
    split = _SPLITS.get(folder.name.lower())
    return [
        read_pair(
            PairFiles(
                id=f"case_{number}",
                patient=f"case_{number}",
                group="LungCT 2020",
                split="validation" if int(number) in validation else split,
                fixed=_image(folder, "exhale", files.get("exp", f"case_{number}_exp.nii.gz")),
                moving=_image(folder, "inhale", files.get("insp", f"case_{number}_insp.nii.gz")),
                points=_points(folder, number),
            ),
            read_hu,
            [_NOTE],
        )
        for number, files in named.items()
    ]


def read_hu(path: Path, lattice: Lattice) -> Volume:
    """A scan of this release in HU.

    Raises:
        InputError: as :func:`lungmorph.datasets.nifti_lattice.read_on`.
    """
    volume = read_on(path, lattice)
    if float(volume.data.min()) < LEAST_HU:
        return volume
    return Volume(volume.data - STORED_ABOVE_HU, volume.grid)


def _image(folder: Path, name: str, file: str) -> ImageFiles:
    mask = folder / MASKS / file if (folder / MASKS).is_dir() else None
    return ImageFiles(name, folder / SCANS / file, mask)


def _points(folder: Path, number: str) -> list[PointFiles]:
    """The file of each kind, where the release has that kind at all."""
    return [
        PointFiles(kind, expert, (folder / kind / f"case_{number}.csv",))
        for kind, expert in (("landmarks", True), ("keypoints", False))
        if (folder / kind).is_dir()
    ]


def _validation(folder: Path, problems: list[str]) -> set[int]:
    """Numbers of the cases that the owner keeps for validation."""
    for place in (folder, folder.parent):
        path = place / "pairs_val.csv"
        if path.is_file():
            found = noted(problems, partial(_fixed_numbers, path))
            return set() if found is None else found
    return set()


def _fixed_numbers(path: Path) -> set[int]:
    return {int(fixed) for (fixed,) in points(read_table(path), ("fixed",))}
