"""A training step against a naive one of the same size: the pair, and forward, backward and update on it.

    python benchmarks/training_step.py [--threads 1] [--turns 5] [--save FILE]

Both train a level of a two-level network on a chest of 96 x 80 x 112 voxels of 3 mm, on a CPU: the first level works at 12 mm, the second,
with the first frozen below it, at 6 mm. The naive one is what is written first: all of it at 3 mm, transposed convolutions up to there,
`grid_sample`, LNCC by five `avg_pool3d`, a random field integrated there, one image warped by it. Ours are the parts that `lungmorph train` is made of.
They are timed in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import date
from itertools import count, cycle
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lungmorph.networks.unet import UNet
from lungmorph.simulate import TrainingPairs
from lungmorph.training import load_config
from lungmorph.training.fabric import launched
from lungmorph.training.step import Stepper
from lungmorph.training.warm_start import first_network

SHAPE, SPACING_MM = (96, 80, 112), 3.0
BODY, ENTRY, RADIUS = (32, 48, 64), 16, 2
CONFIG = Path(__file__).resolve().parents[1] / "configs" / "multilevel.yaml"
LEVELS = (
    f"model.levels=[{{reduce: 1, downsamplings: 1, entry: [{ENTRY}], body: {list(BODY)}}}, "
    f"{{downsamplings: 1, entry: [{ENTRY}], body: {list(BODY)}}}]"
)


def points(displacement: Tensor) -> Tensor:
    """Where `grid_sample` reads for a displacement (1, 3, D, H, W) in voxels."""
    shape = displacement.shape[2:]
    axes = [torch.linspace(-1, 1, n) for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    half = torch.tensor([(n - 1) / 2 for n in reversed(shape)])
    return torch.stack((x, y, z), dim=-1)[None] + displacement.movedim(1, -1) / half


def warped(image: Tensor, displacement: Tensor) -> Tensor:
    """An image read at p + u(p)."""
    return F.grid_sample(image, points(displacement), padding_mode="border", align_corners=True)


def naive_pair(image: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """A patient moved by a random field of three scales, which is integrated at full resolution; its volume change in the HU."""
    velocity = sum(
        (F.interpolate(size * torch.randn(1, 3, n, n, n), SHAPE, mode="trilinear") for n, size in ((3, 4.0), (6, 2.0), (12, 1.0))),
        torch.zeros(()),
    )  # fmt: skip
    field = velocity / 2**7
    for _ in range(7):
        field = field + warped(field, field)
    slopes = torch.stack(torch.gradient(field[0], dim=(3, 2, 1)), dim=1).movedim((0, 1), (-2, -1))
    volume = torch.linalg.det(slopes + torch.eye(3))
    fixed, lungs = warped(image, field), warped(mask, field) > 0.5
    fixed = torch.where(lungs, (fixed + 1000) * volume - 1000, fixed)
    return {
        "fixed": fixed + 15 * torch.randn_like(fixed),
        "moving": image + 15 * torch.randn_like(image),
        "lungs": lungs,
    }


class NaiveLevel(nn.Module):
    """s strided convolutions, the same body, s transposed convolutions, a field at full resolution."""

    def __init__(self, downsamplings: int) -> None:
        super().__init__()
        sizes = [5, *[ENTRY] * downsamplings]
        self.down = nn.Sequential(
            *(nn.Sequential(nn.Conv3d(a, ENTRY, 4, 2, 1), nn.LeakyReLU(0.1)) for a in sizes[:-1])
        )
        self.body = UNet(ENTRY, BODY, 1, "instance")
        sizes = [BODY[0], *[ENTRY] * downsamplings]
        self.up = nn.Sequential(
            *(nn.Sequential(nn.ConvTranspose3d(a, ENTRY, 4, 2, 1), nn.LeakyReLU(0.1)) for a in sizes[:-1])
        )  # fmt: skip
        self.head = nn.Conv3d(ENTRY, 3, 3, padding=1)

    def forward(self, fixed: Tensor, moving: Tensor, so_far: Tensor) -> Tensor:
        """The displacement with what is added to it."""
        x = torch.cat((fixed, warped(moving, so_far), so_far), dim=1)
        update = self.head(self.up(self.body(self.down(x))))
        return update + warped(so_far, update)


def naive_loss(fixed: Tensor, moving: Tensor, lungs: Tensor, field: Tensor) -> Tensor:
    """One minus LNCC in the lungs, and diffusion."""
    image = warped(moving, field)

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool3d(values, 2 * RADIUS + 1, stride=1, padding=RADIUS)

    ours, other = mean(fixed), mean(image)
    cross = mean(fixed * image) - ours * other
    spread = (mean(fixed * fixed) - ours**2 + 1e-4) * (mean(image * image) - other**2 + 1e-4)
    alike = cross / spread.clamp_min(1e-8).sqrt()
    rough = sum((field.diff(dim=dim) ** 2).sum(1).mean() for dim in (2, 3, 4))
    return 1 - alike[lungs].mean() + 0.5 * rough


def naive(
    stage: int, made: TrainingPairs
) -> tuple[Callable[[], object], Callable[[], object], int]:
    """What makes a pair, what takes a step on one, and how many weights learn."""
    patient = made.pair(0)
    image, mask = (
        F.interpolate(patient[name].float(), SHAPE) for name in ("moving", "moving_mask")
    )
    coarse, level = NaiveLevel(2), NaiveLevel(2 if stage == 0 else 1)
    optimizer = torch.optim.Adam(level.parameters(), 1e-3)
    pair = naive_pair(image, mask)

    def step() -> None:
        fixed, moving = ((pair[name] + 1000) / 1200 for name in ("fixed", "moving"))
        so_far = torch.zeros(1, 3, *SHAPE)
        if stage == 1:
            with torch.no_grad():
                so_far = coarse(fixed, moving, so_far)
        optimizer.zero_grad()
        naive_loss(fixed, moving, pair["lungs"], level(fixed, moving, so_far)).backward()
        optimizer.step()

    return lambda: naive_pair(image, mask), step, sum(p.numel() for p in level.parameters())


class Boxed(TrainingPairs):
    """Pairs on a lattice of one shape."""

    shape = SHAPE

    def _lattice(self, draw, anatomy):  # type: ignore[no-untyped-def]
        grid = super()._lattice(draw, anatomy)
        return type(grid)(tuple(reversed(self.shape)), grid.spacing, grid.origin)


def ours(stage: int, precision: str) -> tuple[Callable[[], object], Callable[[], object], int]:
    """The same of `lungmorph train`."""
    config = load_config(
        CONFIG,
        [LEVELS, f"model.spacing_mm={SPACING_MM}", "device.accelerator=cpu", f"device.precision={precision}"],
    )  # fmt: skip
    fabric = launched(config.device)
    model = first_network(config)
    model.train()
    stepper = Stepper(fabric, config, config.stages[stage], model)
    factor = config.image_factor(config.stages[stage])
    made = Boxed(0, SPACING_MM * factor, pool=4, renew_every=10**9)
    made.shape = tuple(n // factor for n in SHAPE)
    numbers = count(100)
    pairs = cycle([made.pair(n) for n in range(8)])
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return lambda: made.pair(next(numbers)), lambda: stepper.step(pairs, 1e-3), learning


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--save", type=Path, help="file for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lines = [
        f"## A training step and a naive one, {date.today()}",
        f"`python benchmarks/training_step.py --threads {given.threads} --turns {given.turns}`: medians, seconds.",
        "",
        "| | | weights that learn | pair | step | both | of the naive | pairs a second |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for stage in (0, 1):
        torch.manual_seed(0)
        rows = {
            "naive": naive(stage, Boxed(0, SPACING_MM, pool=4)),
            "ours": ours(stage, "32-true"),
            "ours, bf16-mixed": ours(stage, "bf16-mixed"),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
        for turn in range(given.turns + 1):
            for name, (pair, step, _) in rows.items():
                found = (seconds(pair), seconds(step))
                if turn:
                    taken[name].append(found)
        first = None
        for name, (_, _, learning) in rows.items():
            pair, step = (median(part) for part in zip(*taken[name], strict=True))
            first = first or pair + step
            lines.append(
                f"| level {stage + 1} | {name} | {learning:,} | {pair:.2f} | {step:.2f} | {pair + step:.2f} "
                f"| {(pair + step) / first:.2f} | {1 / (pair + step):.2f} |"
            )
            print(lines[-1], flush=True)
    if given.save:
        given.save.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
