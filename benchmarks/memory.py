"""Peak memory of a refinement step for every voxel of its lattice: the figures of registration/memory.py.

python benchmarks/memory.py
"""

from __future__ import annotations

import resource
import subprocess
import sys

SIZES = (150, 200, 250)


def child(millimetres: int) -> None:
    import torch

    from lungmorph.registration.prepare import Prepared
    from lungmorph.registration.refine import refine
    from lungmorph.registration.scale import Scale
    from lungmorph.space import Affine, Grid, Volume

    grid = Grid.covering((0.0,) * 3, (millimetres,) * 3, 1.5)
    noise = torch.rand(grid.shape, generator=torch.Generator().manual_seed(0)) * 800 - 950
    volume, lungs = Volume(noise, grid), Volume(noise < 0, grid)
    pair = Prepared(volume, volume, lungs, lungs, grid)
    refine(pair, Affine.identity(), [Scale(6, 18, 12, 3.0, 1)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scale = Scale(spacing=1.5, control=4.5, window=4.5, bending=3.0, steps=1, cubic=True)
    refine(pair, Affine.identity(), [scale])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{grid.voxels:>12,} voxels: {1024 * (after - before) / grid.voxels:.0f} bytes a voxel")


def main() -> None:
    for size in SIZES:
        subprocess.run([sys.executable, __file__, str(size)], check=True)


if __name__ == "__main__":
    child(int(sys.argv[1])) if len(sys.argv) > 1 else main()
