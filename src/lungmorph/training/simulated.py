"""Simulated pairs as a training source, on any lattice."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..files import read_image
from ..registration.lungs import lung_mask
from ..registration.prepare import clean_hu
from ..simulate import Anatomy, Draw, Motion, TrainingPairs, load_motion, real_anatomy
from .augment import augmented, crop_to_lung
from .data_config import Augmentation, HeldOut, Simulated

#: Added to the seed for patients that are invented for validation alone.
_HELD_OUT = 1_000_003
_WHERE = "data.sources: options of simulated pairs"
#: A lung is hardly more than six voxels wide then.
_COARSEST_MM = 20.0
#: The lattice that the default ``sizes`` of TrainingPairs are meant for.
_USUAL_MM = inspect.signature(TrainingPairs).parameters["spacing_mm"].default
#: Those of TrainingPairs that a config may set, with their defaults.
_KNOWN = {
    name: parameter.default
    for name, parameter in inspect.signature(TrainingPairs).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in ("device", "procedural")
}
#: The least and the most that makes sense.
_LIMITS = {
    "pool": (1, math.inf),
    "renew_every": (1, math.inf),
    "prealigned": (0, 1),
    "mean_displacement": (0.1, 100),
    "sizes": (8, 1024),
    "collapse": (0, 1),
}


@dataclass(frozen=True)
class _Settings:
    """What the pairs are made from; ``factor`` is that of their lattice."""

    seed: int
    spacing_mm: float
    anatomies: Sequence[Anatomy]
    motions: Sequence[Motion]
    options: dict[str, Any]
    augmentation: Augmentation | None
    patch: int | None
    device: torch.device | str
    factor: int = 1


class SimulatedPairs:
    """:class:`lungmorph.simulate.TrainingPairs`, augmented and cut where asked for, on any lattice."""

    def __init__(self, settings: _Settings) -> None:
        self._settings = settings
        options = dict(settings.options)
        if settings.factor > 1:
            # a coarser lattice of the same region
            options["sizes"] = tuple(max(8, n // settings.factor) for n in options["sizes"])
        self._spacing = settings.spacing_mm * settings.factor
        self._pairs = TrainingPairs(
            settings.seed,
            self._spacing,
            settings.anatomies,
            settings.motions,
            device=settings.device,
            **options,
        )

    def pair(self, step: int) -> dict[str, Tensor]:
        """As :meth:`PairSource.pair`."""
        settings = self._settings
        draw = Draw(settings.seed, step, 23)
        pair = self._pairs.pair(step)
        if settings.augmentation is not None:
            pair = augmented(pair, settings.augmentation, draw, self._spacing)
        if settings.patch is None:
            return pair
        return crop_to_lung(pair, max(settings.patch // settings.factor, 1), draw)

    def at(self, factor: int) -> SimulatedPairs:
        """The same source, made on a coarser lattice rather than averaged."""
        return SimulatedPairs(replace(self._settings, factor=factor))


def check(of: Simulated, spacing_mm: float, divisor: int) -> None:
    """Look at what can be wrong with a config's entry without reading an image.

    Args:
        of: the entry.
        spacing_mm: of the working lattice.
        divisor: of the network.

    Raises:
        InputError: a file that is not there; an option that there is not, or a value that it cannot have; a lattice
            that is too coarse or too small for the network.
    """
    if spacing_mm > _COARSEST_MM:
        raise InputError(
            "model.spacing_mm",
            expected=f"at most {_COARSEST_MM:g} mm for simulated pairs",
            found=f"{spacing_mm:g} mm",
        )
    least = _options(of, spacing_mm)["sizes"][0]
    if least < divisor:
        raise InputError(
            f"{_WHERE}: sizes",
            expected=f"at least {divisor} voxels of {spacing_mm:g} mm a side for these levels",
            found=str(least),
            do="use fewer down-samplings, a smaller model.spacing_mm, or larger sizes",
        )
    for path in (*of.anatomies, *of.motions, *of.validation.anatomies, *of.validation.motions):
        if not path.exists():
            raise InputError(path, expected="a CT or a file of motion", found="no such file")


def training_pairs(
    of: Simulated,
    seed: int,
    spacing_mm: float,
    augmentation: Augmentation,
    patch: int | None,
    device: torch.device | str,
) -> SimulatedPairs:
    """The source that a config's entry describes.

    Raises:
        InputError: a CT or a motion that cannot be read; an option that there is not.
    """
    settings = _Settings(
        seed,
        spacing_mm,
        _anatomies(of.anatomies),
        _motions(of.motions),
        _options(of, spacing_mm),
        augmentation if of.augment else None,
        patch,
        device,
    )
    return SimulatedPairs(settings)


def held_out_pairs(
    of: Simulated, seed: int, spacing_mm: float, device: torch.device | str
) -> list[dict[str, Tensor]]:
    """The validation pairs of a config's entry: patients and motions that training never shows."""
    held: HeldOut = of.validation
    if held.pairs == 0:
        return []
    options = _options(of, spacing_mm) | {"pool": held.pairs}
    settings = _Settings(
        seed + _HELD_OUT,
        spacing_mm,
        _anatomies(held.anatomies),
        _motions(held.motions),
        options,
        None,
        None,
        device,
    )
    source = SimulatedPairs(settings)
    return [source.pair(number) for number in range(held.pairs)]


def _options(of: Simulated, spacing_mm: float) -> dict[str, Any]:
    """Arguments of :class:`TrainingPairs`; a value that it cannot have is refused."""
    # the usual sizes are those of a lattice of 4 mm: chests do not grow with the voxels
    sizes = tuple(max(8, 8 * round(n * _USUAL_MM / spacing_mm / 8)) for n in _KNOWN["sizes"])
    out: dict[str, Any] = {"procedural": of.procedural, "sizes": sizes}
    for name, value in of.options.items():
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.5)
            raise InputError(
                _WHERE,
                expected=", ".join(_KNOWN),
                found=name,
                do=f"did you mean {near[0]!r}?" if near else "",
            )
        if not _fits(name, value):
            usual, (low, high) = _KNOWN[name], _LIMITS[name]
            kind = "whole number" if _whole(usual) else "number"
            form = f"[least, most], each a {kind}" if isinstance(usual, tuple) else f"a {kind}"
            reach = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
            raise InputError(
                f"{_WHERE}: {name}", expected=f"{form} {reach}, such as {usual}", found=repr(value)
            )
        out[name] = tuple(value) if isinstance(value, list) else value
    return out


def _fits(name: str, value: Any) -> bool:
    """Whether an option has the form of its default, and makes sense."""
    usual, (low, high) = _KNOWN[name], _LIMITS[name]
    one = not isinstance(usual, tuple)
    values = [value] if one else value
    if not isinstance(values, (list, tuple)) or len(values) != (1 if one else 2):
        return False
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return False
    if _whole(usual) and not all(isinstance(v, int) for v in values):
        return False
    return all(low <= v <= high for v in values) and values[0] <= values[-1]


def _whole(usual: Any) -> bool:
    return isinstance(usual[0] if isinstance(usual, tuple) else usual, int)


def _anatomies(paths: Sequence[Path]) -> list[Anatomy]:
    volumes = [(path, clean_hu(read_image(path), path)) for path in paths]
    return [real_anatomy(volume, lung_mask(volume, path)) for path, volume in volumes]


def _motions(paths: Sequence[Path]) -> list[Motion]:
    return [load_motion(path) for path in paths]
