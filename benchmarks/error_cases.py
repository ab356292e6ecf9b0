"""Registrations whose error is known everywhere, wrong in the ways that registrations are: to train the error network.

    python benchmarks/error_cases.py FOLDER --split train --pairs 60 [--rivals greedy --rivals-python PYTHON]

Every pair is simulated (an invented or a real chest, an invented breath or the motion of a real patient, two scanners, at times
contrast in one scan or a part of a lung without air) and registered several times: well, stopped early, too stiff, too loose, by the first level alone, from a wrong start, too smooth to
slide, off in one place, or not wrong at all; and by other tools, if asked. Of each attempt the features that the network sees are kept, with the
true error. Splits share no anatomy and no motion. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from cases import KEYPOINTS, LUNG1, LUNG2, data_folder
from lungmorph.evaluation.methods import PairFiles, rival_methods
from lungmorph.files import read_image, read_transform, replacing, write_image
from lungmorph.networks import load_model
from lungmorph.ops import gaussian, length
from lungmorph.quality.error_features import error_features, error_lattice
from lungmorph.registration.backward import register_back
from lungmorph.registration.coarse import predict
from lungmorph.registration.lungs import lung_mask
from lungmorph.registration.prealign import prealign
from lungmorph.registration.prepare import Prepared, prepare
from lungmorph.registration.presets import PRESETS
from lungmorph.registration.refine import Scale, refine
from lungmorph.registration.search import search
from lungmorph.simulate import (
    Anatomy,
    Breath,
    Draw,
    SimulatedPair,
    breathing_field,
    collapse,
    load_motion,
    random_field,
    real_anatomy,
    simulate_pair,
    thorax,
)
from lungmorph.space import Affine, DisplacementField, Grid, Transform, Volume
from lungmorph.space.sampling import sample_world, world_points

#: Real anatomies and numbers of real motions of each split; invented patients have seeds of their own.
ANATOMIES = {
    "train": (LUNG1, "slicerio_CTChest4", "cip_ct64"),
    "validation": (),
    "test": (LUNG2,),
}
MOTIONS = {"train": range(1, 13), "validation": range(13, 16), "test": range(16, 21)}
FIRST_SEED = {"train": 300_000, "validation": 400_000, "test": 500_000}
#: Of the simulated scans, mm.
SPACINGS = ((2.0, 2.0, 2.0), (1.8, 1.8, 2.5), (2.5, 2.5, 2.5), (1.8, 1.8, 4.0))

Displacement = Callable[[Grid], Tensor]


def simulated(split: str, number: int) -> SimulatedPair:
    """Pair ``number`` of a split."""
    draw = Draw(FIRST_SEED[split] + number, 21)
    spacing = SPACINGS[draw.integer(0, len(SPACINGS))]
    anatomy = _anatomy(split, number, spacing, draw)
    grid = anatomy.ct.grid
    data = data_folder()
    if data is not None and draw.chance(0.6):
        numbers = MOTIONS[split]
        motion = load_motion(
            data / "motion" / KEYPOINTS.format(numbers[draw.integer(0, len(numbers))])
        )
        field = motion.field_on(grid, anatomy.lungs, amplitude=draw.uniform(0.4, 1.2))
    else:
        field = breathing_field(draw, anatomy.lungs, Breath.drawn(draw))
    airless = collapse(draw, anatomy.lungs) if draw.chance(0.15) else None
    if airless is not None:
        field = airless.after(field)
    moving_grid = None
    if draw.chance(0.3):
        x, y, _ = grid.spacing
        moving_grid = grid.with_spacing((x, y, draw.uniform(3, 5)))
    pair = simulate_pair(
        anatomy,
        field,
        FIRST_SEED[split] + number,
        noise_hu=draw.uniform(5, 40),
        blur_mm=draw.uniform(0.3, 1.2),
        consolidation=airless.consolidation if airless else None,
        moving_grid=moving_grid,
    )
    return replace(pair, moving=_otherwise(pair.moving, draw))


class Attempts:
    """Registrations of a pair, by name: good ones, and ones that went wrong in a way of their own.

    Each is made when asked for, with draws of its own.
    """

    def __init__(self, pair: Prepared, truth: Transform, seed: int) -> None:
        self.pair, self.truth, self.seed = pair, truth, seed
        self.grid = pair.fixed.grid
        self.scales = PRESETS["default"].scales

    @cached_property
    def affine(self) -> Affine:
        """The pre-alignment."""
        pair = self.pair
        return prealign(pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)

    @cached_property
    def levels(self) -> dict[int, tuple[Tensor, Grid]]:
        """What the network says, by how many of its levels run."""
        network, config, _ = load_model()
        pair = self.pair
        return {
            n: predict(network, config, pair.fixed, pair.moving, self.affine, pair.region, levels=n)
            for n in (1, 2)
        }

    @cached_property
    def good(self) -> DisplacementField:
        """As LungMorph registers, but for the finest scale."""
        return self._refined(self.scales[:4], self.levels[2])

    def make(self, name: str) -> Transform:
        """The attempt of a name in ``_WAYS``."""
        return _WAYS[name](self, Draw(self.seed, list(_WAYS).index(name), 22))

    def field(self, displacement: Displacement) -> DisplacementField:
        """A displacement beyond the pre-alignment as a whole field."""
        return _field(self.grid, self.affine, displacement)

    def _refined(
        self, kept: tuple[Scale, ...], start: tuple[Tensor, Grid] | None, looked: bool = True
    ) -> DisplacementField:
        pair = self.pair
        begin = _nothing if start is None else _sampled(*start)
        if looked:
            found = search(
                pair.fixed, pair.moving, pair.fixed_lungs, self.affine, pair.region, begin
            )
            begin = _sampled(*found)
        made = refine(
            pair.fixed, pair.moving, pair.fixed_lungs, self.affine, pair.region, kept, start=begin
        )
        return self.field(made.on)

    def stopped_early(self, draw: Draw) -> Transform:
        """A step or three on the coarsest scale."""
        few = replace(self.scales[0], steps=draw.integer(1, 4))
        return self._refined((few,), None, looked=False)

    def too_stiff(self, draw: Draw) -> Transform:
        """Held back ten to three hundred times as much."""
        factor = 10 ** draw.uniform(1, 2.5)
        stiff = tuple(replace(s, stiffness=s.stiffness * factor) for s in self.scales[:3])
        return self._refined(stiff, None, looked=draw.chance(0.5))

    def too_loose(self, _: Draw) -> Transform:
        """Hardly held back, control points close together: it follows noise."""
        loose = tuple(
            replace(s, stiffness=s.stiffness * 0.05, control=max(s.control / 3, 2 * s.spacing))
            for s in self.scales[1:4]
        )
        return self._refined(loose, self.levels[1], looked=False)

    def too_smooth(self, draw: Draw) -> Transform:
        """The truth as one who cannot let the lung slide would have it."""
        return _smoothed(self.truth, self.grid, draw.uniform(8, 30))

    def wrong_start(self, draw: Draw) -> Transform:
        """Begun some voxels off, at a scale too fine to find back."""
        start = _offset(self.levels[2], draw, draw.uniform(4, 25))
        return self._refined(self.scales[2:3], start, looked=False)

    def perfect(self, _: Draw) -> DisplacementField:
        """The truth: right even where the way back is not."""
        return self.truth.displacement_on(_cover(self.grid, 2.0))

    def bumped(self, field: DisplacementField, draw: Draw) -> Transform:
        """A field that is off in a place or two."""
        return _bumped(field, self.pair.fixed_lungs, draw)


_WAYS: dict[str, Callable[[Attempts, Draw], Transform]] = {
    "good": lambda made, _: made.good,
    "affine": lambda made, _: made.affine,
    "level 1": lambda made, _: made.field(_sampled(*made.levels[1])),
    "network": lambda made, _: made.field(_sampled(*made.levels[2])),
    "stopped early": Attempts.stopped_early,
    "too stiff": Attempts.too_stiff,
    "too loose": Attempts.too_loose,
    "too smooth": Attempts.too_smooth,
    "wrong start": Attempts.wrong_start,
    "off in one place": lambda made, draw: made.bumped(made.good, draw),
    "off everywhere": lambda made, draw: _offset_field(made.good, draw, draw.uniform(1, 8)),
    "perfect": Attempts.perfect,
    "perfect but for one place": lambda made, draw: made.bumped(made.perfect(draw), draw),
}


def keep(
    folder: Path,
    name: str,
    pair: Prepared,
    truth: Transform,
    attempt: Transform,
    backward: Transform,
) -> None:
    """Write features and true error of an attempt as one safetensors file."""
    features, lungs, grid = error_features(
        pair.fixed,
        pair.moving,
        pair.fixed_lungs,
        attempt,
        backward,
        error_lattice(pair.fixed_lungs),
    )
    points = world_points(grid)
    error = length((attempt.map_points(points) - truth.map_points(points)).movedim(-1, 0)[None])[
        0, 0
    ]
    known = lungs & torch.from_numpy(truth.covers(points.numpy()))
    tensors = {
        "features": features.half(),
        "error_mm": error.clamp_max(60).half(),
        "lungs": known,
    }
    facts = {"attempt": name, "mean_mm": round(float(error[known].mean()), 3)}
    with replacing(folder / _file(name)) as part:
        save_file(tensors, part, metadata={"facts": json.dumps(facts)})


def make(split: str, number: int, folder: Path, rivals: list[str], python: str) -> list[str]:
    """The attempts at one pair that its folder does not hold yet; their names."""
    attempts = [name for name in (*_WAYS, *rivals) if not (folder / _file(name)).exists()]
    if not attempts:
        return []
    simulation = simulated(split, number)
    pair = prepare(
        simulation.fixed, simulation.moving, simulation.fixed_lungs, simulation.moving_lungs
    )
    backward = register_back(pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)
    made = Attempts(pair, simulation.truth, FIRST_SEED[split] + number)
    for name in attempts:
        if name in _WAYS:
            keep(folder, name, pair, simulation.truth, made.make(name), backward)
    for name, attempt in others(simulation, [n for n in attempts if n in rivals], python):
        keep(folder, name, pair, simulation.truth, attempt, backward)
    return attempts


def _file(name: str) -> str:
    return f"{name.replace(' ', '-')}.safetensors"


def others(pair: SimulatedPair, names: list[str], python: str) -> Iterator[tuple[str, Transform]]:
    """What other tools make of the pair."""
    with tempfile.TemporaryDirectory() as temporary:
        files = {}
        for part in ("fixed", "moving", "fixed_lungs", "moving_lungs"):
            files[part] = Path(temporary) / f"{part}.nii.gz"
            volume = getattr(pair, part)
            whole = volume.data if volume.data.dtype == torch.bool else volume.data.round().short()
            write_image(Volume(whole, volume.grid), files[part])
        told = PairFiles(*files.values(), masks_given=True)
        for method in rival_methods(names, python) if names else []:
            out = Path(temporary) / method.name
            done = subprocess.run(
                method.command(told, out, threads=1), capture_output=True, check=False
            )
            if done.returncode == 0:
                yield method.name, read_transform(method.transform(out))


def _otherwise(scan: Volume, draw: Draw) -> Volume:
    """The scan with another calibration and, at times, contrast in its blood."""
    hu = scan.data.float()
    if draw.chance(0.3):
        hu = hu + draw.uniform(40, 160) * ((hu + 450) / 450).clamp(0, 1) * (hu < 150)
    return Volume(hu * draw.uniform(0.97, 1.03) + draw.uniform(-20, 20), scan.grid)


# ------------------------------------------------------------------ ways to go wrong


def _smoothed(truth: Transform, grid: Grid, width_mm: float) -> DisplacementField:
    """The truth as one who cannot let the lung slide would have it."""
    field = truth.displacement_on(_cover(grid, 4.0))
    return DisplacementField(gaussian(field.data[None], width_mm / 4.0)[0], field.grid)


def _offset(start: tuple[Tensor, Grid], draw: Draw, size_mm: float) -> tuple[Tensor, Grid]:
    v, grid = start
    return v + random_field(draw, grid, size_mm, scales=(120.0, 60.0), check=False), grid


def _offset_field(field: DisplacementField, draw: Draw, size_mm: float) -> DisplacementField:
    grid = _cover(field.grid, 4.0)
    wrong = random_field(draw, grid, size_mm, scales=(90.0, 45.0, 25.0), check=False)
    return DisplacementField(field.displacement_on(grid).data + wrong, grid)


def _bumped(field: DisplacementField, lungs: Volume, draw: Draw) -> DisplacementField:
    """One to three places, 12 to 35 mm wide, displaced by 3 to 12 mm."""
    grid = _cover(field.grid, 3.0)
    data = field.displacement_on(grid).data.clone()
    points = world_points(grid)
    index = (lungs.data > 0).nonzero().flip(1)
    for _ in range(draw.integer(1, 4)):
        spot = lungs.grid.to_world(index[draw.integer(0, len(index))][None].numpy())[0]
        away = (points - torch.as_tensor(spot, dtype=points.dtype)).square().sum(-1)
        bump = torch.exp(-0.5 * away / draw.uniform(6, 17) ** 2)
        aim = torch.as_tensor([draw.uniform(-1, 1) for _ in range(3)])
        data += bump * (aim / aim.norm() * draw.uniform(3, 12))[:, None, None, None]
    return DisplacementField(data, grid)


def _field(fixed: Grid, affine: Affine, displacement: Displacement) -> DisplacementField:
    grid = _cover(fixed, 3.0)
    points = world_points(grid)
    total = (affine.map_points(points) - points).movedim(-1, 0) + displacement(grid)
    return DisplacementField(total.contiguous(), grid)


def _cover(grid: Grid, spacing: float) -> Grid:
    return Grid.covering(*grid.bounds(), spacing, margin=spacing)


def _nothing(grid: Grid) -> Tensor:
    return torch.zeros(3, *grid.shape)


def _sampled(v: Tensor, grid: Grid) -> Displacement:
    return lambda at: sample_world(v, grid, world_points(at))


def _anatomy(split: str, number: int, spacing: tuple[float, float, float], draw: Draw) -> Anatomy:
    names = ANATOMIES[split]
    data = data_folder()
    if data is not None and names and draw.chance(0.4):
        ct = read_image(data / "chest_ct" / f"{names[draw.integer(0, len(names))]}.nii.gz")
        lungs = lung_mask(ct)
        index = np.argwhere(lungs.data.numpy())[:, ::-1]
        inside = lungs.grid.to_world(index)
        low, high = ct.grid.bounds()
        low = np.maximum(low, inside.min(axis=0) - 30)
        high = np.minimum(high, inside.max(axis=0) + 30)
        volume = ct.resample(Grid.covering(low, high, spacing))
        return real_anatomy(volume, lungs)
    half = (165.0, 130.0, 150.0)
    grid = Grid.covering([-h for h in half], half, spacing)
    return thorax(FIRST_SEED[split] + number, grid)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=list(MOTIONS), default="train")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rivals", nargs="*", default=[])
    parser.add_argument("--rivals-python", default="python")
    parser.add_argument("--threads", type=int, default=1, help="one a process is best: run several")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for number in range(given.first, given.first + given.pairs):
        folder = given.folder / given.split / f"{number:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        made = make(given.split, number, folder, given.rivals, given.rivals_python)
        print(folder, ", ".join(made) or "there already", flush=True)


if __name__ == "__main__":
    main()
