"""A training run as data."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..networks import ModelConfig, MultiLevelConfig

Weight = Annotated[float, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LossWeights(_Model):
    """What the loss is made of; a weight of 0 leaves a part out.

    Attributes:
        lncc: times 1 - LNCC over the fixed lungs.
        lncc_radius: of its window, voxels of the working lattice.
        diffusion: times the mean squared gradient of the displacement, everywhere.
        jacobian: times the folding penalty, everywhere.
        displacement: times the distance to the true displacement over the fixed lungs, 1/mm; used
            where a pair knows its truth.
    """

    lncc: Weight = 1.0
    lncc_radius: int = Field(default=2, ge=1)
    diffusion: Weight = 0.5
    jacobian: Weight = 0.0
    displacement: Weight = 0.1


class StageConfig(_Model):
    """One stage: which levels run, which of them learn, and when it ends.

    Attributes:
        name: in logs.
        levels: how many levels run.
        frozen: levels (from 0) that keep their weights.
        output_weights: of the loss after each level that runs (deep supervision).
        learning_rate: after the warm-up; then it falls as a cosine to a hundredth at the end.
        max_steps: at most.
        max_minutes: at most; with it, a run is no longer the same from machine to machine.
        patience: validations without improvement after which the stage ends; None for never.
        min_improvement: what counts as one, relative.
    """

    name: str
    levels: int = Field(ge=1)
    frozen: tuple[int, ...] = ()
    output_weights: tuple[Weight, ...]
    learning_rate: float = Field(default=1e-3, gt=0)
    max_steps: int = Field(ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    patience: int | None = Field(default=8, ge=1)
    min_improvement: float = Field(default=0.005, ge=0)

    @model_validator(mode="after")
    def _weights_fit(self) -> StageConfig:
        if len(self.output_weights) != self.levels or not any(self.output_weights):
            raise ValueError(
                f"output_weights needs one number for each of {self.levels} levels, not all 0"
            )
        if set(range(self.levels)) <= set(self.frozen):
            raise ValueError("a stage must leave at least one of its levels to be trained")
        return self


class TrainingConfig(_Model):
    """Everything that decides a run, but for its pairs.

    Attributes:
        model: the network.
        stages: in order.
        loss: weights.
        seed: of the network's first weights.
        warmup_steps: over which each stage's learning rate rises from 0.
        gradient_clip: greatest norm of a step's gradient.
        average_decay: of the moving average of the weights, which is what is validated and kept.
        log_every: steps between rows of the log.
        validate_every: steps between validations.
        checkpoint_minutes: between checkpoints; 0 for one after every step.
        workers: processes that make pairs ahead; 0 to make them in the loop.
    """

    model: ModelConfig = Field(discriminator="kind")
    stages: tuple[StageConfig, ...] = Field(min_length=1)
    loss: LossWeights = LossWeights()
    seed: int = 0
    warmup_steps: int = Field(default=100, ge=0)
    gradient_clip: float = Field(default=1.0, gt=0)
    average_decay: float = Field(default=0.995, ge=0, lt=1)
    log_every: int = Field(default=10, ge=1)
    validate_every: int = Field(default=250, ge=1)
    checkpoint_minutes: float = Field(default=3.0, ge=0)
    workers: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _stages_fit_the_model(self) -> TrainingConfig:
        most = len(self.model.levels) if isinstance(self.model, MultiLevelConfig) else 1
        for stage in self.stages:
            if stage.levels > most:
                raise ValueError(f"stage {stage.name!r} runs {stage.levels} levels of {most}")
        return self
