"""How well the error network tells wrong places from right ones, on registrations of tools it has never seen.

    python benchmarks/accuracy.py --work bench --keep ...        # registers the test cases, and keeps the transforms
    python benchmarks/error_network.py --work bench --save bench/error.md --picture docs/images/error_calibration.png

The other tools, and the anatomies and motions of the test cases, are no part of its training: cases with an anatomy that is are left out. The truth of a simulated case is
known everywhere: it is made again from its recipe. Beside the network stand what is used without one: inverse consistency, the
difference of the grey values, and a network that sees the two images alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cases import make
from error_tables import BALL_MM, PLANTED_MM, POINTS, RIM_MM, Float, Judged, Planted, draw, section
from lungmorph.evaluation.records import file_name
from lungmorph.files import read_image, read_transform
from lungmorph.ops import length
from lungmorph.quality.error_features import CHANNELS, error_features, error_lattice, way_back
from lungmorph.quality.error_network import ErrorNetwork, probability_over
from lungmorph.quality.error_weights import load_error_network
from lungmorph.quality.predict import predict_error
from lungmorph.registration.prepare import Prepared, prepare
from lungmorph.registration.witnesses import Witnesses, register_witnesses
from lungmorph.space import DisplacementField, Grid, Transform
from lungmorph.space.sampling import world_points
from recipes import SPLITS, Recipe
from splits import ANATOMIES, data_folder


def judged(
    work: Path, split: str, baseline: ErrorNetwork | None
) -> Iterator[tuple[list[Judged], Planted]]:
    """All kept registrations of every case of the split that has a truth."""
    network, _ = load_error_network()
    for recipe in SPLITS[split]:
        folder = work / f"{split}-results" / "work" / file_name(recipe.id)
        methods = sorted(path for path in folder.glob("*/") if _transform(path))
        if methods and recipe.anatomy not in ANATOMIES["train"]:
            print(recipe.id, [path.name for path in methods], flush=True)
            yield _case(recipe, work / split / recipe.id, methods, network, baseline)


def _case(
    recipe: Recipe,
    files: Path,
    methods: list[Path],
    network: ErrorNetwork,
    baseline: ErrorNetwork | None,
) -> tuple[list[Judged], Planted]:
    truth = make(recipe, data_folder()).truth
    pair = prepare(read_image(files / "fixed.nii.gz"), read_image(files / "moving.nii.gz"))
    images = pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs
    witnesses = register_witnesses(*images)
    grid = error_lattice(pair.fixed_lungs)
    points = world_points(grid)
    there = truth.map_points(points).reshape(-1, 3).numpy()
    # where the lung leaves the moving scan there is nothing to match
    known = torch.from_numpy(
        truth.covers(points.numpy()) & pair.moving.grid.contains(there).reshape(points.shape[:-1])
    )
    draw = np.random.default_rng(0)
    found = []
    for path in methods:
        file = _transform(path)
        assert file is not None
        transform = read_transform(file)
        begin = time.perf_counter()
        said = predict_error(network, *images, transform, witnesses)
        seconds = time.perf_counter() - begin
        features, lungs, _ = error_features(*images[:3], transform, witnesses, grid)
        inside = (lungs & known).numpy()
        chosen = np.flatnonzero(inside)
        chosen = chosen[draw.permutation(len(chosen))[:POINTS]]

        def at(values: torch.Tensor, chosen: NDArray[np.int64] = chosen) -> Float:
            return values.numpy().ravel()[chosen]

        alone = None
        if baseline is not None:
            alone = at(probability_over(2.0, *baseline.predict(features)))
        found.append(
            Judged(
                recipe.id,
                recipe.group,
                path.name,
                seconds,
                at(_error(transform, truth, points)),
                at(said.mm.data),
                at(said.over(2.0).data),
                at(said.over(5.0).data),
                at(said.wrong.data),
                at(said.undecided.data),
                alone,
                at(way_back(points, transform.map_points(points), witnesses.back)[2]),
                at(features[CHANNELS.index("difference")]),
            )
        )
    return found, _planted(recipe, pair, truth, witnesses, network)


def _planted(
    recipe: Recipe, pair: Prepared, truth: Transform, witnesses: Witnesses, network: ErrorNetwork
) -> Planted:
    low, high = pair.fixed.grid.bounds()
    perfect = truth.displacement_on(Grid.covering(low, high, 2.0, margin=2.0))
    index = pair.fixed_lungs.data.nonzero().flip(1).numpy()
    draw = np.random.default_rng(recipe.seed)
    spot = pair.fixed_lungs.grid.to_world(index[draw.integers(len(index))][None])[0]
    aim = draw.normal(size=3)
    aim *= PLANTED_MM / np.linalg.norm(aim)
    far = (world_points(perfect.grid) - torch.as_tensor(spot).float()).norm(dim=-1)
    share = ((BALL_MM / 2 + RIM_MM - far) / RIM_MM).clamp(0, 1)
    off = torch.as_tensor(aim).float()[:, None, None, None] * share
    wrong = DisplacementField(perfect.data + off, perfect.grid)
    calm, alarmed = (
        predict_error(
            network,
            pair.fixed,
            pair.moving,
            pair.fixed_lungs,
            pair.moving_lungs,
            transform,
            witnesses,
        )
        for transform in (perfect, wrong)
    )
    away = [float(np.linalg.norm(np.array(place.at) - spot)) for place in alarmed.places]
    i, j, k = np.rint(alarmed.grid.to_index(spot)).astype(int)
    return Planted(
        recipe.id,
        sum(place.ml for place in calm.places),
        calm.ml_of(calm.undecided),
        float(pair.fixed_lungs.data.sum()) * pair.fixed_lungs.grid.voxel_volume / 1e3,
        min(away, default=float("inf")),
        float(alarmed.mm.data[k, j, i]),
    )


def _transform(folder: Path) -> Path | None:
    """What a method left, if it did."""
    made = (folder / name for name in ("transform.h5", "displacement.mha"))
    return next((path for path in made if path.is_file()), None)


def _error(transform: Transform, truth: Transform, points: torch.Tensor) -> torch.Tensor:
    apart = transform.map_points(points) - truth.map_points(points)
    return length(apart.movedim(-1, 0)[None])[0, 0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("bench"), help="of accuracy.py --keep")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--images-alone", type=Path, help="weights of the baseline")
    parser.add_argument("--save", type=Path, help="file for the section of Markdown")
    parser.add_argument("--picture", type=Path, help="file for the calibration curves")
    given = parser.parse_args()
    baseline = load_error_network(given.images_alone)[0] if given.images_alone else None
    cases = list(judged(given.work, given.split, baseline))
    found, planted = [one for case, _ in cases for one in case], [one for _, one in cases]
    if not found:
        raise SystemExit(f"{given.work}: no transforms; run accuracy.py with --keep first")
    text = section(found, planted, f"python benchmarks/error_network.py --split {given.split}")
    print(text)
    if given.save:
        given.save.write_text(text, encoding="utf-8")
        means = [
            [one.case, one.method, float(one.truth.mean()), float(one.predicted.mean())]
            for one in found
        ]
        given.save.with_suffix(".json").write_text(json.dumps(means, indent=1))
    if given.picture:
        draw(found, given.picture)


if __name__ == "__main__":
    main()
