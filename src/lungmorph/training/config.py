"""A training run as data: network, stages, loss, and how it is run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..networks import ModelConfig, MultiLevelConfig
from .data_config import DataConfig
from .stage_config import LossWeights, StageConfig
from .stages import default_stages

#: Most steps of a stage in the default scheme.
_STEPS = 20_000


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DeviceConfig(_Model):
    """Where and how it is computed, as Lightning Fabric names it.

    Attributes:
        accelerator: "auto" takes a GPU if there is one.
        devices: how many; under torchrun, what torchrun says.
        precision: "32-true", "bf16-mixed" or "16-mixed"; displacements are composed in float32 in any case.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int = Field(default=1, ge=1)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"


def _with_loss(stage: Any, loss: dict[str, Any]) -> Any:
    own = stage.get("loss") if isinstance(stage, dict) else None
    return {**stage, "loss": {**loss, **own}} if isinstance(own, dict) else stage


class TrainingConfig(_Model):
    """Everything that decides a run.

    Attributes:
        model: the network.
        stages: in order; if left out, each level alone with those before it frozen, then all joined.
        loss: weights.
        loss_at: the lattice for pairs and losses: of the "level" that is trained, or "full".
        data: where pairs come from.
        init: weights to begin with, a shipped name or a file; levels that they lack begin fresh.
        seed: of the network's first weights and of the choice and augmentation of pairs.
        batch: pairs a step, over all processes; each has its own lattice, so gradients are added up.
        recompute: gradient checkpointing: a quarter less memory in multi-level networks, a tenth more time.
        device: where it is computed.
        warmup_steps: over which each stage's learning rate rises from 0.
        gradient_clip: greatest norm of a step's gradient.
        average_decay: of the moving average of the weights, which is what is validated and kept.
        log_every: steps between rows of the log.
        validate_every: steps between validations, each followed by a checkpoint.
        checkpoint_minutes: most minutes between checkpoints; 0 for one after every step.
        tensorboard: write curves and pictures for TensorBoard, where it is installed.
        workers: processes that make pairs ahead; 0 to make them in the loop.
    """

    model: ModelConfig = Field(discriminator="kind")
    stages: tuple[StageConfig, ...] = ()
    loss: LossWeights = LossWeights()
    loss_at: Literal["level", "full"] = "level"
    data: DataConfig = DataConfig()
    init: str | None = None
    seed: int = Field(default=0, ge=0)
    batch: int = Field(default=1, ge=1)
    recompute: bool = False
    device: DeviceConfig = DeviceConfig()
    warmup_steps: int = Field(default=100, ge=0)
    gradient_clip: float = Field(default=1.0, gt=0)
    average_decay: float = Field(default=0.995, ge=0, lt=1)
    log_every: int = Field(default=10, ge=1)
    validate_every: int = Field(default=250, ge=1)
    checkpoint_minutes: float = Field(default=3.0, ge=0)
    tensorboard: bool = True
    workers: int = Field(default=0, ge=0)

    @property
    def level_count(self) -> int:
        """Levels of the network."""
        return len(self.model.levels) if isinstance(self.model, MultiLevelConfig) else 1

    def image_factor(self, stage: StageConfig) -> int:
        """Voxels of the working lattice to one of the lattice on which a stage's pairs are made."""
        return self.model.image_factor(stage.levels) if self.loss_at == "level" else 1

    def loss_of(self, stage: StageConfig) -> LossWeights:
        """The weights of a stage's loss."""
        return stage.loss or self.loss

    def named_stage(self, number: int) -> StageConfig:
        """The stage of this number (from 0), for logs: where another has its name, with its number (from 1)."""
        stage = self.stages[number]
        if sum(stage.name == other.name for other in self.stages) == 1:
            return stage
        return stage.model_copy(update={"name": f"{stage.name} ({number + 1})"})

    @model_validator(mode="before")
    @classmethod
    def _stages_say_what_differs(cls, given: Any) -> Any:
        """A stage's loss in a file names what is not as in the run's."""
        if not isinstance(given, dict) or not isinstance(given.get("loss"), dict):
            return given
        stages = given.get("stages")
        if not isinstance(stages, list | tuple):
            return given
        return {**given, "stages": [_with_loss(stage, given["loss"]) for stage in stages]}

    @model_validator(mode="after")
    def _stages_fit_the_model(self) -> TrainingConfig:
        if not self.stages:
            joint = _STEPS if self.level_count > 1 else 0
            # the only place where a frozen config is completed, before anybody has seen it
            object.__setattr__(self, "stages", default_stages((_STEPS,) * self.level_count, joint))
        for stage in self.stages:
            if stage.levels > self.level_count:
                raise ValueError(
                    f"stage {stage.name!r} runs {stage.levels} levels of {self.level_count}"
                )
            if not set(stage.frozen) <= set(range(self.level_count)):
                raise ValueError(
                    f"stage {stage.name!r} freezes levels {list(stage.frozen)}, "
                    f"of 0 to {self.level_count - 1}"
                )
        return self
