"""A table of cases and a replica of DIR-Lab with lungs that can be aligned, small, for tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.replicas import dirlab, own

#: Breathing, in voxels along z, of phase k of ten.
REACH = 1.0 - np.cos(2 * np.pi * np.arange(10) / 10)


def chest(seed: int, size: tuple[int, int, int], deeper: float = 0.0) -> np.ndarray:
    """Whole HU, (z, y, x), foot to head: two textured lungs whose base lies ``deeper`` voxels lower."""
    nx, ny, nz = size
    z, y, x = np.mgrid[:nz, :ny, :nx].astype(float)
    u, v = (x - (nx - 1) / 2) / (nx / 2), (y - (ny - 1) / 2) / (ny / 2)
    base = nz / 3.5
    # the height that tissue has at rest: what lies at the base moves all the way, the top not at all
    rest = z + deeper * np.clip((nz - z) / (nz - base), 0, 1)
    hu = np.full((nz, ny, nx), -1000.0)
    hu[u**2 + v**2 < 0.8] = 40.0
    lungs = (np.abs(u) > 0.12) & (u**2 + v**2 < 0.5) & (rest > base) & (rest < nz - 2)
    rng = np.random.default_rng(seed)
    waves = sum(
        np.sin(rng.uniform(0.5, 1.1) * x + rng.uniform(0, 6))
        * np.sin(rng.uniform(0.5, 1.1) * y + rng.uniform(0, 6))
        * np.sin(rng.uniform(0.5, 1.1) * rest + rng.uniform(0, 6))
        for _ in range(4)
    )
    hu[lungs] = (-800 + 90 * waves)[lungs]
    hu[(np.abs(u) < 0.1) & (v > 0.6) & (v < 0.8)] = 600.0
    return np.rint(hu).astype(np.int32)


SIZE = (40, 32, 32)
SPACING = (7.0, 7.0, 7.0)


def write_dirlab(root: Path, numbers: tuple[int, ...]) -> Path:
    """Packages of DIR-Lab 4DCT in their exact layout, ten phases that breathe, four landmarks."""
    for number in numbers:
        for k, phase in enumerate(dirlab.PHASES):
            hu = chest(number, SIZE, float(REACH[k]))
            names = dirlab.ARCHIVE_1 if number == 1 else dirlab.ARCHIVE_2_TO_5
            dirlab.write_image(root / names.image.format(n=number, t=phase), hu)
        points = np.array([[10, 14, 12], [29, 15, 14], [9, 18, 20], [30, 16, 22]])
        for phase, up in (("T00", 0), ("T50", 1)):
            name = names.extremes.format(n=number, t=phase)
            dirlab.write_points(root / name, points + np.array([0, 0, up]), SIZE[2])
    return root


def write_table(folder: Path, patients: int = 4, visits: int = 1) -> Path:
    """A table of pairs with masks and landmarks; every patient comes ``visits`` times."""
    rows = ["id,patient,fixed,moving,fixed_mask,moving_mask,landmarks"]
    for patient in range(patients):
        for visit in range(visits):
            name = f"p{patient}v{visit}"
            files = []
            for side in ("fixed", "moving"):
                files.append(own.write(folder / f"{name}_{side}.mha", own.chest(patient + visit)))
            files += [
                own.write_mask(folder / f"{name}_{side}_mask.mha") for side in ("fixed", "moving")
            ]
            points = own.in_lungs(8, patient)
            files.append(own.write_pairs(folder / f"{name}.csv", points, points))
            rows.append(",".join([name, f"p{patient}", *(path.name for path in files)]))
    (folder / "dataset.csv").write_text("\n".join(rows) + "\n")
    return folder
