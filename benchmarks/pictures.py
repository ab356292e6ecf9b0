"""The pictures of docs/simulate.md.

    python benchmarks/pictures.py docs/images [--spacing 1.5]

Nothing in them is a patient: seeds are given, so anybody gets the same pictures.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import Image

from lungmorph.simulate import (
    Anatomy,
    Breath,
    Draw,
    SimulatedPair,
    acquire,
    breathing_field,
    simulate_pair,
    thorax,
)
from lungmorph.simulate.disease import collapse, with_tumour
from lungmorph.space import Grid, Volume

DPI = 88
HALF_MM = (165.0, 125.0, 155.0)
#: (level, width) in HU
LUNG, SOFT = (-600.0, 1500.0), (40.0, 400.0)


def patient(seed: int, spacing: float) -> Anatomy:
    grid = Grid.covering([-h for h in HALF_MM], HALF_MM, spacing)
    return thorax(seed, grid, twigs=True)


def show(
    axes: Axes, ct: Volume, plane: str, at: float, window: tuple[float, float], title: str = ""
) -> None:
    """One slice as radiologists look at it: the patient's right on the left, head or front up.

    Args:
        plane: axial, coronal or sagittal.
        at: world mm along the axis across the plane.
    """
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    number = int(np.rint(ct.grid.to_index(np.full(3, at))[axis]))
    image = ct.data.select(2 - axis, number).numpy()
    x, y, z = ct.grid.spacing
    steps = {"sagittal": z / y, "coronal": z / x, "axial": y / x}[plane]
    low = window[0] - window[1] / 2
    axes.imshow(
        image,
        cmap="gray",
        vmin=low,
        vmax=low + window[1],
        origin="upper" if plane == "axial" else "lower",
        aspect=steps,
        interpolation="bilinear",
    )
    axes.set_title(title, fontsize=9, color="white", pad=3)
    axes.axis("off")


def save(figure: plt.Figure, path: Path) -> None:
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.94, 0.02, 0.1)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=DPI, facecolor="black")
    plt.close(figure)
    # a palette is a third of the size, and greys need no more
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True)
    print(path, f"{path.stat().st_size / 1000:.0f} kB")


def one_patient(folder: Path, spacing: float, seed: int = 12) -> None:
    anatomy = patient(seed, spacing)
    ct = acquire(anatomy.ct, Draw(seed, 3), noise_hu=18.0, blur_mm=0.6)
    figure, panels = plt.subplots(2, 3, figsize=(11.5, 7.2))
    for row, window in zip(panels, (LUNG, SOFT), strict=True):
        show(row[0], ct, "axial", 15.0, window, "axial, at the hila")
        show(row[1], ct, "axial", -45.0, window, "axial, at the heart")
        show(row[2], ct, "coronal", 20.0, window, "coronal")
    save(figure, folder / "simulated-patient.png")


def one_breath(folder: Path, spacing: float, seed: int = 21) -> None:
    anatomy = patient(seed, spacing)
    motion = Breath(diaphragm=26.0, front=7.0, sides=4.0, random=3.0)
    field = breathing_field(Draw(seed, 9), anatomy.lungs, motion)
    pair = simulate_pair(anatomy, field, seed, noise_hu=18.0)
    figure, panels = plt.subplots(2, 3, figsize=(11.5, 7.0))
    for row, plane, at in zip(panels, ("coronal", "sagittal"), (25.0, -70.0), strict=True):
        show(row[0], pair.moving, plane, at, LUNG, f"{plane}, inhale (moving)")
        show(row[1], pair.fixed, plane, at, LUNG, "exhale (fixed)")
        _arrows(row[2], pair, plane, at)
    save(figure, folder / "simulated-breath.png")


def _arrows(axes: Axes, pair: SimulatedPair, plane: str, at: float) -> None:
    """The displacement from exhale to inhale, every 12 mm."""
    show(axes, pair.fixed, plane, at, LUNG, "from exhale to inhale")
    axis, along = (1, (0, 2)) if plane == "coronal" else (0, (1, 2))
    grid = pair.fixed.grid
    number = int(np.rint(grid.to_index(np.full(3, at))[axis]))
    step = max(1, round(12 / grid.spacing[0]))
    part = pair.truth.data.select(3 - axis, number)[:, ::step, ::step]
    rows, columns = np.mgrid[0 : part.shape[1], 0 : part.shape[2]] * step
    a, b = (part[c].numpy() / grid.spacing[c] for c in along)
    length = np.hypot(a * grid.spacing[along[0]], b * grid.spacing[2])
    axes.quiver(
        columns, rows, a, b, length, cmap="autumn", angles="xy", scale_units="xy", scale=1.0,
        width=0.004,
    )  # fmt: skip


def one_collapse(folder: Path, spacing: float, seed: int = 38) -> None:
    anatomy = patient(seed, spacing)
    made = collapse(Draw(seed, 2), anatomy.lungs, "base", radius_mm=65.0, volume_left=0.35)
    pair = simulate_pair(anatomy, made.field, seed, noise_hu=18.0, consolidation=made.consolidation)
    share = made.consolidation.share
    cells = share.grid.to_world((share.data > 0.5).nonzero().flip(1).numpy()).mean(axis=0)
    figure, panels = plt.subplots(2, 4, figsize=(14.5, 6.6))
    for row, window in zip(panels, (LUNG, SOFT), strict=True):
        for column, (scan, name) in enumerate(
            ((pair.fixed, "collapsed"), (pair.moving, "with air"))
        ):
            show(row[column], scan, "axial", float(cells[2]), window, f"axial, {name}")
            show(row[2 + column], scan, "coronal", float(cells[1]), window, f"coronal, {name}")
    save(figure, folder / "simulated-collapse.png")


def one_tumour(folder: Path, spacing: float, seed: int = 41) -> None:
    before = patient(seed, spacing)
    anatomy = with_tumour(before, 17.0, 3)
    changed = (anatomy.ct.data - before.ct.data).abs() > 200
    middle = anatomy.ct.grid.to_world(changed.nonzero().flip(1).numpy()).mean(axis=0)
    figure, panels = plt.subplots(1, 3, figsize=(12.5, 4.2))
    for axes, thickness in zip(panels[:2], (None, 5.0), strict=True):
        noise = 22.0 if thickness is None else 10.0
        ct = acquire(anatomy.ct, Draw(seed, 3), noise, 0.6, thickness)
        name = "thin slices" if thickness is None else "5 mm slices"
        show(axes, ct, "coronal", float(middle[1]), LUNG, f"tumour, {name}")
    show(panels[2], ct, "axial", float(middle[2]), LUNG, "axial, 5 mm")
    save(figure, folder / "simulated-tumour.png")


PICTURES = {
    "patient": one_patient,
    "breath": one_breath,
    "collapse": one_collapse,
    "tumour": one_tumour,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spacing", type=float, default=1.5, help="mm")
    parser.add_argument("--only", choices=PICTURES, action="append")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for name in given.only or PICTURES:
        PICTURES[name](given.folder, given.spacing)


if __name__ == "__main__":
    main()
