"""Pairs of real scans as the network sees them, prepared as registration does, and kept on disk.

The pre-alignment is that of registration for a case's default pair; other pairs go by way of its fixed scan.

A pair is one safetensors file with the images on the working lattice, the moving one seen through the
affine pre-alignment, their lungs, the landmarks of both as indices of that lattice, and the linear part
of the pre-alignment, which says how long their distances are in the moving scan.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..datasets import Case, Scan
from ..datasets.masks import lungs_of
from ..datasets.scan_files import ages
from ..errors import InputError
from ..files import replacing
from ..space import Affine, Grid
from ..space.grid import Float
from ..space.sampling import sample_carried

log = logging.getLogger(__name__)

#: Of the preparation; another number makes every kept file anew.
VERSION = 3


@dataclass(frozen=True)
class CasePair:
    """Two scans of one case, and the file of the prepared pair."""

    case: Case
    fixed: str
    moving: str
    path: Path

    @property
    def name(self) -> str:
        """For people: case, fixed and moving scan."""
        return f"{self.case.id} {self.fixed}-{self.moving}"


def load_pair(path: Path) -> dict[str, Tensor]:
    """A prepared pair as a source gives it (see :class:`~lungmorph.training.PairSource`).

    Besides, ``to_moving`` (3, 3): from lengths on the lattice to lengths in the moving scan.
    """
    read = load_file(path)
    out = {name: read[name].float() for name in ("fixed", "moving")}
    out |= {name: read[name].bool() for name in ("fixed_mask", "moving_mask")}
    kept = ("fixed_points", "moving_points", "to_moving")
    out |= {name: read[name] for name in kept if name in read}
    return out


def case_pair(case: Case, fixed: str, moving: str, spacing_mm: float, cache: Path) -> CasePair:
    """Where the prepared pair is, or will be, kept: the name changes with the files it is made of."""
    facts = [str(VERSION), f"{spacing_mm:g}", case.id, fixed, moving]
    for scan in (case.scan(fixed), case.scan(moving)):
        facts += [repr(scan.grid), *ages(scan)]
    marks = case.landmarks(fixed, moving)
    if marks is not None:
        facts += [hashlib.sha256(side.points.tobytes()).hexdigest() for side in marks]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:24]
    return CasePair(case, fixed, moving, cache / f"{key}.safetensors")


def prepare_pairs(
    pairs: list[CasePair],
    spacing_mm: float,
    divisor: int,
    progress: Callable[[str, float], None] | None = None,
) -> None:
    """Make the files of all pairs that are not there yet, and look at each.

    Args:
        pairs: pairs of one case best one after another: its scans are then read once.
        spacing_mm: of the working lattice.
        divisor: of the network; a lattice that is smaller along an axis is refused.
        progress: called as progress(what, share done).

    Raises:
        InputError: a scan that cannot be read, is no CT, shows no lung, or is too small.
    """
    scans: _Scans | None = None
    for done, pair in enumerate(pairs):
        if progress:
            progress(f"prepare {pair.name}", done / len(pairs))
        shape = _shape(pair.path)
        if shape is None:
            if scans is None or scans.case is not pair.case:
                scans = _Scans(pair.case, spacing_mm)
            made = _made(pair, scans)
            shape = tuple(made["fixed"].shape[2:])
            pair.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(pair.path) as temporary:
                save_file(made, temporary)
        if min(shape) < divisor:
            raise InputError(
                pair.case.scan(pair.fixed).source,
                expected=f"at least {divisor} voxels of {spacing_mm:g} mm a side for these levels",
                found=f"lungs in {shape[2]} x {shape[1]} x {shape[0]}",
                do="use fewer down-samplings or a smaller model.spacing_mm, or leave the case out",
            )


class _Reduced:
    """A scan as both pre-alignment and lattice want it: checked, averaged, with its lungs."""

    def __init__(self, scan: Scan, spacing_mm: float) -> None:
        from ..registration.prepare import clean_hu

        image = clean_hu(scan.load(), scan.source)
        self.lungs = lungs_of(scan, image)
        if not bool(self.lungs.data.any()):
            raise InputError(scan.source, expected="a lung mask with lung in it", found="none")
        self.image = image.reduce(spacing_mm)
        self.source = scan.source


class _Scans:
    """The scans of one case, each read and pre-aligned once."""

    def __init__(self, case: Case, spacing_mm: float) -> None:
        self.case, self.spacing_mm = case, spacing_mm
        self._scans: dict[str, _Reduced] = {}
        self._affines: dict[str, Affine] = {}

    def scan(self, name: str) -> _Reduced:
        """Read when it is first asked for."""
        if name not in self._scans:
            self._scans[name] = _Reduced(self.case.scan(name), self.spacing_mm)
        return self._scans[name]

    def affine(self, fixed: str, moving: str) -> Affine:
        """Fixed points to moving points, by way of the case's fixed scan: 90 pairs of ten phases ask for
        nine alignments."""
        return self._from_the_middle(moving).after(self._from_the_middle(fixed).inverse())

    def _from_the_middle(self, name: str) -> Affine:
        from ..registration.prealign import prealign

        if name == self.case.fixed:
            return Affine.identity()
        if name not in self._affines:
            middle, other = self.scan(self.case.fixed), self.scan(name)
            self._affines[name] = prealign(
                middle.image,
                other.image,
                middle.lungs,
                other.lungs,
                (middle.source, other.source),
            )
        return self._affines[name]


def _made(pair: CasePair, scans: _Scans) -> dict[str, Tensor]:
    from ..registration.prepare import MARGIN_MM, lung_bounds

    fixed, moving, spacing_mm = scans.scan(pair.fixed), scans.scan(pair.moving), scans.spacing_mm
    affine = scans.affine(pair.fixed, pair.moving)
    low, high = Grid.covering(*lung_bounds(fixed.lungs), 2.0, margin=MARGIN_MM).bounds()
    grid = Grid.covering(low, high, spacing_mm)
    lungs, ct = moving.lungs, moving.image
    moving_lungs = sample_carried(
        lungs.data.float()[None], lungs.grid, grid, affine.matrix, None, "nearest", 0.0
    )
    made = {
        "fixed": _stored(fixed.image.resample(grid).data),
        "moving": _stored(sample_carried(ct.data[None], ct.grid, grid, affine.matrix)[0]),
        "fixed_mask": fixed.lungs.resample(grid).data.to(torch.uint8)[None, None],
        "moving_mask": (moving_lungs > 0.5).to(torch.uint8)[None],
    }
    made["to_moving"] = torch.as_tensor(affine.linear, dtype=torch.float32)
    marks = pair.case.landmarks(pair.fixed, pair.moving)
    if marks is not None:
        made["fixed_points"] = _index(grid, marks[0].points, Affine.identity())
        # the moving image is seen through the affine: its points are where the affine takes them from
        made["moving_points"] = _index(grid, marks[1].points, affine.inverse())
    log.info("prepared %s: lattice %s", pair.name, grid.size)
    return {name: value.contiguous() for name, value in made.items()}


def _stored(hu: Tensor) -> Tensor:
    return hu.round().clamp(-32768, 32767).to(torch.int16)[None, None]


def _index(grid: Grid, points: Float, affine: Affine) -> Tensor:
    return torch.as_tensor(grid.to_index(affine.apply(points)), dtype=torch.float32)


def _shape(path: Path) -> tuple[int, ...] | None:
    """Of a prepared pair; None where there is none, or a damaged one."""
    try:
        with safe_open(path, framework="pt") as file:
            return tuple(file.get_slice("fixed").get_shape()[2:])
    except (OSError, SafetensorError):
        return None
