"""Training: stages as data, a loop, a stopping criterion, checkpoints that resume exactly."""

from .config import LossWeights, StageConfig, TrainingConfig
from .loop import RunResult, run
from .objective import Objective, Outcome, evaluate
from .source import PairSource
from .stages import default_stages
from .stopping import Plateau

__all__ = [
    "LossWeights",
    "Objective",
    "Outcome",
    "PairSource",
    "Plateau",
    "RunResult",
    "StageConfig",
    "TrainingConfig",
    "default_stages",
    "evaluate",
    "run",
]
