"""The training loop: stages in order, each with its optimizer, its budget and its criterion."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, optim

from ..errors import InputError
from ..networks import RegistrationNetwork, build, save_model
from .average import update_average
from .checkpoint import Progress, State, read_checkpoint
from .config import StageConfig, TrainingConfig
from .log import CsvLog
from .objective import Objective, Outcome, evaluate, prepared
from .source import Pair, PairSource, stream
from .stopping import Plateau

log = logging.getLogger(__name__)

_TRAIN_COLUMNS = (
    "step", "stage", "loss", "lncc", "diffusion", "jacobian", "displacement",
    "gradient", "learning_rate", "seconds",
)  # fmt: skip
_VALIDATION_COLUMNS = ("step", "stage", "levels", "error_mm", "start_mm", "lncc", "folded")


@dataclass(frozen=True)
class RunResult:
    """What a call of :func:`run` ended with.

    Attributes:
        network: the best so far, in eval mode, on the run's device.
        finished: whether all stages are done; otherwise the next call goes on.
        steps: done so far.
        outcome: of the last validation of this call, if there was one.
        weights: the file that :func:`lungmorph.networks.load_model` reads.
    """

    network: RegistrationNetwork
    finished: bool
    steps: int
    outcome: Outcome | None
    weights: Path


def run(
    config: TrainingConfig,
    source: PairSource,
    validation: Sequence[Pair],
    folder: str | Path,
    resume: bool = True,
    *,
    device: torch.device | str = "cpu",
    minutes: float | None = None,
    card: dict[str, Any] | None = None,
) -> RunResult:
    """Train, or go on training, in ``folder``.

    Writes there ``config.json``, ``train.csv``, ``validation.csv``, ``checkpoint.pt`` and
    ``weights.safetensors`` (the moving average at the best validation so far). A run that was cut
    off at a checkpoint goes on exactly as if it had not been, as long as no stage is limited by time.

    Args:
        config: of the run.
        source: of the training pairs.
        validation: pairs to measure on, in the form of the source's; empty for none, and then no
            stage ends before its budget does.
        folder: of the run; made if it is not there.
        resume: go on from the folder's checkpoint, if there is one.
        device: to train on.
        minutes: stop this call, with a checkpoint, after so long; None to go on to the end.
        card: what to write into the weights' card besides the figures of the training.

    Raises:
        InputError: the checkpoint is damaged or of another network, or there is one and ``resume``
            is False.
        FloatingPointError: the loss is no longer finite.
    """
    trainer = _Trainer(config, source, validation, Path(folder), resume, torch.device(device), card)
    return trainer.run(None if minutes is None else time.monotonic() + 60 * minutes)


class _Trainer:
    def __init__(
        self,
        config: TrainingConfig,
        source: PairSource,
        validation: Sequence[Pair],
        folder: Path,
        resume: bool,
        device: torch.device,
        card: dict[str, Any] | None,
    ) -> None:
        self.config, self.source, self.validation = config, source, validation
        self.folder, self.device, self.card = folder, device, card or {}
        self.objective = Objective(config.loss, config.model.spacing_mm)
        self.outcome: Outcome | None = None
        self._model_config = config.model.model_dump_json()
        self._checkpoint = folder / "checkpoint.pt"
        folder.mkdir(parents=True, exist_ok=True)
        self.model = build(config.model, config.seed).to(device)
        self.state = State(
            self.model, copy.deepcopy(self.model), None, None, Plateau(None, 0), Progress()
        )
        self._optimizer_state: dict[str, Any] | None = None
        self._plateau_state: dict[str, float] | None = None
        if self._checkpoint.exists():
            if not resume:
                raise InputError(
                    folder,
                    expected="a folder without a run in it",
                    found="a checkpoint",
                    do="resume it or name another folder",
                )
            self._restore()
        (folder / "config.json").write_text(config.model_dump_json(indent=2) + "\n")
        step = self.state.progress.step
        self.train_log = CsvLog(folder / "train.csv", _TRAIN_COLUMNS, step)
        self.validation_log = CsvLog(folder / "validation.csv", _VALIDATION_COLUMNS, step)

    def run(self, deadline: float | None) -> RunResult:
        """All stages that are left, or as many steps as there is time for."""
        progress = self.state.progress
        finished = True
        while progress.stage < len(self.config.stages):
            if not self._stage(self.config.stages[progress.stage], deadline):
                finished = False
                break
        if finished:
            self.state.save(self._checkpoint, self._model_config)
        network = copy.deepcopy(self.state.average)
        if self.state.best is not None:
            network.load_state_dict(self.state.best)
        weights = self._export(network)
        network.eval()
        return RunResult(network, finished, progress.step, self.outcome, weights)  # type: ignore[arg-type]

    # ---------------------------------------------------------- one stage

    def _stage(self, stage: StageConfig, deadline: float | None) -> bool:
        """False if time ran out before the stage's end."""
        state, progress = self.state, self.state.progress
        self._begin(stage)
        left = stage.max_steps - progress.stage_step
        pairs = stream(self.source, progress.step, progress.step + left, self.config.workers)
        saved = time.monotonic()
        while not self._over(stage):
            before = time.monotonic()
            if deadline is not None and before >= deadline:
                state.save(self._checkpoint, self._model_config)
                return False
            numbers = self._step(stage, next(pairs))
            progress.step += 1
            progress.stage_step += 1
            if progress.step % self.config.log_every == 0:
                self._log(stage, numbers, time.monotonic() - before)
            if progress.stage_step % self.config.validate_every == 0:
                self._validate(stage)
            progress.stage_seconds += time.monotonic() - before
            if time.monotonic() - saved >= 60 * self.config.checkpoint_minutes:
                state.save(self._checkpoint, self._model_config)
                saved = time.monotonic()
        self._end(stage)
        return True

    def _begin(self, stage: StageConfig) -> None:
        state = self.state
        self.model.train()
        self.model.freeze(stage.frozen)
        learning = [p for p in self.model.parameters() if p.requires_grad]
        state.optimizer = optim.Adam(learning, lr=stage.learning_rate)
        state.plateau = Plateau(stage.patience, stage.min_improvement)
        if self._optimizer_state is not None:
            state.optimizer.load_state_dict(self._optimizer_state)
            self._optimizer_state = None
        if self._plateau_state is not None:
            state.plateau.restore(self._plateau_state)
            self._plateau_state = None
        log.info("stage %s from its step %d", stage.name, state.progress.stage_step)
        if state.progress.stage_step == 0 and state.plateau.best == math.inf:
            # a stage that only makes things worse then ends with what it began with
            self._validate(stage)

    def _over(self, stage: StageConfig) -> bool:
        return self._spent(stage) >= 1 or self.state.plateau.reached

    def _spent(self, stage: StageConfig) -> float:
        """Share of the stage's budget that is used up, of steps or of time, whichever is more."""
        progress = self.state.progress
        steps = progress.stage_step / stage.max_steps
        if stage.max_minutes is None:
            return steps
        return max(steps, progress.stage_seconds / (60 * stage.max_minutes))

    def _step(self, stage: StageConfig, pair: Pair) -> dict[str, Tensor]:
        state, config = self.state, self.config
        assert state.optimizer is not None
        rate = stage.learning_rate * self._schedule(stage)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        batch = prepared(pair, config.model, self.device)
        outputs = self.model(batch["fixed"], batch["moving"], levels=stage.levels)
        loss, parts = self.objective(outputs, stage.output_weights, batch)
        if not math.isfinite(float(loss.detach())):
            raise FloatingPointError(
                f"the loss of step {state.progress.step} is {float(loss.detach())}"
            )
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        learning = state.optimizer.param_groups[0]["params"]
        norm = torch.nn.utils.clip_grad_norm_(learning, config.gradient_clip)
        state.optimizer.step()
        update_average(state.average, self.model, config.average_decay, state.progress.stage_step)
        return {"loss": loss.detach(), **parts, "gradient": norm}

    def _log(self, stage: StageConfig, numbers: dict[str, Tensor], seconds: float) -> None:
        assert self.state.optimizer is not None
        values = {name: float(value) for name, value in numbers.items()}
        values["learning_rate"] = self.state.optimizer.param_groups[0]["lr"]
        values["seconds"] = seconds
        self.train_log.add(
            {"step": self.state.progress.step, "stage": stage.name}
            | {name: f"{value:.6g}" for name, value in values.items()}
        )

    def _schedule(self, stage: StageConfig) -> float:
        """Linear warm-up, then half a cosine down to a hundredth."""
        warmup = (self.state.progress.stage_step + 1) / max(self.config.warmup_steps, 1)
        cosine = 0.5 * (1 + math.cos(math.pi * min(self._spent(stage), 1)))
        return min(warmup, 1) * max(cosine, 0.01)

    def _validate(self, stage: StageConfig) -> None:
        if not self.validation:
            return
        state = self.state
        average: RegistrationNetwork = state.average  # type: ignore[assignment]
        outcome = evaluate(average, self.validation, stage.levels, self.config.loss.lncc_radius)
        self.outcome = outcome
        values = {name: v for name, v in vars(outcome).items() if v is not None}
        self.validation_log.add(
            {"step": state.progress.step, "stage": stage.name, "levels": stage.levels}
            | {name: f"{value:.6g}" for name, value in values.items()}
        )
        log.info("%s step %d: %s", stage.name, state.progress.step, values)
        if state.plateau.observe(outcome.score):
            state.best = {k: v.clone() for k, v in state.average.state_dict().items()}
            self._export(average)

    def _end(self, stage: StageConfig) -> None:
        """What the next stage starts from is the best average, not the last step's weights."""
        state = self.state
        if state.progress.stage_step % self.config.validate_every != 0:
            self._validate(stage)
        if state.best is not None:
            state.average.load_state_dict(state.best)
        self.model.load_state_dict(state.average.state_dict())
        state.best = state.optimizer = None
        state.progress.stage += 1
        state.progress.stage_step = 0
        state.progress.stage_seconds = 0.0
        state.plateau = Plateau(None, 0)
        self._export(state.average)
        state.save(self._checkpoint, self._model_config)

    # ---------------------------------------------------------- disk

    def _restore(self) -> None:
        content = read_checkpoint(self._checkpoint, self._model_config, self.device)
        state = self.state
        self.model.load_state_dict(content["model"])
        state.average.load_state_dict(content["average"])
        state.best = content["best"]
        state.progress = Progress(**content["progress"])
        self._optimizer_state = content["optimizer"]
        self._plateau_state = content["plateau"] if self._optimizer_state is not None else None
        log.info("resumed at step %d", state.progress.step)

    def _export(self, network: torch.nn.Module) -> Path:
        path = self.folder / "weights.safetensors"
        progress = self.state.progress
        figures: dict[str, Any] = {"steps": progress.step, "stage": progress.stage}
        if self.outcome is not None:
            figures["validation"] = vars(self.outcome)
        figures["loss"] = json.loads(self.config.loss.model_dump_json())
        save_model(network, self.config.model, {**self.card, "training": figures}, path)
        return path
