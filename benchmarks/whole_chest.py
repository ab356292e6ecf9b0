"""Seconds and memory of a pair as large as clinical scans are, with its report and without.

    python benchmarks/whole_chest.py --size 512 512 300

The chest is invented, at 2.5 mm, and both scans of it are read on a lattice of so many voxels, with noise. Every
registration is a process of its own, from reading to the last file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from lungmorph.evaluation.process import measured
from lungmorph.files import write_image
from lungmorph.simulate import Breath, Draw, breathing_field, simulate_pair, thorax
from lungmorph.space import Grid, Volume

#: Of the chest that is scanned, mm.
HALF_MM = (190.0, 140.0, 150.0)
NOISE_HU = 20.0
SEED = 72


def write_pair(folder: Path, size: tuple[int, int, int]) -> None:
    """`fixed.nii.gz` and `moving.nii.gz`, of so many voxels along (x, y, z)."""
    chest = Grid.covering([-half for half in HALF_MM], HALF_MM, 2.5)
    anatomy = thorax(SEED, chest)
    field = breathing_field(
        Draw(SEED, 1), anatomy.lungs, Breath(diaphragm=20.0, front=5.0, sides=3.0)
    )
    pair = simulate_pair(anatomy, field, SEED, noise_hu=0.0)
    spacing = tuple(2 * half / n for half, n in zip(HALF_MM, size, strict=True))
    first = tuple(step / 2 - half for step, half in zip(spacing, HALF_MM, strict=True))
    noise = torch.Generator().manual_seed(SEED)
    for name in ("fixed", "moving"):
        scan = getattr(pair, name).resample(Grid(size, spacing, first), cubic=True)
        noisy = scan.data + NOISE_HU * torch.randn(scan.data.shape, generator=noise)
        whole = noisy.clamp(-1024, 3000).round().short()
        write_image(Volume(whole, scan.grid), folder / f"{name}.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=3, default=(512, 512, 300))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_pair(folder, tuple(given.size))
        scans = [str(folder / f"{name}.nii.gz") for name in ("fixed", "moving")]
        for title, options in (("without a report", ["--no-report"]), ("with a report", [])):
            command = [sys.executable, "-m", "lungmorph", "register", *scans, *options]
            command += ["-o", str(folder / "out"), "--overwrite", "--threads", str(given.threads)]
            found = measured(command, folder / "log", threads=given.threads)
            if found.code != 0:
                raise SystemExit(f"{title}: {found.last_line}")
            size = "x".join(map(str, given.size))
            print(
                f"{size}, {title}: {found.seconds:.0f} s, {found.peak_mb / 1000:.1f} GB", flush=True
            )


if __name__ == "__main__":
    main()
