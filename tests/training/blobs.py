"""Moving blobs and a small network: a source of pairs for tests that train."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lungmorph.networks import LevelConfig, MultiLevelConfig
from lungmorph.training import LossWeights, TrainingConfig, default_stages

SHAPE = (16, 16, 18)  # no multiple of 4 along one axis: padded inside


def blob(centre: torch.Tensor) -> torch.Tensor:
    """HU (1, 1, D, H, W): soft tissue in air; ``centre`` (x, y, z) from the middle, voxels."""
    axes = [torch.arange(n) - (n - 1) / 2 - c for n, c in zip(SHAPE, centre.flip(0), strict=True)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return (1000 * torch.exp(-(x**2 + y**2 + z**2) / 50) - 1000)[None, None]


@dataclass
class Blobs:
    """One round blob that moves by up to three voxels: pair number n from n alone."""

    seed: int = 0
    fail_at: int | None = None
    asked: list[int] = field(default_factory=list)

    def pair(self, step: int) -> dict[str, torch.Tensor]:
        if step == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(step)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + step)
        centre, shift = 6 * torch.rand(2, 3, generator=generator) - 3
        moving, fixed = blob(centre), blob(centre - shift)
        displacement = shift.view(1, 3, 1, 1, 1).expand(1, 3, *SHAPE).contiguous()
        mask = torch.zeros(1, 1, *SHAPE, dtype=torch.bool)
        mask[:, :, 4:-4, 4:-4, 4:-4] = True
        return {
            "fixed": fixed,
            "moving": moving,
            "fixed_mask": mask,
            "displacement": displacement,
        }


MODEL = MultiLevelConfig(
    spacing_mm=4.0,
    window_hu=(-1000, 0),
    levels=(
        LevelConfig(downsamplings=1, entry=(8,), body=(12, 16)),
        LevelConfig(downsamplings=1, entry=(4,), body=(6,)),
    ),
)


def config(steps=(40, 6), joint=6, **changes) -> TrainingConfig:
    settings = {
        "model": MODEL,
        "stages": default_stages(steps, joint, learning_rate=2e-3, patience=None),
        "loss": LossWeights(displacement=1.0, diffusion=0.1),
        "warmup_steps": 3,
        "average_decay": 0.9,
        "log_every": 1,
        "validate_every": 10,
        "checkpoint_minutes": 0,
        "tensorboard": False,
        "device": {"accelerator": "cpu"},
    }
    return TrainingConfig(**(settings | changes))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def curve(path: Path) -> list[dict[str, str]]:
    """The rows without the one column that a clock decides."""
    return [dict(row, pairs_per_second="") for row in rows(path)]
