"""A run's whole state on disk, written whole or not at all, read without executing anything."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim

from ..errors import InputError
from ..files import replacing
from .config import TrainingConfig
from .stopping import Criterion

FORMAT_VERSION = 2
#: Its name in the folder of a run.
CHECKPOINT = "checkpoint.pt"
_KEPT = {
    "model_config", "stages", "model", "average", "best", "optimizer", "criterion", "progress", "precision", "outcome",
}  # fmt: skip


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        stage: index of the current stage; the number of stages once all are done.
        step: of the run.
        stage_step: of the current stage.
        stage_seconds: spent in the current stage, over all sittings.
        loss_sum, loss_count: of the training losses since the last look at them.
        looked_at: ``stage_step`` of the last look at the stage; None before the first.
    """

    stage: int = 0
    step: int = 0
    stage_step: int = 0
    stage_seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    looked_at: int | None = None


@dataclass
class State:
    """All that changes while a run goes on.

    Attributes:
        model: being trained.
        average: the moving average of its weights.
        best: the average's weights at the best validation of this stage; None before the first.
        optimizer: of the current stage; None between stages.
        criterion: of the current stage.
        progress: how far it has come.
        precision: of 16-bit training: the scale of its gradients.
        outcome: of the weights that are kept, as a dict; None before the first validation.
    """

    model: nn.Module
    average: nn.Module
    best: dict[str, Tensor] | None
    optimizer: optim.Optimizer | None
    criterion: Criterion
    progress: Progress
    precision: dict[str, Any]
    outcome: dict[str, Any] | None = None

    def save(self, path: Path, config: TrainingConfig) -> None:
        """Write to ``path``; what it has to have in common with the config is checked when it is read."""
        content = {
            "version": FORMAT_VERSION,
            "model_config": config.model.model_dump_json(),
            "stages": _stages(config, self.progress.stage),
            "learns_from": config.data.learns_from(),
            "seed": config.seed,
            "init": _init(config),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
            "criterion": self.criterion.state(),
            "progress": asdict(self.progress),
            "precision": self.precision,
            "outcome": self.outcome,
        }
        with replacing(path) as temporary:
            torch.save(content, temporary)


def check_folder(folder: Path, config: TrainingConfig, resume: bool = True) -> bool:
    """Look at what is in a run's folder before anything is computed for it; True if there is a run to go on with.

    Raises:
        InputError: it is a file; there is a run in it that is not to be resumed; its checkpoint is one
            that :func:`read_checkpoint` refuses.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(folder, expected="the folder of a run", found="a file")
    path = folder / CHECKPOINT
    if not path.exists():
        return False
    if not resume:
        raise InputError(
            folder,
            expected="a folder without a run in it",
            found="a checkpoint",
            do="resume it or name another folder",
        )
    read_checkpoint(path, config, torch.device("cpu"))
    return True


def read_checkpoint(path: Path, config: TrainingConfig, device: torch.device) -> dict[str, Any]:
    """What :meth:`State.save` wrote.

    Raises:
        InputError: not a checkpoint, damaged, of a run with another network, of one whose stages
            up to here were others, or of one that learned from other data: then what is validated on
            now may be what was trained on.
    """
    expected = "a checkpoint of this training run"
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # what is damaged fails in ways without number
        line = str(error).partition("\n")[0]
        if isinstance(error, LookupError) or not line:
            line = type(error).__name__
        if "weights_only" in str(error):  # torch's advice is to execute what is in the file
            line = "no checkpoint, or one that would have to be executed"
        raise InputError(
            path,
            expected=expected,
            found=f"a file that is not one ({line})",
            do="restore it from a copy, or train into another folder",
        ) from error
    if not isinstance(content, dict) or content.get("version") != FORMAT_VERSION:
        raise InputError(path, expected=expected, found="another format")
    if missing := _KEPT - content.keys():
        raise InputError(path, expected=expected, found=f"one without {min(missing)}")
    other, do = "", "train into another folder"
    if content["model_config"] != config.model.model_dump_json():
        other = "one of a network with another config"
    elif content["stages"] != _stages(config, len(content["stages"]) - 1):
        other = f"one that came through other stages ({', '.join(content['stages'])})"
    elif content.get("learns_from", config.data.learns_from()) != config.data.learns_from():
        other = "one that learned from other data, or from other patients of them"
    elif content.get("seed", config.seed) != config.seed:
        other = f"one with the seed {content['seed']}, of other patients and pairs"
    elif content.get("init", _init(config)) != _init(config):
        other = f"one with init={content['init'] or 'null'}, which is not read again"
        do = "leave it as it was, or train into another folder"
    if other:
        raise InputError(path, expected=expected, found=other, do=do)
    progress = content["progress"]
    # before it was written down, a look was always over when a checkpoint was written
    began = content["criterion"]["best"] < math.inf or progress["stage_step"] > 0
    progress.setdefault("looked_at", progress["stage_step"] if began else None)
    return content


def _init(config: TrainingConfig) -> str | None:
    """What the run began with, wherever the file is now."""
    return None if config.init is None else Path(config.init).name


def _stages(config: TrainingConfig, current: int) -> list[str]:
    """What cannot be changed any more: the stages that are done, and what the current one trains."""
    return [
        f"{stage.name}: levels {stage.levels}, frozen {list(stage.frozen)}"
        for stage in config.stages[: current + 1]
    ]
