"""The training loop: stages in order, each with its optimizer, its budget and its criterion."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import remove_unfinished
from ..networks import RegistrationNetwork, save_model
from .average import update_average
from .budget import learning_rate, seconds_left, spent
from .checkpoint import CHECKPOINT, Progress, State, check_folder, read_checkpoint
from .config import TrainingConfig
from .divergence import ADVICE, diverged, run_away
from .fabric import check_batch, launched, summed
from .outcome import Outcome
from .record import Record
from .source import Pair, PairSource, at_factor, stream
from .stage_config import StageConfig
from .status import RunResult, Status
from .step import Stepper
from .stopping import Criterion
from .validation import Validation
from .warm_start import first_network

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)


def run(
    config: TrainingConfig,
    source: PairSource,
    validation: Sequence[Pair],
    folder: str | Path,
    resume: bool = True,
    *,
    fabric: Fabric | None = None,
    minutes: float | None = None,
    card: dict[str, Any] | None = None,
    watch: Callable[[Status], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> RunResult:
    """Train, or go on training, in ``folder``.

    Writes there ``config.yaml``, ``versions.json``, ``log.txt``, ``train.csv``, ``validation.csv``,
    ``curves.png``, ``tensorboard/``, ``checkpoint.pt``, ``weights.safetensors`` (the moving average
    at the best validation so far) and ``stage-1.safetensors`` ... (what each stage ended with). A run
    that was cut off goes on from its last checkpoint exactly as if it had not been, as long as no stage
    is limited by time.

    Args:
        config: of the run.
        source: of the training pairs.
        validation: pairs to measure on, in the form of the source's, on the working lattice; empty for
            none, and then the stopping criterion looks at the training loss.
        folder: of the run; made if it is not there.
        resume: go on from the folder's checkpoint, if there is one.
        fabric: launched; None to launch one as ``config.device`` says.
        minutes: stop this call, with a checkpoint, after so long; None to go on to the end.
        card: what to write into the weights' card besides the figures of the training.
        watch: called after every step, in the first process.
        stop: asked after every step; True ends this call, with a checkpoint.

    Raises:
        InputError: the checkpoint is damaged, of another network or of other stages, or there is one
            and ``resume`` is False; ``batch`` cannot be divided among the processes.
        FloatingPointError: the loss is no longer finite; with what to try.
    """
    fabric = launched(config.device) if fabric is None else fabric
    check_batch(config, fabric.world_size)
    folder = Path(folder)
    check_folder(folder, config, resume)
    folder.mkdir(parents=True, exist_ok=True)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    trainer = _Trainer(config, source, validation, folder, fabric, card)
    trainer.watch = watch
    trainer.asked = stop or (lambda: False)
    trainer.told_to_stop = lambda: (
        (deadline is not None and time.monotonic() >= deadline) or trainer.asked()
    )
    try:
        return trainer.run()
    finally:
        if trainer.record is not None:
            trainer.record.close()


class _Trainer:
    watch: Callable[[Status], None] | None
    asked: Callable[[], bool]
    told_to_stop: Callable[[], bool]

    def __init__(
        self,
        config: TrainingConfig,
        source: PairSource,
        validation: Sequence[Pair],
        folder: Path,
        fabric: Fabric,
        card: dict[str, Any] | None,
    ) -> None:
        self.config, self.source, self.fabric = config, source, fabric
        self.validation = Validation(fabric, config, validation)
        self.folder, self.card = folder, card or {}
        self.outcome: Outcome | None = None
        self._checkpoint = folder / CHECKPOINT
        self._advice = ADVICE[config.device.precision]
        began = self._checkpoint.exists()
        self.model = first_network(config, began).to(fabric.device)
        average = copy.deepcopy(self.model)
        self.state = State(self.model, average, None, None, Criterion(None, 0), Progress(), {})
        self._restored: dict[str, Any] = {}
        if began:
            self._restore()
        fabric.barrier()
        self.record: Record | None = None
        if fabric.is_global_zero:
            remove_unfinished(folder)
            progress = self.state.progress
            left = progress.stage < len(config.stages)
            again = config.named_stage(progress.stage).name if left and self._due() else None
            self.record = Record(folder, config, progress.step, again)

    def run(self) -> RunResult:
        """All stages that are left, or as many steps as there is time for."""
        progress = self.state.progress
        finished = True
        while progress.stage < len(self.config.stages):
            if not self._stage(self.config.named_stage(progress.stage)):
                finished = False
                break
        if finished:
            self._save()
        network = copy.deepcopy(self.state.average)
        if self.state.best is not None:
            network.load_state_dict(self.state.best)
        weights = self._export(network)
        if self.record is not None:
            self.record.curves()
        network.eval()
        kept = self.state.outcome
        outcome = None if kept is None else Outcome(**kept)
        return RunResult(network, finished, progress.step, outcome, weights)  # type: ignore[arg-type]

    # ---------------------------------------------------------- one stage

    def _stage(self, stage: StageConfig) -> bool:
        """False if it was told to stop before the stage's end."""
        state, progress = self.state, self.state.progress
        stepper = self._begin(stage)
        pairs = self._pairs(stage, stepper)
        saved, began, first = time.monotonic(), time.monotonic(), progress.stage_step
        while True:
            if self._due():
                looked = self._look(stage)
                self._save()
                saved = time.monotonic()
                if not looked:
                    return False
                if progress.stage_step == first:
                    began = saved
            if self._over(stage):
                break
            if self._anybody(self.told_to_stop()):
                self._save()
                return False
            numbers = stepper.step(pairs, learning_rate(progress, stage, self.config.warmup_steps))
            if wrong := diverged(numbers, self.config.device.precision):
                raise FloatingPointError(
                    f"{wrong} at step {progress.step} of stage {stage.name}: {self._advice}"
                )
            update_average(
                state.average, self.model, self.config.average_decay, progress.stage_step
            )
            progress.step += 1
            progress.stage_step += 1
            progress.stage_seconds += numbers["seconds"]
            progress.loss_sum += numbers["loss"]
            progress.loss_count += 1
            rate = (progress.stage_step - first) / (time.monotonic() - began)
            numbers["pairs_per_second"] = rate * self.config.batch
            if progress.step % self.config.log_every == 0:
                numbers["learning_rate"] = stepper.optimizer.param_groups[0]["lr"]
                if self.record is not None:
                    self.record.train(progress.step, stage, numbers)
            self._show(stage, numbers, rate)
            if time.monotonic() - saved >= 60 * self.config.checkpoint_minutes:
                self._save()
                saved = time.monotonic()
        if made := (progress.stage_step - first) * self.config.batch:
            log.info("stage %s: %.2f pairs/s", stage.name, made / (time.monotonic() - began))
        return self._end(stage)

    def _begin(self, stage: StageConfig) -> Stepper:
        state = self.state
        self.model.train()
        stepper = Stepper(self.fabric, self.config, stage, self.model)
        state.optimizer = stepper.optimizer
        state.criterion = Criterion(stage.patience, stage.min_improvement, stage.target)
        if self._restored.get("optimizer") is not None:
            state.optimizer.load_state_dict(self._restored["optimizer"])
            state.criterion.restore(self._restored["criterion"])
            self.fabric.strategy.precision.load_state_dict(self._restored["precision"])
        self._restored = {}
        log.info("stage %s from its step %d", stage.name, state.progress.stage_step)
        return stepper

    def _pairs(self, stage: StageConfig, stepper: Stepper) -> Iterator[Pair]:
        """The pairs of this process that are left in the stage; those of all processes are dealt out."""
        progress, batch = self.state.progress, self.config.batch
        left = stage.max_steps - progress.stage_step
        first = progress.step * batch + self.fabric.global_rank
        numbers = range(first, (progress.step + left) * batch, self.fabric.world_size)
        return stream(at_factor(self.source, stepper.reduced), numbers, self.config.workers)

    def _over(self, stage: StageConfig) -> bool:
        reached = self.state.criterion.reached or (
            "budget" if spent(self.state.progress, stage) >= 1 else ""
        )
        if reached:
            log.info("stage %s ends: %s", stage.name, reached)
        return bool(reached)

    def _due(self) -> bool:
        """Whether it is time to look."""
        progress = self.state.progress
        if progress.stage_step == 0 and not self.validation:
            return False
        # at the stage's start too: one that only makes things worse then ends with what it began with
        on_time = progress.stage_step % self.config.validate_every == 0
        return on_time and progress.looked_at != progress.stage_step

    def _anybody(self, wish: bool) -> bool:
        return summed(self.fabric, {"wish": float(wish)})["wish"] > 0

    def _show(self, stage: StageConfig, numbers: dict[str, float], rate: float) -> None:
        if self.watch is None or not self.fabric.is_global_zero:
            return
        progress = self.state.progress
        self.watch(
            Status(
                stage.name,
                progress.step,
                progress.stage_step,
                stage.max_steps,
                numbers["loss"],
                self.outcome,
                numbers["pairs_per_second"],
                seconds_left(progress, stage, rate),
                len(self.config.stages) - progress.stage - 1,
            )
        )

    # ---------------------------------------------------------- looking

    def _look(self, stage: StageConfig) -> bool:
        """Validate, or take the mean training loss, and let the criterion see it; False if told to stop on the way."""
        state, progress = self.state, self.state.progress
        if not self.validation:
            if progress.loss_count:
                state.criterion.observe(progress.loss_sum / progress.loss_count)
            progress.loss_sum, progress.loss_count = 0.0, 0
            progress.looked_at = progress.stage_step
            return True
        average: RegistrationNetwork = state.average  # type: ignore[assignment]
        # a signal ends it, not --minutes: runs of less than a validation would never get beyond it
        outcome = self.validation.outcome(average, stage, self.asked)
        if outcome is None:
            return False
        self.outcome = outcome
        progress.looked_at = progress.stage_step
        if self.record is not None:
            self.record.validation(progress.step, stage, outcome)
            if self.record.shows_pictures:
                self.record.picture(progress.step, self.validation.picture(average, stage))
        value = outcome.error if stage.watch == "error" else outcome.loss
        assert value is not None
        if not math.isfinite(value):
            # nothing would ever be better than that, and the stage end on a plateau
            raise FloatingPointError(
                f"the validation {stage.watch} is {value} at step {progress.step} of stage {stage.name}: {self._advice}"
            )
        if state.criterion.observe(value):
            state.best = {k: v.clone() for k, v in state.average.state_dict().items()}
            state.outcome = vars(outcome)
            self._export(state.average)
        return True

    def _end(self, stage: StageConfig) -> bool:
        """What the next stage starts from is the best average, not the last step's weights; False if told to stop."""
        state, progress = self.state, self.state.progress
        if progress.looked_at != progress.stage_step and not self._look(stage):
            self._save()
            return False
        if state.best is not None:
            state.average.load_state_dict(state.best)
        self.model.load_state_dict(state.average.state_dict())
        state.best = state.optimizer = None
        progress.stage += 1
        progress.stage_step, progress.stage_seconds, progress.looked_at = 0, 0.0, None
        progress.loss_sum, progress.loss_count = 0.0, 0
        state.criterion = Criterion(None, 0)
        self._export(state.average)
        self._export(state.average, f"stage-{progress.stage}.safetensors")
        self._save()
        if self.record is not None:
            self.record.curves()
        return True

    # ---------------------------------------------------------- disk

    def _save(self) -> None:
        progress = self.state.progress
        # the loss of the next step would tell; but what a run goes on from must be whole
        if wrong := run_away(self.model):
            raise FloatingPointError(f"{wrong} at step {progress.step}: {self._advice}")
        self.state.precision = self.fabric.strategy.precision.state_dict()
        if self.fabric.is_global_zero:
            self.state.save(self._checkpoint, self.config)

    def _restore(self) -> None:
        content = read_checkpoint(self._checkpoint, self.config, self.fabric.device)
        state = self.state
        self.model.load_state_dict(content["model"])
        state.average.load_state_dict(content["average"])
        state.best = content["best"]
        state.progress = Progress(**content["progress"])
        state.outcome = content["outcome"]
        if state.outcome is not None:
            self.outcome = Outcome(**state.outcome)
        self._restored = content
        log.info("resumed at step %d", state.progress.step)

    def _export(self, network: Any, name: str = "weights.safetensors") -> Path:
        path = self.folder / name
        if not self.fabric.is_global_zero:
            return path
        progress = self.state.progress
        figures: dict[str, Any] = {"steps": progress.step, "stage": progress.stage}
        if self.state.outcome is not None:
            figures["validation"] = self.state.outcome
        # at a stage's end the next one has begun, but learned nothing
        last = progress.stage if progress.stage_step else max(progress.stage - 1, 0)
        loss = self.config.loss_of(self.config.stages[last])
        figures["loss"] = json.loads(loss.model_dump_json())
        save_model(network, self.config.model, {**self.card, "training": figures}, path)
        return path
