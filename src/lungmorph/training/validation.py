"""Looking at the validation pairs, each process at its share of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..networks import RegistrationNetwork
from .config import TrainingConfig
from .curves import pair_picture
from .fabric import summed
from .objective import Objective, prepared
from .outcome import Outcome, evaluated, outcome_of
from .source import Pair
from .stage_config import StageConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Validation:
    """The validation pairs of a run.

    Args:
        fabric: launched.
        config: of the run.
        pairs: on the working lattice, the same in all processes.
    """

    def __init__(self, fabric: Fabric, config: TrainingConfig, pairs: Sequence[Pair]) -> None:
        self._fabric, self._config, self._pairs = fabric, config, pairs

    def __bool__(self) -> bool:
        return len(self._pairs) > 0

    def outcome(
        self,
        network: RegistrationNetwork,
        stage: StageConfig,
        stop: Callable[[], bool] = lambda: False,
    ) -> Outcome | None:
        """Means over all pairs, with the loss of the stage's last output.

        None, in all processes, where ``stop``, asked before each pair, ended it in one of them.
        """
        loss, rank, world = (
            self._config.loss_of(stage),
            self._fabric.global_rank,
            self._fabric.world_size,
        )
        objective = Objective(loss, self._config.model, at_level=self._config.loss_at == "level")
        mine = self._pairs[rank::world]
        sums = evaluated(network, mine, stage.levels, loss.lncc_radius, objective, stop)
        flat = {f"{name} {i}": float(v) for name, pair in sums.items() for i, v in enumerate(pair)}
        flat = summed(self._fabric, flat)
        if round(flat["lncc 1"]) < len(self._pairs):
            return None
        return outcome_of({name: (flat[f"{name} 0"], round(flat[f"{name} 1"])) for name in sums})

    @torch.no_grad()
    def picture(self, network: RegistrationNetwork, stage: StageConfig) -> Tensor:
        """The first pair, as :func:`lungmorph.training.curves.pair_picture` shows it."""
        pair = prepared(self._pairs[0], self._config.model, self._fabric.device)
        return pair_picture(pair, network(pair["fixed"], pair["moving"], levels=stage.levels)[-1])
