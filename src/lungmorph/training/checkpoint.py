"""A run's whole state on disk, written whole or not at all, read without executing anything."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn, optim

from ..errors import InputError
from .stopping import Plateau

FORMAT_VERSION = 1


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        stage: index of the current stage; the number of stages once all are done.
        step: of the run, also the number of the next pair.
        stage_step: of the current stage.
        stage_seconds: spent in the current stage, over all sittings.
    """

    stage: int = 0
    step: int = 0
    stage_step: int = 0
    stage_seconds: float = 0.0


@dataclass
class State:
    """All that changes while a run goes on.

    Attributes:
        model: being trained.
        average: the moving average of its weights.
        best: the average's weights at the best validation of this stage; None before the first.
        optimizer: of the current stage; None between stages.
        plateau: of the current stage.
        progress: how far it has come.
    """

    model: nn.Module
    average: nn.Module
    best: dict[str, Tensor] | None
    optimizer: optim.Optimizer | None
    plateau: Plateau
    progress: Progress

    def save(self, path: Path, model_config: str) -> None:
        """Write to ``path``; ``model_config`` (JSON) is checked when it is read."""
        content = {
            "version": FORMAT_VERSION,
            "model_config": model_config,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
            "plateau": self.plateau.state(),
            "progress": asdict(self.progress),
        }
        temporary = path.with_name(f".{path.name}.part")
        torch.save(content, temporary)
        os.replace(temporary, path)


def read_checkpoint(path: Path, model_config: str, device: torch.device) -> dict[str, Any]:
    """What :meth:`State.save` wrote.

    Raises:
        InputError: not a checkpoint, damaged, or of a run with another network.
    """
    expected = "a checkpoint of this training run"
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, OSError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            path, expected=expected, found=f"a file that is not one ({line})"
        ) from error
    if not isinstance(content, dict) or content.get("version") != FORMAT_VERSION:
        raise InputError(path, expected=expected, found="another format")
    if content["model_config"] != model_config:
        raise InputError(
            path,
            expected=expected,
            found="one of a network with another config",
            do="train into another folder",
        )
    return content
