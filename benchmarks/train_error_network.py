"""Train the error network on what error_cases.py made; it can be stopped and goes on where it was.

    python benchmarks/train_error_network.py CASES RUN --minutes 40

RUN/state.safetensors holds the weights of the last check, RUN/optimizer.safetensors those of Adam, RUN/log.csv the curve,
RUN/error.safetensors the best weights with their card and a temperature fitted on validation.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from torch import Tensor

from attempts import Attempts
from lungmorph.quality.error_network import (
    POOR_MM,
    ErrorConfig,
    ErrorNetwork,
    error_loss,
    expected_mm,
    probability_over,
)
from lungmorph.quality.error_weights import load_error_network, save_error_network
from lungmorph.quality.predict import THRESHOLDS_MM
from splits import ANATOMIES, MOTIONS

CROP = (48, 48, 48)
#: All that the classifier of Galib et al. sees.
IMAGES = ("fixed", "warped")


class Kept:
    """The attempts of a split, read when asked for."""

    def __init__(self, folder: Path, every: int = 1, in_one_place: float = 0.0) -> None:
        # fourteen attempts a pair: another of them of every pair
        self.files = sorted(folder.glob("*/*.safetensors"))[::every]
        self.local = [file for file in self.files if "place" in file.stem]
        self.in_one_place = in_one_place if self.local else 0.0
        if not self.files:
            raise SystemExit(f"{folder}: no attempts; make them with error_cases.py")

    def read(self, path: Path) -> tuple[Tensor, Tensor, Tensor]:
        """Features (C, D, H, W), error in mm and lungs (1, D, H, W) each."""
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return found["features"].float(), found["error_mm"].float()[None], found["lungs"][None]

    def crop(self, draw: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A random part around a voxel of the lung, mirrored at random left to right."""
        files = self.local if draw.random() < self.in_one_place else self.files
        path = files[draw.integers(len(files))]
        with safe_open(path, framework="pt") as file:
            lungs = file.get_tensor("lungs")
            inside = lungs.nonzero()
            middle = inside[draw.integers(len(inside))].tolist()
            where = []
            for at, size, whole in zip(middle, CROP, lungs.shape, strict=True):
                first = int(np.clip(at - size // 2, 0, max(whole - size, 0)))
                where.append(slice(first, first + size))
            features = file.get_slice("features")[:, where[0], where[1], where[2]]
            error = file.get_slice("error_mm")[where[0], where[1], where[2]][None]
        kept = lungs[where[0], where[1], where[2]][None]
        parts = [_filled(features.float(), 0.0), _filled(error.float(), 0.0), _filled(kept, False)]
        if draw.random() < 0.5:
            parts = [part.flip(-1) for part in parts]
        return parts[0], parts[1], parts[2]


def _filled(part: Tensor, fill: float) -> Tensor:
    """The part as large as a crop, where the image is smaller."""
    out = torch.full((part.shape[0], *CROP), fill, dtype=part.dtype)
    depth, height, width = part.shape[1:]
    out[:, :depth, :height, :width] = part
    return out


def check(network: ErrorNetwork, kept: Kept) -> dict[str, float]:
    """Over whole lungs of a split: loss, absolute error below 5 mm, order of the better half of the registrations by
    their mean (Spearman), and the temperature that fits."""
    network.eval()
    learns = network.config.learns
    losses, absolute, sample, means = [], [], [], []
    draw = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        for path in kept.files:
            features, error, lungs = kept.read(path)
            mean, spread = network.predict(features)
            found = torch.stack((mean, spread.log()))[None]
            losses.append(float(error_loss(found, error[None], lungs[None], learns)))
            values = torch.stack((mean[lungs[0]], spread[lungs[0]], error[0][lungs[0]]))
            means.append((float(values[2].mean()), float(expected_mm(values[0]).mean())))
            small = values[2] < 5
            if bool(small.any()):
                miss = expected_mm(values[0]) - values[2]
                absolute.append(float(miss[small].abs().mean()))
            sample.append(values[:, torch.randint(values.shape[1], (5000,), generator=draw)])
    network.train()
    better = np.array(sorted(means)[: len(means) // 2])
    return {
        "loss": float(np.mean(losses)),
        "mae_mm": float(np.mean(absolute)),
        "rank": float(spearmanr(better[:, 0], better[:, 1]).statistic),
        "temperature": temperature(*torch.cat(sample, dim=1), learns),
    }


def temperature(mean: Tensor, spread: Tensor, error: Tensor, learns: str) -> float:
    """The factor of the spread with which the probabilities of the thresholds are most likely."""
    thresholds = (POOR_MM,) if learns == "class" else (1.0, *THRESHOLDS_MM)
    tried = np.geomspace(0.4, 4, 47)
    costs = []
    for factor in tried:
        cost = 0.0
        for threshold in thresholds:
            chance = probability_over(threshold, mean, spread * factor).clamp(1e-4, 1 - 1e-4)
            cost -= float(torch.where(error > threshold, chance, 1 - chance).log().mean())
        costs.append(cost)
    return float(tried[int(np.argmin(costs))])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--start", type=Path, help="weights to begin with, if not at random")
    parser.add_argument("--steps", type=int, default=2500, help="at which the rate has come to 0")
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument(
        "--in-one-place",
        type=float,
        default=0.25,
        help="share of the crops that are of registrations wrong in some places alone, which else are two in fourteen",
    )
    parser.add_argument(
        "--images",
        action="store_true",
        help="the baseline: both images alone, well or poorly registered",
    )
    given = parser.parse_args()
    given.run.mkdir(parents=True, exist_ok=True)
    train = Kept(given.cases / "train", in_one_place=given.in_one_place)
    validation = Kept(given.cases / "validation", 5)
    torch.manual_seed(0)
    config = ErrorConfig(learns="class", channels=IMAGES) if given.images else ErrorConfig()
    network = ErrorNetwork(config)
    adam = torch.optim.AdamW(network.parameters(), lr=given.rate, weight_decay=1e-4)
    if given.start:
        begin_with(network, load_error_network(given.start)[0])
    step, best = _resumed(given.run, network, adam)
    end = time.monotonic() + 60 * given.minutes
    while step < given.steps and time.monotonic() < end:
        draw = np.random.default_rng((7, step))
        for group in adam.param_groups:
            group["lr"] = given.rate * 0.5 * (1 + np.cos(np.pi * step / given.steps))
        adam.zero_grad()
        total = 0.0
        # one at a time: torch's convolution of several small volumes at once is many times slower on the CPU
        for _ in range(given.batch):
            features, error, lungs = (part[None] for part in train.crop(draw))
            loss = error_loss(network(features), error, lungs, config.learns) / given.batch
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        step += 1
        if step % given.every == 0 or step == given.steps:
            found = check(network, validation)
            card = card_of(step, found, given.start)
            best = _kept(given.run, network, adam, step, total, found, best, card)
            print(step, round(total, 4), found, flush=True)


def begin_with(network: ErrorNetwork, other: ErrorNetwork) -> None:
    """Take over the weights of another network; channels that it does not see count for nothing yet."""
    state = other.state_dict()
    stem = torch.zeros_like(network.state_dict()["body.stem.weight"])
    for place, name in enumerate(network.config.channels):
        if name in other.config.channels:
            known = state["body.stem.weight"][:, other.config.channels.index(name)]
            stem[:, place] = known
    network.load_state_dict({**state, "body.stem.weight": stem})


def card_of(step: int, found: dict[str, float], start: Path | None) -> dict[str, object]:
    """What stands in the file."""
    before = load_error_network(start)[1]["training"] if start else None
    return {
        "what": "registration error of every place of the lung, mm, without landmarks",
        "data": "simulated pairs and attempts of error_cases.py, errors known everywhere; no other tool's",
        "real anatomy": list(ANATOMIES["train"]),
        "real motion": [name for name in MOTIONS["train"] if name.startswith("learn2reg")],
        "attempts": list(Attempts.names),
        "training": {"steps": step, "validation": found, "begun with weights of": before},
        "limits": "needs LungMorph's way back; lungs of adults; no medical device",
        "licence": "Apache-2.0",
    }


def _kept(
    run: Path,
    network: ErrorNetwork,
    adam: torch.optim.Optimizer,
    step: int,
    loss: float,
    found: dict[str, float],
    best: float,
    card: dict[str, object],
) -> float:
    save_file(network.state_dict(), run / "state.safetensors")
    moments = {
        f"{n}.{key}": value
        for n, state in adam.state_dict()["state"].items()
        for key, value in state.items()
    }
    save_file(moments, run / "optimizer.safetensors", metadata={"step": str(step)})
    new = not (run / "log.csv").exists()
    with open(run / "log.csv", "a", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        if new:
            rows.writerow(["step", "training loss", *found])
        rows.writerow([step, loss, *found.values()])
    if found["loss"] < best:
        calm = ErrorNetwork(network.config.model_copy(update={"temperature": found["temperature"]}))
        calm.load_state_dict(network.state_dict())
        save_error_network(calm, card, run / "error.safetensors")
        (run / "best.json").write_text(json.dumps(found))
    return min(best, found["loss"])


def _resumed(run: Path, network: ErrorNetwork, adam: torch.optim.Optimizer) -> tuple[int, float]:
    if not (run / "optimizer.safetensors").exists():
        return 0, float("inf")
    network.load_state_dict(load_file(run / "state.safetensors"))
    with safe_open(run / "optimizer.safetensors", framework="pt") as file:
        step = int(file.metadata()["step"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in load_file(run / "optimizer.safetensors").items():
        n, key = name.split(".")
        state.setdefault(int(n), {})[key] = value
    adam.load_state_dict({"state": state, "param_groups": adam.state_dict()["param_groups"]})
    best = run / "best.json"
    return step, json.loads(best.read_text())["loss"] if best.exists() else float("inf")


if __name__ == "__main__":
    main()
