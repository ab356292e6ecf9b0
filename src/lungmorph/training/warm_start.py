"""The weights that a run begins with."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from ..networks import MultiLevel, MultiLevelConfig, RegistrationNetwork, build, load_model
from .config import TrainingConfig

log = logging.getLogger(__name__)


def first_network(config: TrainingConfig, resumed: bool = False) -> RegistrationNetwork:
    """A network with fresh weights, or with those of ``config.init`` as far as they go.

    A level after the last one of ``init`` begins as a copy of that, if it is built alike: what finds a
    rest of the motion can find the rest of the rest. Otherwise it begins fresh.

    Args:
        config: of the run.
        resumed: its weights are going to come from a checkpoint: ``init`` need not be there any more.

    Raises:
        InputError: ``init`` is no weights file, or one of another architecture.
    """
    network = build(config.model, config.seed)
    if config.init is None or resumed:
        return network
    given, theirs, _ = load_model(config.init)
    mine = config.model
    if isinstance(mine, MultiLevelConfig) and isinstance(theirs, MultiLevelConfig):
        count = min(len(mine.levels), len(theirs.levels))
        for index in range(count):
            _same(config.init, f"model.levels.{index}", mine.levels[index], theirs.levels[index])
        _same(config.init, "model.combine", mine.combine, theirs.combine)
        assert isinstance(network, MultiLevel)
        assert isinstance(given, MultiLevel)
        for index, level in enumerate(network.levels):
            source = min(index, count - 1)
            weights = given.levels[source].state_dict()
            if mine.levels[index] == theirs.levels[source] and _fits(level, weights):
                level.load_state_dict(weights)
                log.info("level %d begins as level %d of %s", index + 1, source + 1, config.init)
        return network
    one, two = (c.model_dump(exclude={"spacing_mm", "window_hu"}) for c in (mine, theirs))
    _same(config.init, "model", one, two)
    network.load_state_dict(given.state_dict())
    return network


def _fits(level: nn.Module, weights: dict[str, Tensor]) -> bool:
    """Levels of one config may differ: what they carry depends on the level before them."""
    return all(weights[name].shape == own.shape for name, own in level.state_dict().items())


def _same(init: str, key: str, mine: Any, theirs: Any) -> None:
    if mine != theirs:
        raise InputError(
            init,
            expected=f"weights of the same {key}: {_short(mine, theirs)}",
            found=_short(theirs, mine),
            do="change it, or leave out init",
        )


def _short(one: Any, other: Any) -> str:
    """Only what differs, where both have fields."""
    first = one.model_dump() if hasattr(one, "model_dump") else one
    second = other.model_dump() if hasattr(other, "model_dump") else other
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return str(first)
    return ", ".join(f"{k} {v}" for k, v in first.items() if second.get(k) != v)
