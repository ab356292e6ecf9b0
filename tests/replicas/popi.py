"""The two sets of POPI / CREATIS as they are given out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .metaimage import write_mhd

SHAPE = (10, 12, 14)  # z, y, x
SPACING = (0.9, 0.7, 2.0)
PHASES = tuple(range(0, 100, 10))
AIR, BODY, LUNGS = "air", "body", "lungs"
#: As files are read by others; the owner's page says body 2 and lungs 0.
LABELS = {AIR: 1, BODY: 0, LUNGS: 2}
_HU = {AIR: -1000, BODY: 40, LUNGS: -780}


def tissue(phase: int) -> np.ndarray:
    """What is where: [z, y, x] of words."""
    z, y, x = np.indices(SHAPE)
    made = np.where((y > 0) & (y < 11) & (x > 0) & (x < 13), BODY, AIR).astype("<U5")
    made[(y > 2) & (y < 9) & (x > 2) & (x < 11) & (z > phase // 50)] = LUNGS
    return made


def scan_values(phase: int) -> np.ndarray:
    noise = np.random.default_rng(phase).integers(-30, 30, SHAPE)
    values = np.select([tissue(phase) == t for t in _HU], list(_HU.values()))
    return (values + noise).astype(np.int16)


def points(phase: int, count: int) -> np.ndarray:
    """mm from the first voxel, inside the image, moving with the phase."""
    inside = np.random.default_rng(7).uniform(0.25, 0.7, (count, 3))
    extent = (np.array(SHAPE[::-1]) - 1) * SPACING
    return np.round(inside * extent + np.array([0.02, 0.01, 0.05]) * (phase % 70), 4)


def write_pts(path: Path, mm: np.ndarray, header: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "".join("\t".join(f"{v:.4f}" for v in row) + "\n" for row in mm))
    return path


def write_2007(
    root: Path,
    *,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    axes: np.ndarray | None = None,
    phases: Sequence[int] = PHASES,
    labels: dict[str, int] = LABELS,
    count: int = 41,
) -> Path:
    """The POPI-model: 4DCT-MetaImage, 4DMask and 4DLandmarks, unpacked side by side."""
    for phase in phases:
        image = root / "4DCT-MetaImage" / f"{phase:02d}-P.mhd"
        write_mhd(image, scan_values(phase), SPACING, origin, axes)
        mask = np.select([tissue(phase) == t for t in labels], list(labels.values()))
        name = f"{phase:02d}-air-body-lungs.mhd"
        write_mhd(root / "4DMask" / name, mask.astype(np.uint8), SPACING, origin, axes)
        write_pts(
            root / "4DLandmarks" / f"{phase:02d}-Landmarks.pts", points(phase, count), "#X\tY\tZ\n"
        )
    return root


def write_2011(
    root: Path,
    patient: str,
    *,
    origin: tuple[float, float, float] = (-250.0, -175.5, 10.0),
    phases: Sequence[int] = PHASES,
    marked: Sequence[int] = PHASES,
    count: int = 12,
) -> Path:
    """A patient of the DIR validation data: landmarks in the world of the images."""
    for phase in phases:
        write_mhd(root / patient / "mhd" / f"{phase:02d}.mhd", scan_values(phase), SPACING, origin)
    for phase in marked:
        write_pts(root / patient / "pts" / f"{phase:02d}.pts", points(phase, count) + origin)
    return root
