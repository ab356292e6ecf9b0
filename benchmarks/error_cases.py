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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from attempts import Attempts
from cases import APART, finer, shifted, with_contrast
from lungmorph.evaluation.methods import PairFiles, rival_methods
from lungmorph.files import read_image, read_transform, replacing, write_image
from lungmorph.ops import length
from lungmorph.quality.error_features import error_features, error_lattice
from lungmorph.registration.lungs import lung_mask
from lungmorph.registration.prepare import Prepared, prepare
from lungmorph.registration.witnesses import Witnesses, register_witnesses
from lungmorph.simulate import (
    Anatomy,
    Breath,
    Draw,
    SimulatedPair,
    breathing_field,
    collapse,
    load_motion,
    simulate_pair,
    thorax,
)
from lungmorph.simulate.real_ct import anatomy_at
from lungmorph.space import Grid, Transform, Volume
from lungmorph.space.sampling import world_points
from splits import ANATOMIES, MOTIONS, data_folder

#: Of invented patients.
FIRST_SEED = {"train": 300_000, "validation": 400_000, "test": 500_000}
#: Of the simulated scans, mm.
SPACINGS = {
    "usual": ((2.0, 2.0, 2.0), (1.8, 1.8, 2.5), (2.5, 2.5, 2.5), (1.8, 1.8, 4.0), (3.0, 3.0, 3.0)),
    "fine": ((1.5, 1.5, 2.5), (1.75, 1.75, 1.75), (1.4, 1.4, 4.0)),
}
#: Standard deviation of the noise of a scan, HU.
NOISE_HU = (5.0, 70.0)
#: Share of the pairs in which a part of the lung holds no air.
AIRLESS = 0.15


def simulated(
    split: str, number: int, airless: float = AIRLESS, voxels: str = "usual"
) -> SimulatedPair:
    """Pair ``number`` of a split; with the probability ``airless``, a part of its fixed lung holds no air."""
    draw = Draw(FIRST_SEED[split] + number, 21)
    spacings = SPACINGS[voxels]
    spacing = spacings[draw.integer(0, len(spacings))]
    anatomy = _anatomy(split, number, finer(spacing), draw)
    grid = anatomy.ct.grid
    scan = grid.with_spacing(spacing)
    data = data_folder()
    if data is not None and draw.chance(0.6):
        names = [name for name in MOTIONS[split] if name.startswith("learn2reg")]
        motion = load_motion(data / "motion" / names[draw.integer(0, len(names))])
        field = motion.field_on(grid, anatomy.lungs, amplitude=draw.uniform(0.4, 1.2))
    else:
        field = breathing_field(draw, anatomy.lungs, Breath.drawn(draw))
    collapsed = collapse(draw, anatomy.lungs) if draw.chance(airless) else None
    if collapsed is not None:
        field = collapsed.after(field)
    x, y, z = spacing
    other = (x, y, draw.uniform(3, 5)) if draw.chance(0.3) else (x, y, z)
    least, most = NOISE_HU
    pair = simulate_pair(
        anatomy,
        field,
        FIRST_SEED[split] + number,
        noise_hu=least * (most / least) ** draw.uniform(0, 1),
        blur_mm=draw.uniform(0.3, 1.2),
        consolidation=collapsed.consolidation if collapsed else None,
        fixed_grid=scan,
        moving_grid=shifted(scan.with_spacing(other), np.asarray(APART) * other),
    )
    return replace(pair, moving=_otherwise(pair.moving, draw))


def keep(
    folder: Path,
    name: str,
    pair: Prepared,
    truth: Transform,
    attempt: Transform,
    witnesses: Witnesses,
) -> None:
    """Write features and true error of an attempt as one safetensors file."""
    features, lungs, grid = error_features(
        pair.fixed,
        pair.moving,
        pair.fixed_lungs,
        attempt,
        witnesses,
        error_lattice(pair.fixed_lungs),
    )
    points = world_points(grid)
    there = truth.map_points(points)
    error = length((attempt.map_points(points) - there).movedim(-1, 0)[None])[0, 0]
    known = torch.from_numpy(truth.covers(points.numpy()))
    # of what the moving scan does not show nothing can be learned
    shown = torch.from_numpy(pair.moving.grid.contains(there.reshape(-1, 3).numpy()))
    known &= lungs & shown.reshape(lungs.shape)
    tensors = {
        "features": features.half(),
        "error_mm": error.clamp_max(60).half(),
        "lungs": known,
    }
    facts = {"attempt": name, "mean_mm": round(float(error[known].mean()), 3)}
    with replacing(folder / _file(name)) as part:
        save_file(tensors, part, metadata={"facts": json.dumps(facts)})


def make(
    split: str,
    number: int,
    airless: float,
    voxels: str,
    folder: Path,
    rivals: list[str],
    python: str,
) -> list[str]:
    """The attempts at one pair that its folder does not hold yet; their names."""
    attempts = [name for name in (*Attempts.names, *rivals) if not (folder / _file(name)).exists()]
    if not attempts:
        return []
    simulation = simulated(split, number, airless, voxels)
    pair = prepare(
        simulation.fixed, simulation.moving, simulation.fixed_lungs, simulation.moving_lungs
    )
    witnesses = register_witnesses(pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)
    made = Attempts(pair, simulation.truth, FIRST_SEED[split] + number)
    for name in attempts:
        if name in Attempts.names:
            keep(folder, name, pair, simulation.truth, made.make(name), witnesses)
    for name, attempt in others(simulation, [n for n in attempts if n in rivals], python):
        keep(folder, name, pair, simulation.truth, attempt, witnesses)
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
    if draw.chance(0.3):
        scan = with_contrast(scan, draw.uniform(40, 160))
    return Volume(scan.data.float() * draw.uniform(0.97, 1.03) + draw.uniform(-20, 20), scan.grid)


def _anatomy(split: str, number: int, spacing: tuple[float, float, float], draw: Draw) -> Anatomy:
    names = ANATOMIES[split]
    data = data_folder()
    if data is not None and names and draw.chance(0.4):
        ct = read_image(data / "chest_ct" / f"{names[draw.integer(0, len(names))]}.nii.gz")
        return anatomy_at(ct, lung_mask(ct), spacing)
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
    parser.add_argument(
        "--airless",
        type=float,
        default=AIRLESS,
        help="share of the pairs with a part of the lung without air",
    )
    parser.add_argument("--voxels", choices=list(SPACINGS), default="usual")
    parser.add_argument("--rivals", nargs="*", default=[])
    parser.add_argument("--rivals-python", default="python")
    parser.add_argument("--threads", type=int, default=1, help="one a process is best: run several")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for number in range(given.first, given.first + given.pairs):
        folder = given.folder / given.split / f"{number:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        rivals = given.rivals, given.rivals_python
        made = make(given.split, number, given.airless, given.voxels, folder, *rivals)
        print(folder, ", ".join(made) or "there already", flush=True)


if __name__ == "__main__":
    main()
