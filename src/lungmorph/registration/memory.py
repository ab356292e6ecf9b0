"""What a registration needs of the machine, before anything is computed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import torch

from ..errors import InputError
from ..networks import ModelConfig, choose
from ..space import Grid
from .blocks import BLOCK_VOXELS
from .lattice import lattice
from .presets import Preset

log = logging.getLogger(__name__)

#: Grid of a scan, and a box in it.
Side = tuple[Grid, Grid]

#: Bytes at the peak of a refinement step for every voxel of its lattice, and more for those of the blocks that
#: its threads work on, measured (benchmarks/memory.py prints their sum), with a reserve of a quarter.
REFINE_BYTES, BLOCK_BYTES = 72, 200
#: Likewise for every voxel of both scans, for the copies that are held through all steps.
SCAN_BYTES = 24


def available_bytes(device: str = "cpu") -> int:
    """Memory that this process may still take: of the machine, and of its container if it has one; or of a CUDA device."""
    if torch.device(device).type == "cuda":
        # what torch keeps of what it has used before is there to be used again
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + kept)
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    # no container, or one without a limit ("max"), leaves it at that
    with contextlib.suppress(OSError, ValueError, KeyError):
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        rows = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        cache = int(dict(rows)["inactive_file"])
        free = min(free, limit - used + cache)
    return max(free, 0)


def refine_bytes(sides: Sequence[Side], spacing: float) -> int:
    """Peak of refinements at ``spacing`` mm, one after the other, each over a box of a scan."""
    voxels = max(lattice(scan, region, spacing).voxels for scan, region in sides)
    return REFINE_BYTES * voxels + BLOCK_BYTES * min(voxels, torch.get_num_threads() * BLOCK_VOXELS)


def fit_to_memory(
    preset: Preset,
    fixed: Grid,
    moving: Grid,
    region: Grid,
    config: ModelConfig | None,
    levels: int | None,
    insist: bool,
    device: str = "cpu",
    back: Grid | None = None,
) -> tuple[Preset, int | None, float | None]:
    """The preset, the number of levels and the network's spacing that fit the machine.

    Args:
        preset: asked for.
        fixed, moving: grids of the scans.
        region: box that is worked on.
        config: of the network; None to go without.
        levels: asked for; None to choose.
        insist: the spacing was asked for by name, so that a coarser one is an error, not a choice.
        device: that is worked on.
        back: box of the moving scan that is worked on as well, if one is.

    Raises:
        InputError: nothing fits, or not what was asked for by name: how much is needed, how much there
            is, and the setting that fits.
    """
    free = available_bytes(device) - SCAN_BYTES * (fixed.voxels + moving.voxels)
    sides = [(fixed, region), *([(moving, back)] if back else [])]
    kept = tuple(s for s in preset.scales if refine_bytes(sides, s.spacing) <= free)
    if len(kept) < len(preset.scales):
        wanted = preset.scales[-1].spacing
        needed = refine_bytes(sides, wanted) + SCAN_BYTES * (fixed.voxels + moving.voxels)
        if insist or not kept:
            fits = _finest_that_fits(sides, free)
            raise InputError(
                "memory",
                expected=f"{needed / 1e9:.1f} GB for a refinement at {wanted:g} mm",
                found=f"{available_bytes(device) / 1e9:.1f} GB available",
                do=f"--spacing {fits:g} fits" if fits else "register a smaller region",
            )
        log.warning(
            "memory: %.1f GB are needed for %g mm and %.1f GB are there; refining to %g mm instead",
            needed / 1e9, wanted, available_bytes(device) / 1e9, kept[-1].spacing,
        )  # fmt: skip
        preset = replace(preset, scales=kept)
    if config is None:
        return preset, 0, None
    low, high = region.bounds()
    count, spacing = choose(config, tuple(high - low), max(free, 0), levels=levels)
    if spacing != config.spacing_mm:
        log.warning("memory: the network runs at %g mm instead of %g", spacing, config.spacing_mm)
    return preset, count, spacing


def _finest_that_fits(sides: Sequence[Side], free: int) -> float | None:
    spacings = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    return next((s for s in spacings if refine_bytes(sides, s) <= free), None)
