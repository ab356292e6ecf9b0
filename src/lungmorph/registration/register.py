"""The page to read first: what happens between two scans and the displacement of every point."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from .. import __version__
from ..errors import InputError
from ..files import read_image, read_mask
from ..networks import DEFAULT_NAME, ModelConfig, RegistrationNetwork, load_model
from ..space import Affine, DisplacementField, Landmarks, Volume
from ..threads import side_by_side
from .both_ways import both_ways
from .coarse import predict
from .displacement import Displacement, nothing, sampled
from .finish import finish
from .given_landmarks import check_landmarks
from .memory import fit_to_memory
from .on_device import on_device
from .prealign import prealign
from .prepare import Prepared, prepare
from .presets import CHECK_MM, PRESETS, Preset
from .refine import refine
from .result import Registration
from .search import search
from .starts import best_start, confirmed

log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
Step = Callable[[str], None]


def register(
    fixed: Volume | str | Path,
    moving: Volume | str | Path,
    *,
    preset: str = "default",
    fixed_mask: Volume | str | Path | None = None,
    moving_mask: Volume | str | Path | None = None,
    landmarks: tuple[Landmarks, Landmarks] | None = None,
    model: str | Path | None = None,
    levels: int | None = None,
    spacing: float | None = None,
    or_coarser: bool = False,
    device: str = "cpu",
    progress: Progress | None = None,
    names: tuple[str, str] | None = None,
) -> Registration:
    """Find where every point of the lung in ``fixed`` lies in ``moving``.

    Args:
        fixed, moving: CT of one patient's chest in HU, as volumes or files; any geometry.
        preset: "fast" (network alone), "default" (refined on the pair itself) or "accurate" (there and back).
        fixed_mask, moving_mask: lungs, if there are better ones than the automatic.
        landmarks: (fixed, moving), in LPS mm; never used to register, only to report the error.
        model: shipped weights by name, or a file; the default weights if None.
        levels: run only the first so many levels of the network; 0 leaves the network out.
        spacing: mm of the finest lattice that the refinement works on.
        or_coarser: than ``spacing``, where memory is short; else that is an error.
        device: for the network, the refinement and all after it, as torch names it; what comes before is done on the CPU.
        progress: called as progress(what, share done).
        names: what to call the scans in errors and in the result, if not by their files.

    Returns:
        The transform maps fixed points to moving points, LPS mm (ITK's convention).

    Raises:
        InputError: something about the input, told in one line.
    """
    work = _preset(preset, spacing)
    network, config = (None, None) if levels == 0 else _network(model)
    clock = _Clock(progress)

    with clock.step("read"):
        called = names or (_name(fixed, "fixed image"), _name(moving, "moving image"))
        fixed, moving = side_by_side(_image, (fixed, moving))
        fixed_mask, moving_mask = _mask(fixed_mask, fixed), _mask(moving_mask, moving)
        if landmarks is not None:
            check_landmarks(landmarks, fixed.grid, moving.grid)

    with clock.step("prepare"):
        pair = prepare(fixed, moving, fixed_mask, moving_mask, called)

    with clock.step("prealign"):
        affine = prealign(pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs, called)

    if spacing is None:
        work = work.resolved_by(pair.fixed.grid.spacing, pair.moving.grid.spacing)
    insist = spacing is not None and not or_coarser
    work, levels, network_mm = fit_to_memory(
        work, pair.fixed.grid, pair.moving.grid, pair.region, config, levels, insist, device,
        pair.swapped().region if work.both_ways else None,
    )  # fmt: skip

    # the result has the scans as they are, on the CPU
    here = pair.to(device)
    answer: Displacement | None = None
    if network is not None and config is not None:
        with clock.step("network"), on_device(device):
            v, grid = predict(
                network, config, here.fixed, here.moving, affine, here.region,
                levels=levels, spacing=network_mm, device=device,
            )  # fmt: skip
            answer = sampled(v, grid)

    with clock.step("refine"):
        with on_device(device):
            displacement, coarse = _refined(here, affine, work, answer, clock)
        if work.both_ways:
            displacement = both_ways(here, affine, work, displacement, device, clock.within)

    def finished(displacement: Displacement) -> tuple[DisplacementField, int]:
        with on_device(device):
            return finish(pair.fixed.grid, affine, displacement, work.field_mm)

    with clock.step("finish"):
        transform, mended = finished(displacement)

    return Registration(
        fixed=pair.fixed,
        moving=pair.moving,
        fixed_lungs=pair.fixed_lungs,
        moving_lungs=pair.moving_lungs,
        transform=transform,
        prealigned=affine,
        coarse=coarse and (lambda: finished(coarse)[0]),
        settings={
            "lungmorph": __version__,
            "torch": torch.__version__,
            "fixed": str(called[0]),
            "moving": str(called[1]),
            "preset": preset,
            "model": None if network is None else str(model or DEFAULT_NAME),
            "levels": levels,
            "network_mm": network_mm,
            "finest_mm": work.scales[-1].spacing if work.scales else None,
            "field_mm": work.field_mm,
            "device": device,
            "unfolded_voxels": mended,
        },
        seconds=clock.seconds,
        landmarks=landmarks,
    )


def _refined(
    pair: Prepared, affine: Affine, work: Preset, answer: Displacement | None, clock: _Clock
) -> tuple[Displacement, Displacement | None]:
    """What the refinement makes of the network's answer, and what it had at ``CHECK_MM``, if it came by there."""
    if not work.scales:
        return answer or nothing, None
    guesses = _guesses(pair, affine, work, answer)
    clock.plan(work, len(guesses))
    start = best_start(pair, affine, work.coarse, guesses, clock.within)
    if not work.fine:
        return start, None
    return _through_fine_scales(pair, affine, work, start, clock.within)


def _guesses(
    pair: Prepared, affine: Affine, work: Preset, answer: Displacement | None
) -> dict[str, Displacement]:
    """What the preset begins with, by name; without a network there is no answer to begin with.

    The network's answer alone, where a search around it finds no other.
    """
    made: dict[str, Displacement] = {}
    for name in work.starts:
        if name == "search":
            found, blocks = search(pair, affine, answer or nothing)
            if "network" in made and confirmed(pair, affine, made["network"], found, blocks):
                log.info("start: network, as the search around it confirms")
                return {"network": made["network"]}
            made[name] = sampled(found, blocks)
        elif name == "pre-alignment":
            made[name] = nothing
        elif answer is not None:
            made[name] = answer
    return made or {"pre-alignment": nothing}


def _through_fine_scales(
    pair: Prepared, affine: Affine, work: Preset, start: Displacement, progress: Step
) -> tuple[Displacement, Displacement | None]:
    """What the fine scales find, and what those down to ``CHECK_MM`` do, if one is at it."""
    down_to = [n for n, scale in enumerate(work.fine) if scale.spacing == CHECK_MM]
    if not down_to:
        return refine(pair, affine, work.fine, start, progress).on, None
    first, rest = work.fine[: down_to[0] + 1], work.fine[down_to[0] + 1 :]
    coarse = refine(pair, affine, first, start, progress).on
    return refine(pair, affine, rest, coarse, progress).on if rest else coarse, coarse


def _network(model: str | Path | None) -> tuple[RegistrationNetwork, ModelConfig]:
    network, config, _ = load_model(model or DEFAULT_NAME)
    return network, config


def _preset(preset: str, spacing: float | None) -> Preset:
    if preset not in PRESETS:
        raise InputError("preset", expected=f"one of {', '.join(PRESETS)}", found=repr(preset))
    chosen = PRESETS[preset]
    if spacing is None:
        return chosen
    if not 0.5 <= spacing <= 10:
        raise InputError("spacing", expected="0.5 to 10 mm", found=f"{spacing:g} mm")
    if not chosen.scales:
        raise InputError(
            "spacing",
            expected="a preset that refines",
            found=f"preset {preset!r}",
            do="leave out the spacing, or use --preset default",
        )
    return chosen.with_spacing(spacing)


def _name(image: Volume | str | Path, otherwise: str) -> object:
    return otherwise if isinstance(image, Volume) else image


def _image(image: Volume | str | Path) -> Volume:
    if isinstance(image, Volume):
        return image
    return read_image(image)


def _mask(mask: Volume | str | Path | None, like: Volume) -> Volume | None:
    if mask is None or isinstance(mask, Volume):
        return mask
    return read_mask(mask, like)


#: usual share of the time at the end of each step, for the progress bar
_ENDS = {
    "read": 0.05,
    "prepare": 0.12,
    "prealign": 0.17,
    "network": 0.3,
    "refine": 0.95,
    "finish": 1.0,
}


class _Clock:
    """Times the steps and reports how far the whole is."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._done = 0.0
        self._costs: list[float] = []
        self._taken = 0

    def plan(self, preset: Preset, starts: int) -> None:
        """Which steps of the refinement there will be; each costs as the number of voxels it looks at."""
        back = preset.scales[-1:] if preset.both_ways else ()
        scales = (*preset.coarse * starts, *preset.fine, *back)
        self._costs = [scale.spacing**-3 for scale in scales for _ in range(scale.steps)]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        if self._progress:
            self._progress(name, self._done)
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begin, 3)
        self._done = _ENDS[name]
        log.info("%s: %.2f s", name, self.seconds[name])

    def within(self, what: str) -> None:
        """One more step of the refinement begins."""
        if self._progress:
            share = sum(self._costs[: self._taken]) / sum(self._costs)
            low, high = _ENDS["network"], _ENDS["refine"]
            self._progress(what, low + share * (high - low))
        self._taken += 1
