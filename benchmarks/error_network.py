"""How well the error network tells wrong places from right ones, on registrations of tools it has never seen.

    python benchmarks/accuracy.py --work bench --keep ...        # registers the test cases, and keeps the transforms
    python benchmarks/error_network.py --work bench --save bench/error.md --picture docs/pictures/error_calibration.png

The other tools, and the anatomies and motions of the test cases, are no part of its training: cases with an anatomy that is are left out. The truth of a simulated case is
known everywhere: it is made again from its recipe. Beside the network stand what is used without one: inverse consistency, the
difference of the grey values, and a network that sees the two images alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import spearmanr

from cases import SPLITS, Recipe, make
from lungmorph.evaluation.records import file_name
from lungmorph.files import read_image, read_transform
from lungmorph.ops import length
from lungmorph.quality.calibration import Reliability, auc, reliability
from lungmorph.quality.error_features import CHANNELS, error_features, error_lattice
from lungmorph.quality.error_network import ErrorNetwork, expected_mm, probability_over
from lungmorph.quality.error_weights import load_error_network
from lungmorph.quality.predict import predict_error
from lungmorph.registration.backward import register_back
from lungmorph.registration.prepare import Prepared, prepare
from lungmorph.space import DisplacementField, Grid, Transform
from lungmorph.space.sampling import world_points
from splits import ANATOMIES, data_folder

Float = NDArray[np.float32]
#: Points of the lung of one registration that are looked at.
POINTS = 20_000
OWN = "LungMorph"


@dataclass(frozen=True)
class Judged:
    """One registration: true error and what is said of it, at the same points (N,)."""

    case: str
    group: str
    method: str
    seconds: float
    truth: Float
    predicted: Float
    over2: Float
    over5: Float
    images_alone: Float | None
    way_back: Float
    difference: Float

    @property
    def own(self) -> bool:
        """Whether LungMorph made it."""
        return self.method.startswith(OWN.lower())


@dataclass(frozen=True)
class Planted:
    """The perfect registration of a case, as it is and wrong in one place on purpose.

    Attributes:
        false_ml: volume of the places that are doubted in the perfect one.
        lung_ml: of the lungs.
        off_mm: from the planted place to the nearest doubted one; infinite if there is none.
        said_mm: error that is predicted in the middle of the planted place.
    """

    case: str
    false_ml: float
    lung_ml: float
    off_mm: float
    said_mm: float


#: A ball is displaced by so much; the displacement fades away in a rim around it. All in mm.
PLANTED_MM, BALL_MM, RIM_MM = 5.0, 20.0, 8.0
#: Nearer, a planted place counts as found, mm.
NEAR_MM = 10.0


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
    backward = register_back(pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)
    grid = error_lattice(pair.fixed_lungs)
    points = world_points(grid)
    known = torch.from_numpy(truth.covers(points.numpy()))
    draw = np.random.default_rng(0)
    found = []
    for path in methods:
        file = _transform(path)
        assert file is not None
        transform = read_transform(file)
        begin = time.perf_counter()
        features, lungs, _ = error_features(
            pair.fixed, pair.moving, pair.fixed_lungs, transform, backward, grid
        )
        mean, spread = network.predict(features)
        seconds = time.perf_counter() - begin
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
                at(expected_mm(mean)),
                at(probability_over(2.0, mean, spread)),
                at(probability_over(5.0, mean, spread)),
                alone,
                at(features[CHANNELS.index("way back")]),
                at(features[CHANNELS.index("difference")]),
            )
        )
    return found, _planted(recipe, pair, truth, backward, network)


def _planted(
    recipe: Recipe, pair: Prepared, truth: Transform, backward: Transform, network: ErrorNetwork
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
        predict_error(network, pair.fixed, pair.moving, pair.fixed_lungs, transform, backward)
        for transform in (perfect, wrong)
    )
    away = [float(np.linalg.norm(np.array(place.at) - spot)) for place in alarmed.places]
    i, j, k = np.rint(alarmed.grid.to_index(spot)).astype(int)
    return Planted(
        recipe.id,
        sum(place.ml for place in calm.places),
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


# ------------------------------------------------------------------ what is said of them


def rows(found: list[Judged], title: str) -> str:
    """One line of the table for a group of registrations."""
    truth = np.concatenate([one.truth for one in found])
    predicted = np.concatenate([one.predicted for one in found])

    def area(name: str, over: float = 2.0) -> str:
        scores = [getattr(one, name) for one in found]
        if any(score is None for score in scores):
            return ""
        value = auc(np.concatenate(scores), truth > over)
        return "" if np.isnan(value) else f"{value:.3f}"

    small = truth < 5
    miss = float(np.abs(predicted - truth)[small].mean())
    calibration = [
        reliability(np.concatenate([getattr(one, name) for one in found]), truth > over)
        for name, over in (("over2", 2.0), ("over5", 5.0))
    ]
    true_means = [float(one.truth.mean()) for one in found]
    said_means = [float(one.predicted.mean()) for one in found]
    rank = float(spearmanr(true_means, said_means).statistic) if len(found) > 3 else float("nan")
    cells = [
        title,
        str(len(found)),
        f"{truth.mean():.2f}",
        f"{100 * (truth > 2).mean():.1f}",
        area("over2"),
        area("images_alone"),
        area("way_back"),
        area("difference"),
        area("over5", 5.0),
        f"{miss:.2f}",
        *(f"{one.expected_error:.3f}" for one in calibration),
        "" if np.isnan(rank) else f"{rank:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def planted_rows(found: list[Planted]) -> list[str]:
    """What is doubted in perfect registrations, and what is found of a failure that was planted in them."""
    near = sum(one.off_mm < NEAR_MM for one in found)
    lines = [
        "",
        f"**A failure planted.** In the perfect registration of each case, a ball of {BALL_MM:g} mm somewhere in the lung is displaced "
        f"by {PLANTED_MM:g} mm (with a rim of {RIM_MM:g} mm). Found within {NEAR_MM:g} mm: {near} of {len(found)}. Doubted without "
        "reason: what is told of the perfect registration as it is.",
        "",
        "| case | lung mL | doubted without reason, mL | planted place missed by, mm | error said there, mm |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one.case} | {one.lung_ml:.0f} | {one.false_ml:.1f} | {one.off_mm:.1f} | {one.said_mm:.1f} |"
        for one in found
    ]
    return lines


def section(found: list[Judged], planted: list[Planted], command: str) -> str:
    """The whole as Markdown."""
    names = sorted({one.method for one in found})
    heads = (
        "registrations of", "n", "error mm", "> 2 mm %", "AUC > 2 mm", "images alone", "way back", "grey values",
        "AUC > 5 mm", "MAE mm", "ECE > 2 mm", "ECE > 5 mm", "rank",
    )  # fmt: skip
    groups = [(name, [one for one in found if one.method == name]) for name in names]
    groups += [
        (f"all, {name}", [one for one in found if one.group == name])
        for name in dict.fromkeys(one.group for one in found)
    ]
    groups += [
        ("**LungMorph**", [one for one in found if one.own]),
        ("**other tools**", [one for one in found if not one.own]),
        ("**all**", found),
    ]
    cases = len({one.case for one in found})
    seconds = np.array([one.seconds for one in found])
    lines = [
        f"## The error network on tools, patients and motions it has not seen, {date.today()}",
        f"`{command}`: {cases} simulated cases, true errors at {POINTS} points of the lung of each registration.",
        "",
        "| " + " | ".join(heads) + " |",
        "| --- |" + " ---: |" * (len(heads) - 1),
        *(rows(kept, title) for title, kept in groups if kept),
        "",
        "AUC: how well places with an error over 2 mm are told from the others, by the network; by the same network that sees the two "
        "images alone (after Galib et al. 2020, who report 0.88 on data of their own); by inverse consistency alone; and by the local "
        "difference of grey values alone. MAE: of the predicted error where the true one is below 5 mm. ECE: expected calibration "
        "error of the probabilities. Rank: Spearman correlation of predicted and true mean error of registrations.",
        "",
        f"Seconds of the features and the network, with {torch.get_num_threads()} threads: median {np.median(seconds):.1f}, at most "
        f"{seconds.max():.1f}. The way back takes longer and is made once a pair.",
        *planted_rows(planted),
    ]
    return "\n".join(lines) + "\n"


def draw(found: list[Judged], path: Path) -> None:
    """Reliability of both thresholds, and predicted against true mean error of every registration."""
    figure = Figure(figsize=(11, 3.9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    groups = (("LungMorph", True, "#1b6ca8"), ("other tools", False, "#c8553d"))
    for axes, name, over in ((left, "over2", 2.0), (middle, "over5", 5.0)):
        axes.plot([0, 1], [0, 1], color="#999999", lw=1)
        for title, own, colour in groups:
            kept = [one for one in found if one.own == own]
            if not kept:
                continue
            truth = np.concatenate([one.truth for one in kept])
            curve: Reliability = reliability(
                np.concatenate([getattr(one, name) for one in kept]), truth > over
            )
            said = f"{title} (ECE {curve.expected_error:.3f})"
            axes.plot(curve.predicted, curve.happened, "o-", ms=4, color=colour, label=said)
        axes.set(
            xlabel=f"predicted probability of an error over {over:g} mm",
            ylabel="how often it was",
            xlim=(0, 1),
            ylim=(0, 1),
        )
        axes.legend(frameon=False, fontsize=8)
    for title, own, colour in groups:
        kept = [one for one in found if one.own == own]
        right.loglog(
            [one.truth.mean() for one in kept],
            [one.predicted.mean() for one in kept],
            "o", ms=5, color=colour, label=title, alpha=0.75,
        )  # fmt: skip
    ends = [0.1, 12]
    right.plot(ends, ends, color="#999999", lw=1)
    right.set(xlabel="true mean error of a registration, mm", ylabel="predicted, mm")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


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
