"""Learn2Reg, the lung CT tasks: LungCT (as of 2021, and its first form of 2020) and NLST.

Everything in Learn2Reg is counted in voxels of the files: keypoints and landmarks are indices (i, j, k)
from 0, a mask belongs to its image voxel by voxel whatever its header says, and the challenge's own
landmark error is a difference of indices times the spacing of the moving image (its ``evaluation.py``
and ``utils.py``, https://github.com/MDL-UzL/L2R). Here points become LPS mm by the header of the image
they lie in. Where fixed and moving image lie on one grid, as in these releases, both errors are the
same; where the grids differ, a note of the case says so.

Keypoints were found by corrField, an algorithm (``expert=False``); landmarks were set by people.

A trap in kin data: images that were resampled to one spacing and then given the header of another (the
VoxelMorph++ copies of DIR-Lab COPDgene do so). No reader can see that; millimetres are then as wrong as
the header.

Sources: A. Hering et al., Learn2Reg, IEEE TMI 42(3), 2023; the README and the dataset files of the
releases.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ..errors import InputError
from . import learn2reg_2020, learn2reg_release
from .case import Case, Dataset, natural_order
from .release_folders import release_folders

KIND, TITLE = "learn2reg", "Learn2Reg"


def recognises(root: Path) -> bool:
    """Whether it is the folder of a lung task, or holds such folders at some depth."""
    return any(
        learn2reg_release.is_release(folder) or learn2reg_2020.is_release(folder)
        for folder in _folders(root)
    )


def open_dataset(root: Path) -> Dataset:
    """Read the lung tasks in a folder or in the folders below it.

    Raises:
        InputError: a dataset file of another task of Learn2Reg and no lung task; the same cases in
            two of the folders.
    """
    cases: list[Case] = []
    problems: list[str] = []
    notes: list[str] = []
    folders = _folders(root)
    for folder in folders:
        if learn2reg_release.is_release(folder):
            cases += learn2reg_release.read_cases(folder, problems, notes)
        elif learn2reg_2020.is_release(folder):
            cases += learn2reg_2020.read_cases(folder, problems)
    if not cases and not problems:
        learn2reg_release.refuse_other_task(folders)
    twice = [name for name, count in Counter(case.id for case in cases).items() if count > 1]
    if twice:
        raise InputError(
            root,
            expected="every case once",
            found=f"{twice[0]} in more than one folder",
            do="open one of the folders",
        )
    cases.sort(key=lambda case: natural_order(case.id))
    return Dataset(KIND, TITLE, root, tuple(cases), tuple(problems), tuple(notes))


def _folders(root: Path) -> list[Path]:
    return [folder for folder, _, _ in release_folders(root)]
