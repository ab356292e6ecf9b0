"""What ``lungmorph info`` says, as JSON-ready dictionaries: flat facts, and lists of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import list_series, read_image, read_transform
from ..files.transforms import flat_parts
from ..space import Affine, Composite, DisplacementField, Grid, Transform

#: what ITK and 3D Slicer call the way in which an axis runs
_WAYS = (("L", "R"), ("P", "A"), ("S", "I"))


def folder(path: Path) -> dict[str, Any]:
    """The series of a DICOM folder.

    Raises:
        InputError: no DICOM image in it.
    """
    found = list_series(path)
    if not found:
        raise InputError(path, expected="a folder with DICOM images", found="none in it")
    rows = [
        {
            "number": one.number,
            "description": one.description,
            "modality": one.modality,
            "slices": len(one.files),
            "columns_x_rows": f"{one.size[0]}x{one.size[1]}",
            "uid": one.uid,
        }
        for one in found
    ]
    return {"kind": "DICOM folder", "series": rows}


def image(path: Path, series: str | None = None) -> dict[str, Any]:
    """Grid, values, whether they are HU, and the lungs if it shows any."""
    from ..registration.lungs import lung_mask
    from ..registration.prepare import clean_hu

    volume = read_image(path, series)
    data = volume.data
    sample = data.flatten()[:: max(1, data.numel() // 1_000_000)].numpy()
    low, middle, high = (float(v) for v in np.percentile(sample, (1, 50, 99)))
    said: dict[str, Any] = {
        "kind": "image",
        **_grid(volume.grid),
        "values": f"{float(data.min()):g} to {float(data.max()):g}"
        f" (1 %, median, 99 %: {low:.0f}, {middle:.0f}, {high:.0f})",
    }
    try:
        ct = clean_hu(volume, path.name)
    except InputError as error:
        return {**said, "CT_in_HU": f"no: found {error.found}; {error.do}"}
    said["CT_in_HU"] = "yes"
    try:
        lungs = lung_mask(ct, path.name)
    except InputError as error:
        return {**said, "lungs": f"none found: {error.found}"}
    liters = float(lungs.data.sum()) * lungs.grid.voxel_volume / 1e6
    return {**said, "lungs": f"{liters:.2f} l in view"}


def transform(path: Path) -> dict[str, Any]:
    """Kind, grid, size of the displacements, folding."""
    found = read_transform(path)
    if isinstance(found, Composite):
        rows = [{"step": n, **_one(part)} for n, part in enumerate(flat_parts(found), 1)]
        heads = list(dict.fromkeys(name for row in rows for name in row))
        return {
            "kind": "composite transform, fixed to moving points",
            "parts_in_order": [{head: row.get(head, "") for head in heads} for row in rows],
        }
    return _one(found)


def _one(found: Transform) -> dict[str, Any]:
    if isinstance(found, Affine):
        return {
            "kind": "affine, fixed to moving points",
            "translation_mm": ", ".join(f"{t:.3f}" for t in found.translation),
            "volume_change": f"{float(np.linalg.det(found.linear)):.4f}",
        }
    assert isinstance(found, DisplacementField)
    length = found.data.norm(dim=0)
    ends = [
        f"{axis} {float(part.min()):.1f} to {float(part.max()):.1f}"
        for axis, part in zip("xyz", found.data, strict=True)
    ]
    jacobian = found.jacobian().data
    folded = int((jacobian <= 0).sum())
    return {
        "kind": "displacement field, fixed to moving points",
        **_grid(found.grid),
        "displacement_mm": f"mean {float(length.mean()):.2f}, largest {float(length.max()):.2f}",
        "along_axes_mm": ", ".join(ends),
        "jacobian": f"{float(jacobian.min()):.3f} to {float(jacobian.max()):.3f}",
        "folded": f"{folded} of {jacobian.numel()} points",
    }


def model(
    name: str, extent_mm: tuple[float, float, float], spacing: float | None
) -> dict[str, Any]:
    """Architecture, card, the cost of every level on a region, and what fits this machine."""
    import psutil

    from ..networks import choose, lattice_shape, load_model, measure

    network, config, card = load_model(name)
    step = config.spacing_mm if spacing is None else spacing
    if not 0.5 <= step <= 20:
        raise InputError("--spacing", expected="0.5 to 20 mm", found=f"{step:g} mm")
    shape = lattice_shape(extent_mm, step)
    costs = measure(config, shape)
    available = int(psutil.virtual_memory().available)
    try:
        levels, chosen = choose(config, extent_mm, available, spacing_mm=spacing)
        fits = f"{levels} level(s) at {chosen:g} mm"
    except InputError as error:
        fits = f"not this: {error}"
    return {
        "kind": f"{config.kind} network",
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained_at": f"{config.spacing_mm:g} mm, window {config.window_hu[0]:g} to {config.window_hu[1]:g} HU",
        "lattice": "x".join(str(n) for n in reversed(shape)) + f" at {step:g} mm",
        "memory_available": f"{available / 1e9:.1f} GB",
        "fits_this_machine": fits,
        "levels": [
            {
                "level": cost.level,
                "parameters": cost.parameters,
                "multiply_adds": f"{cost.multiply_adds / 1e9:.2f} G",
                "peak_memory_up_to_it": f"{cost.peak_bytes / 1e6:.0f} MB",
            }
            for cost in costs
        ],
        "card": card,
    }


def error_network(path: str | None) -> dict[str, Any]:
    """A network that predicts errors, the one that ships if there is no path: what it is and its card."""
    from ..quality.error_features import SPACING_MM
    from ..quality.error_weights import load_error_network

    network, card = load_error_network(path)
    return {
        "kind": "error network",
        "parameters": sum(p.numel() for p in network.parameters()),
        "works_at": f"{SPACING_MM:g} mm",
        "sees": ", ".join(network.config.channels),
        "temperature": round(network.config.temperature, 3),
        "card": card,
    }


def _grid(grid: Grid) -> dict[str, str]:
    said = {
        "size": "x".join(str(n) for n in grid.size) + " voxels (x, y, z)",
        "spacing": "x".join(f"{s:.4g}" for s in grid.spacing) + " mm",
        "origin": ", ".join(f"{o:.2f}" for o in grid.origin) + " mm (LPS)",
        "orientation": orientation(grid),
    }
    if said["orientation"].endswith("(oblique)"):
        said["direction"] = str(np.round(grid.direction, 4).tolist())
    return said


def orientation(grid: Grid) -> str:
    """The way in which each index axis runs, as three letters: LPS for an ordinary axial CT."""
    axes = np.asarray(grid.direction)
    letters = ""
    for column in axes.T:
        main = int(np.abs(column).argmax())
        letters += _WAYS[main][0 if column[main] > 0 else 1]
    return letters + ("" if np.abs(axes).max(axis=0).min() > 1 - 1e-4 else " (oblique)")
