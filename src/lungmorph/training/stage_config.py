"""The loss and the stages of a training run, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Weight = Annotated[float, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LossWeights(_Model):
    """What the loss is made of; a weight of 0 leaves a part out.

    Attributes:
        lncc: times 1 - LNCC over the fixed lungs.
        lncc_radius: of its window, voxels of the lattice where the loss is computed.
        mind: times the mean squared difference of MIND-SSC over the fixed lungs.
        mass: times the mean squared difference of tissue density, volume change allowed for, over the
            fixed lungs, (g/ml)^2.
        diffusion: times the mean squared gradient of the displacement, everywhere.
        bending: times the mean squared second derivative, everywhere, 1/mm^2.
        tv: times the isotropic total variation, everywhere.
        jacobian: times the folding penalty, everywhere.
        displacement: times the distance to the true displacement over the fixed lungs, 1/mm; used
            where a pair knows its truth.
        landmarks: times the mean distance of landmarks or keypoints, 1/mm; used where a pair has some.
        forward_backward: times the distance by which a point misses itself, there and back, over the
            fixed lungs, 1/mm. The network then runs in both directions.
    """

    lncc: Weight = 1.0
    lncc_radius: int = Field(default=2, ge=1)
    mind: Weight = 0.0
    mass: Weight = 0.0
    diffusion: Weight = 0.5
    bending: Weight = 0.0
    tv: Weight = 0.0
    jacobian: Weight = 0.0
    displacement: Weight = 0.0
    landmarks: Weight = 0.0
    forward_backward: Weight = 0.0

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> LossWeights:
        if not any((self.lncc, self.mind, self.mass, self.displacement, self.landmarks)):
            raise ValueError(
                "one of lncc, mind, mass, displacement, landmarks must be above 0, "
                "or the best answer is no displacement"
            )
        return self


class StageConfig(_Model):
    """One stage: which levels run, which of them learn, and when it ends.

    Attributes:
        name: in logs.
        levels: how many levels run.
        frozen: levels (from 0) that keep their weights.
        output_weights: of the loss after each level that runs (deep supervision); by default only
            the last one counts.
        loss: of this stage alone, if it is not the run's. A file says only what differs.
        learning_rate: after the warm-up; then it falls as a cosine to a hundredth at the end.
        max_steps: at most.
        max_minutes: at most; with it, a run is no longer the same from machine to machine.
        watch: what the stopping criterion looks at, after each validation: the "loss" of the
            validation pairs (of the training pairs since the last look, if there are none), or their
            "error" in mm (1 - LNCC, if none knows its truth).
        patience: looks without improvement after which the stage ends (plateau); None for never.
        min_improvement: what counts as one, relative.
        target: the stage ends as soon as what is watched is at most this; None for never.
    """

    name: str
    levels: int = Field(ge=1)
    frozen: tuple[int, ...] = ()
    output_weights: tuple[Weight, ...] = ()
    loss: LossWeights | None = None
    learning_rate: float = Field(default=1e-3, gt=0)
    max_steps: int = Field(ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    watch: Literal["loss", "error"] = "loss"
    patience: int | None = Field(default=8, ge=1)
    min_improvement: float = Field(default=0.005, ge=0)
    target: float | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> StageConfig:
        if self.output_weights and (
            len(self.output_weights) != self.levels or not self.output_weights[-1]
        ):
            raise ValueError(
                f"output_weights needs one number for each of {self.levels} levels, the last above 0"
            )
        if set(range(self.levels)) <= set(self.frozen):
            raise ValueError("a stage must leave at least one of its levels to be trained")
        return self

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the output after each level that runs."""
        return self.output_weights or (0.0,) * (self.levels - 1) + (1.0,)
