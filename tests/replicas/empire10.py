"""EMPIRE10 as it is given out: scans and lung masks of pairs, origin at 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .metaimage import write_mhd

#: (z, y, x) and spacing of fixed and moving image: they differ, as in the challenge.
SHAPES = {"Fixed": (9, 11, 13), "Moving": (8, 12, 10)}
SPACINGS = {"Fixed": (0.7, 0.8, 1.25), "Moving": (0.9, 0.6, 1.5)}


def scan_values(number: int, name: str) -> np.ndarray:
    rng = np.random.default_rng(100 * number + len(name))
    return rng.integers(-1000, 400, SHAPES[name]).astype(np.int16)


def mask_values(number: int, name: str) -> np.ndarray:
    return (scan_values(number, name) < -300).astype(np.uint8)


def write_empire10(root: Path, numbers: tuple[int, ...]) -> Path:
    for number in numbers:
        for name, spacing in SPACINGS.items():
            file = f"{number:02d}_{name}.mhd"
            write_mhd(root / "scans" / file, scan_values(number, name), spacing)
            write_mhd(root / "lungMasks" / file, mask_values(number, name), spacing)
    return root
