"""Training: stages as data, a loop, a stopping criterion, checkpoints that resume exactly."""

from .config import DeviceConfig, TrainingConfig
from .config_file import load_config, save_config
from .loop import run
from .objective import Objective
from .outcome import Outcome, evaluate
from .source import PairSource
from .stage_config import LossWeights, StageConfig
from .stages import default_stages
from .status import RunResult, Status
from .stopping import Criterion
from .train import Trained, train

__all__ = [
    "Criterion",
    "DeviceConfig",
    "LossWeights",
    "Objective",
    "Outcome",
    "PairSource",
    "RunResult",
    "StageConfig",
    "Status",
    "Trained",
    "TrainingConfig",
    "default_stages",
    "evaluate",
    "load_config",
    "run",
    "save_config",
    "train",
]
