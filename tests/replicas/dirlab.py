"""Write DIR-Lab's packages as they lie on the disk, with numpy and text only.

Truth is kept upright: ``hu[k, j, i]`` with k from foot to head, landmarks as 0-based (i, j, k) of that
array. The files have slices from head to foot and count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SIZE = (24, 20, 16)
SPACING = (1.5, 1.25, 2.5)
PHASES = tuple(f"T{p:02d}" for p in range(0, 100, 10))


@dataclass(frozen=True)
class Names:
    """One of the ways in which a package is laid out; ``{n}`` is the case, ``{t}`` the phase."""

    image: str
    extremes: str
    sampled: str


#: As they come out of the archives, and as people keep them.
ARCHIVE_1 = Names(
    "Case{n}Pack/Images/case{n}_{t}_s.img",
    "Case{n}Pack/ExtremePhases/Case{n}_300_{t}_xyz.txt",
    "Case{n}Pack/Sampled4D/case{n}_4D-75_{t}.txt",
)
ARCHIVE_2_TO_5 = Names(
    "Case{n}Pack/Images/case{n}_{t}-ssm.img",
    "Case{n}Pack/ExtremePhases/Case{n}_300_{t}_xyz.txt",
    "Case{n}Pack/Sampled4D/Case{n}_4D-75_{t}.txt",
)
ARCHIVE_6_TO_10 = Names(
    "Case{n}Pack/Images/case{n}_{t}.img",
    "Case{n}Pack/extremePhases/case{n}_dirLab300_{t}_xyz.txt",
    "Case{n}Pack/Sampled4D/case{n}_4D-75_{t}.txt",
)
ARCHIVE_8_NESTED = Names(
    "4DCT/Case{n}Pack/Case{n}Deploy/images/case{n}_{t}.img",
    "4DCT/Case{n}Pack/Case{n}Deploy/extremePhases/case{n}_dirLab300_{t}_xyz.txt",
    "4DCT/Case{n}Pack/Case{n}Deploy/sampled4D/case{n}_4D75_{t}.txt",
)
ONE_FOLDER_UPPER = Names(
    "CASE0{n}_{t}_S.IMG", "CASE0{n}_DIRLAB300_{t}_XYZ.TXT", "CASE0{n}_4D-75_{t}_XYZ.TXT"
)
VARIANTS = {
    "case 1 of the archive": ARCHIVE_1,
    "cases 2 to 5": ARCHIVE_2_TO_5,
    "cases 6 to 10": ARCHIVE_6_TO_10,
    "case 8, unpacked twice": ARCHIVE_8_NESTED,
    "one folder, capitals": ONE_FOLDER_UPPER,
}


def chest(seed: int = 0, size: tuple[int, int, int] = SIZE) -> np.ndarray:
    """Whole HU, (z, y, x), foot to head: air, body, two lungs that end above the lower slices, a spine."""
    nx, ny, nz = size
    z, y, x = np.mgrid[:nz, :ny, :nx].astype(float)
    u, v = (x - (nx - 1) / 2) / (nx / 2), (y - (ny - 1) / 2) / (ny / 2)
    hu = np.full((nz, ny, nx), -1000.0)
    hu[u**2 + v**2 < 0.8] = 40.0
    hu[(np.abs(u) > 0.15) & (u**2 + v**2 < 0.45) & (z > nz / 4)] = -820.0
    hu[(np.abs(u) < 0.12) & (v > 0.6) & (v < 0.8)] = 600.0
    hu += np.random.default_rng(seed).normal(0, 12, hu.shape)
    return np.maximum(np.rint(hu), -1024).astype(np.int32)


def write_image(path: Path, hu: np.ndarray, offset: int = 1024, dtype: str = "<i2") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((hu[::-1] + offset).astype(dtype).tobytes())


def write_points(path: Path, ijk: np.ndarray, slices: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{i + 1}\t{j + 1}\t{slices - k}\r\n" for i, j, k in np.asarray(ijk).tolist()]
    path.write_bytes("".join(lines).encode("ascii"))


@dataclass
class Replica:
    """What was written: by phase, voxels and landmarks."""

    root: Path
    hu: dict[str, np.ndarray]
    extremes: dict[str, np.ndarray]
    sampled: dict[str, np.ndarray]
    files: dict[tuple[str, str], Path] = field(default_factory=dict)


def write_4dct(
    root: Path, number: int, names: Names, size: tuple[int, int, int] = SIZE, offset: int = 1024
) -> Replica:
    """One package with ten phases, 30 extreme and 9 sampled landmarks."""
    rng = np.random.default_rng(number)
    made = Replica(root, {}, {}, {})
    for n, phase in enumerate(PHASES):
        made.hu[phase] = chest(10 * number + n, size)
        path = root / names.image.format(n=number, t=phase)
        write_image(path, made.hu[phase], offset)
        made.files["image", phase] = path
    low, high = np.zeros(3, int), np.asarray(size)
    for kind, truth, phases, count in (
        ("extremes", made.extremes, ("T00", "T50"), 30),
        ("sampled", made.sampled, PHASES[:6], 9),
    ):
        for phase in phases:
            truth[phase] = rng.integers(low, high, (count, 3))
            pattern = names.extremes if kind == "extremes" else names.sampled
            path = root / pattern.format(n=number, t=phase)
            write_points(path, truth[phase], size[2])
            made.files[kind, phase] = path
    return made


def write_copd(
    root: Path, number: int, folder: str, size: tuple[int, int, int] = SIZE, offset: int = 1024
) -> Replica:
    """One pair with 30 landmarks; ``folder`` with ``{n}`` for the case."""
    rng = np.random.default_rng(number)
    made = Replica(root, {}, {}, {})
    for letter, scan in (("i", "inhale"), ("e", "exhale")):
        below = root / folder.format(n=number)
        made.hu[scan] = chest(100 * number + ord(letter), size)
        made.extremes[scan] = rng.integers((0, 0, 0), size, (30, 3))
        made.files["image", scan] = below / f"copd{number}_{letter}BHCT.img"
        made.files["extremes", scan] = below / f"copd{number}_300_{letter}BH_xyz_r1.txt"
        write_image(made.files["image", scan], made.hu[scan], offset)
        write_points(made.files["extremes", scan], made.extremes[scan], size[2])
    return made
