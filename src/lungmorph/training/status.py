"""How a run stands, and what it ended with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..networks import RegistrationNetwork
from .outcome import Outcome


@dataclass(frozen=True)
class Status:
    """How a run stands, for whoever watches it.

    Attributes:
        stage: name.
        step, stage_step, stage_steps: of the run, of the stage, and the most that the stage takes.
        loss: of the last step.
        outcome: of the last validation of this sitting, if there was one.
        pairs_per_second: over this stage and sitting.
        seconds_left: of the stage, at most: if it does not end before its budget. Later ones take another time a step.
        stages_left: after this one.
    """

    stage: str
    step: int
    stage_step: int
    stage_steps: int
    loss: float
    outcome: Outcome | None
    pairs_per_second: float
    seconds_left: float
    stages_left: int


@dataclass(frozen=True)
class RunResult:
    """What a call of :func:`run` ended with.

    Attributes:
        network: the best so far, in eval mode, on the run's device.
        finished: whether all stages are done; otherwise the next call goes on.
        steps: done so far.
        outcome: of that network on the validation pairs, if there are any.
        weights: the file that :func:`lungmorph.networks.load_model` reads.
    """

    network: RegistrationNetwork
    finished: bool
    steps: int
    outcome: Outcome | None
    weights: Path
