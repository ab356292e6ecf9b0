"""What a GPU makes of a registration, of making pairs, and of a step of every network in every precision.

    python benchmarks/device.py [--device cuda] [--sizes 80,160] [--seconds 4] [--threads 8] [--save FILE]

Pairs of whole lattices are made on the device itself, as training makes them, half of them of new patients that are made on the way.
A step is forward, backward and update on such a pair that lies ready; its loss is that of the configs. MB: the most that
the device held. The registration is of an invented patient of 1.75 mm whose lungs are given; `--threads` are those of the CPU beside
which it is set.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from datetime import date
from itertools import cycle
from pathlib import Path

import torch

from lungmorph.registration import register
from lungmorph.simulate import (
    Breath,
    Draw,
    SimulatedPair,
    TrainingPairs,
    breathing_field,
    simulate_pair,
    thorax,
)
from lungmorph.space import Grid
from lungmorph.training import TrainingConfig, load_config
from lungmorph.training.fabric import launched
from lungmorph.training.step import Stepper
from lungmorph.training.warm_start import first_network

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
#: Title and config of the networks; it is their last stage that is timed, in which all learns.
NETWORKS = (
    ("VoxelMorph", "voxelmorph.yaml"),
    ("multi-level, 2 levels", "multilevel.yaml"),
    ("multi-level, 3 levels", "three-level.yaml"),
    ("2 levels, correlation", "correlation.yaml"),
)
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
#: The side of the chest, mm: with more voxels, they are finer.
WIDE_MM = 320.0


def source(size: int, device: str) -> TrainingPairs:
    """Pairs of size x size x size voxels."""
    return TrainingPairs(0, WIDE_MM / size, pool=4, sizes=(size, size), device=device)


def rate(work: Callable[[], object], device: str, seconds: float) -> float:
    """Calls a second, once it runs smoothly."""
    work()
    work()
    wait(device)
    begun, count = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        work()
        count += 1
    wait(device)
    return count / (time.monotonic() - begun)


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def stepping(config: TrainingConfig, size: int, device: str) -> Callable[[], object]:
    """A step of the last stage, on pairs that lie ready."""
    torch.manual_seed(0)
    fabric = launched(config.device)
    model = first_network(config).to(fabric.device)
    model.train()
    stage = config.stages[-1]
    stepper = Stepper(fabric, config, stage, model)
    made = source(size, device)
    pairs = cycle([made.pair(0), made.pair(1)])
    return lambda: stepper.step(pairs, stage.learning_rate)


def invented() -> SimulatedPair:
    """A pair to register."""
    half = (160.0, 128.0, 160.0)
    anatomy = thorax(5, Grid.covering([-h for h in half], half, 1.75), twigs=True)
    field = breathing_field(Draw(5, 1), anatomy.lungs, Breath.drawn(Draw(5, 2)))
    return simulate_pair(anatomy, field, 3)


def registrations(device: str) -> list[str]:
    """A line for each preset: seconds on the CPU and on the device, and how far apart the results are."""
    pair = invented()
    lines = []
    for preset in ("fast", "default"):
        found, seconds = [], []
        for where in ("cpu", device, device):  # the device's second time, once it runs smoothly
            begun = time.monotonic()
            found.append(
                register(
                    pair.fixed, pair.moving, preset=preset, device=where,
                    fixed_mask=pair.fixed_lungs, moving_mask=pair.moving_lungs,
                )
            )  # fmt: skip
            seconds.append(time.monotonic() - begun)
        here, there = (found[n].transform.displacement_on(pair.fixed_lungs.grid).data for n in (0, 2))  # fmt: skip
        apart = (here - there).norm(dim=0)[pair.fixed_lungs.data]
        lines.append(
            f"{preset}: {seconds[0]:.1f} s on the CPU, {seconds[2]:.1f} s on {device} (refinement {found[0].seconds['refine']:.1f} "
            f"and {found[2].seconds['refine']:.1f}); {float(apart.mean()):.6f} mm apart in the lungs, {float(apart.max()):.6f} at most"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[80, 160])  # fmt: skip
    parser.add_argument("--seconds", type=float, default=4.0, help="of every figure")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--save", type=Path, help="file for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    gpu = given.device == "cuda"
    name = torch.cuda.get_device_name() if gpu else platform.processor()
    lines = [
        f"## Training on a device, {date.today()}",
        f"`python benchmarks/device.py --device {given.device}`: {name}, torch {torch.__version__}.",
        "",
        *registrations(given.device),
        "",
        "| | precision | voxels a side | a second | MB |",
        "| --- | --- | ---: | ---: | ---: |",
    ]

    def tell(title: str, precision: str, size: int, work: Callable[[], object]) -> None:
        if gpu:
            torch.cuda.reset_peak_memory_stats()
        found = rate(work, given.device, given.seconds)
        held = f"{torch.cuda.max_memory_allocated() / 1e6:.0f}" if gpu else ""
        lines.append(f"| {title} | {precision} | {size} | {found:.1f} | {held} |")
        print(lines[-1], flush=True)

    for size in given.sizes:
        made, numbers = source(size, given.device), iter(range(5, 1_000_000, 5))
        tell("pairs made", "32-true", size, lambda m=made, n=numbers: m.pair(next(n)))  # type: ignore[misc]
        for title, file in NETWORKS:
            for precision in PRECISIONS if gpu else PRECISIONS[:1]:
                changes = [f"device.accelerator={given.device}", f"device.precision={precision}"]
                config = load_config(CONFIGS / file, changes)
                tell(title, precision, size, stepping(config, size, given.device))
    text = "\n".join(lines) + "\n"
    if given.save:
        given.save.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
