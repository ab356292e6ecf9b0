"""One step of the optimiser, over all pairs of its batch and all processes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor, nn, optim

from .config import TrainingConfig
from .fabric import summed
from .objective import PARTS, Objective, prepared
from .outcome import answers
from .source import Pair
from .stage_config import StageConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Stepper:
    """Takes the steps of one stage.

    Args:
        fabric: launched.
        config: of the run.
        stage: of them.
        model: raw; its levels that do not learn in the stage are frozen here.

    Attributes:
        optimizer: Adam (Kingma & Ba 2015), whose state goes into the checkpoint.
    """

    def __init__(
        self, fabric: Fabric, config: TrainingConfig, stage: StageConfig, model: nn.Module
    ) -> None:
        self.fabric, self.config, self.stage = fabric, config, stage
        self.mine = config.batch // fabric.world_size
        self.reduced = config.image_factor(stage)
        self.at_level = config.loss_at == "level"
        self.objective = Objective(
            config.loss_of(stage), config.model, self.reduced, at_level=self.at_level
        )
        # what does not run has no gradient, which DDP would wait for
        idle = range(stage.levels, config.level_count)
        model.freeze({*stage.frozen, *idle})  # type: ignore[operator]
        model.recompute(config.recompute)  # type: ignore[operator]
        learning = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = optim.Adam(learning, lr=stage.learning_rate)
        self._model, self._optimizer = fabric.setup(model, self.optimizer)

    def step(self, pairs: Iterator[Pair], rate: float) -> dict[str, float]:
        """Learn from the next pairs of this process.

        Args:
            pairs: of this process.
            rate: learning rate.

        Returns:
            Means over the whole batch: "loss", the parts of it, "gradient" (its norm before it was
            clipped), and "seconds", also spent on waiting for the pairs.
        """
        before = time.monotonic()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # how often a part was there counts too: not every pair knows its truth
        sums = dict.fromkeys(("loss", *PARTS, *(f"n_{part}" for part in PARTS)), 0.0)
        self.optimizer.zero_grad(set_to_none=True)
        for number in range(self.mine):
            waiting = number < self.mine - 1
            with self.fabric.no_backward_sync(self._model, enabled=waiting):
                loss, parts = self._loss(next(pairs))
                self.fabric.backward(loss / self.mine)
            sums["loss"] += float(loss.detach())
            for part, value in parts.items():
                sums[part] += float(value)
                sums[f"n_{part}"] += 1
        norm = self.fabric.clip_gradients(
            self._model,
            self._optimizer,
            max_norm=self.config.gradient_clip,
            error_if_nonfinite=False,
        )
        self._optimizer.step()
        sums = summed(self.fabric, sums | {"seconds": time.monotonic() - before})
        means = {p: sums[p] / sums[f"n_{p}"] for p in PARTS if sums[f"n_{p}"]}
        means["loss"] = sums["loss"] / self.config.batch
        means["gradient"] = float(norm) if norm is not None else math.nan
        means["seconds"] = sums["seconds"] / self.fabric.world_size
        return means

    def _loss(self, pair: Pair) -> tuple[Tensor, dict[str, Tensor]]:
        batch = prepared(pair, self.config.model, self.fabric.device)
        outputs = answers(
            self._model,
            batch,
            self.stage.levels,
            self.objective.both_ways,
            reduced=self.reduced,
            own_lattice=self.at_level,
        )
        return self.objective(outputs, self.stage.weights, batch)
