"""How much of a stage's budget is used up, and what follows from it: the learning rate, and the time that is left."""

from __future__ import annotations

import math

from .checkpoint import Progress
from .stage_config import StageConfig


def spent(progress: Progress, stage: StageConfig) -> float:
    """Share of the stage's budget that is used up, of steps or of time, whichever is more."""
    steps = progress.stage_step / stage.max_steps
    if stage.max_minutes is None:
        return steps
    return max(steps, progress.stage_seconds / (60 * stage.max_minutes))


def learning_rate(progress: Progress, stage: StageConfig, warmup_steps: int) -> float:
    """Of the next step: linear warm-up, then half a cosine down to a hundredth."""
    warmup = (progress.stage_step + 1) / max(warmup_steps, 1)
    cosine = 0.5 * (1 + math.cos(math.pi * min(spent(progress, stage), 1)))
    return stage.learning_rate * min(warmup, 1) * max(cosine, 0.01)


def seconds_left(progress: Progress, stage: StageConfig, rate: float) -> float:
    """Until the stage's budget is used up, at so many steps a second."""
    left = (stage.max_steps - progress.stage_step) / rate
    if stage.max_minutes is not None:
        left = min(left, max(60 * stage.max_minutes - progress.stage_seconds, 0.0))
    return left
