"""Learn2Reg folders as they are given out: a release since 2021, and the first form of 2020."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .nifti import affine, write_nifti

SIZE = (12, 10, 14)
SPACING = (1.75, 1.25, 1.5)
GRID = affine(SPACING, (-20.0, 15.0, -300.0))


def scan_values(seed: int, size: tuple[int, int, int] = SIZE) -> np.ndarray:
    """[i, j, k] in HU, every voxel another value, with lung among them."""
    values = np.arange(np.prod(size)) % 1500 - 1000
    return np.random.default_rng(seed).permutation(values).astype(np.int16).reshape(size)


def mask_values(seed: int, size: tuple[int, int, int] = SIZE) -> np.ndarray:
    """[i, j, k]: a box with other margins at every end, and some voxels around it."""
    mask = np.random.default_rng(seed + 100).random(size) > 0.9
    mask[1:-3, 2:-1, 1:-2] = True
    return mask.astype(np.uint8)


def points(seed: int, count: int = 5, size: tuple[int, int, int] = SIZE) -> np.ndarray:
    """Indices from 0 in that box, (N, 3), three decimals as in the files."""
    rng = np.random.default_rng(seed + 200)
    return np.round(rng.uniform(2, np.array(size) - 4, (count, 3)), 3)


def write_points(path: Path, *index: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.hstack(index)
    path.write_bytes(b"".join(b",".join(b"%.3f" % v for v in row) + b"\r\n" for row in rows))
    return path


def image(subject: int, number: int, task: str = "LungCT", part: str = "Tr") -> str:
    return f"./images{part}/{task}_{subject:04d}_{number:04d}.nii.gz"


def pair(subject: int, task: str = "LungCT", part: str = "Tr") -> dict[str, str]:
    return {"fixed": image(subject, 0, task, part), "moving": image(subject, 1, task, part)}


def write_release(
    root: Path,
    subjects: dict[int, str],
    *,
    task: str = "LungCT",
    grids: tuple[np.ndarray, np.ndarray] = (GRID, GRID),
    landmarks: tuple[int, ...] = (),
    **listed: Any,
) -> Path:
    """A task: ``subjects`` by number with the part ("Tr", "Ts") they lie in; ``listed`` as in the JSON."""
    entries = []
    for subject, part in subjects.items():
        for number, grid in enumerate(grids):
            name = f"{task}_{subject:04d}_{number:04d}"
            seed = 10 * subject + number
            write_nifti(root / f"images{part}" / f"{name}.nii.gz", scan_values(seed), grid)
            write_nifti(root / f"masks{part}" / f"{name}.nii.gz", mask_values(seed), grid)
            write_points(root / f"keypoints{part}" / f"{name}.csv", points(seed))
            entry = {
                "image": f"./images{part}/{name}.nii.gz",
                "mask": f"./masks{part}/{name}.nii.gz",
                "keypoints": f"./keypoints{part}/{name}.csv",
            }
            if subject in landmarks:
                write_points(root / f"landmarks{part}" / f"{name}.csv", points(seed + 5, 3))
                entry["landmarks"] = f"./landmarks{part}/{name}.csv"
            entries.append(entry)
    content = {
        "name": task,
        "release": "1.1",
        "description": "a replica",
        "pairings": "paired",
        "provided_data": {"0": ["image", "mask", "keypoints"]},
        "registration_direction": {"fixed": 0, "moving": 0},
        "modality": {"0": "CT"},
        "labels": {},
        "tensorImageSize": {"0": "3D"},
        "tensorImageShape": {"0": list(SIZE)},
        "numTraining": len(entries),
        "training": entries,
        "test": [],
        **listed,
    }
    for key in [key for key in content if isinstance(content[key], list)]:
        content[f"num_{key}"] = len(content[key])
    (root / f"{task}_dataset.json").write_text(json.dumps(content, indent=4))
    return root


def write_2020(
    root: Path, numbers: tuple[int, ...], *, part: str = "training", above_hu: int = 1000
) -> Path:
    """The layout of Zenodo 3835682: values are HU + 1000, keypoints exhale and inhale in one row."""
    folder = root / part
    for number in numbers:
        for n, state in enumerate(("exp", "insp")):
            name = f"case_{number:03d}_{state}.nii.gz"
            seed = 10 * number + n
            values = (scan_values(seed) + above_hu).astype(np.int16)
            write_nifti(folder / "scans" / name, values, GRID)
            write_nifti(folder / "lungMasks" / name, mask_values(seed), GRID)
        exhale, inhale = points(10 * number), points(10 * number + 1)
        write_points(folder / "keypoints" / f"case_{number:03d}.csv", exhale, inhale)
    return root
