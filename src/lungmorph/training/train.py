"""From a config to a trained and judged network."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoint import check_folder
from .config import TrainingConfig
from .data import make_data, plan
from .fabric import check_batch, launched, left, processes_of
from .judge import judge, save_judgement, summary
from .loop import run
from .patients import check_patients, save_patients
from .status import RunResult, Status
from .warm_start import first_network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What :func:`train` ended with.

    Attributes:
        result: of the run.
        judged: means by dataset (see :func:`lungmorph.training.judge.summary`); empty where there is
            none, where the run has not finished or was stopped while it was judged, and in all processes but
            the first.
        first: whether this is the first process, the one that talks.
    """

    result: RunResult
    judged: list[dict[str, Any]]
    first: bool


def train(
    config: TrainingConfig,
    folder: str | Path,
    resume: bool = True,
    *,
    minutes: float | None = None,
    watch: Callable[[Status], None] | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Trained:
    """Get the data, train, or go on training, and judge the network once all stages are done.

    Args:
        config: of the run.
        folder: see :func:`lungmorph.training.run` for what is written there; besides, prepared pairs
            and, at the end, ``judged.csv`` and ``judged.json``.
        resume, minutes, watch, stop: as in :func:`lungmorph.training.run`.
        progress: of what comes before and after the training, called as progress(what, share done).

    Raises:
        InputError: before any training starts, whatever is wrong with the data, the weights to begin
            with, the device, or the folder.
        FloatingPointError: the loss is no longer finite; with what to try.
    """
    folder = Path(folder)
    # before there are processes, each of which would say it
    check_batch(config, processes_of(config.device)[0])
    resumed = check_folder(folder, config, resume)
    first_network(config, resumed)
    planned = plan(config, folder)
    check_patients(folder, planned)
    fabric = launched(config.device)
    try:
        told = progress if fabric.is_global_zero else None
        data = make_data(config, planned, fabric, told)
        if fabric.is_global_zero:
            save_patients(folder, planned)
            for line in planned.problems:
                log.warning("problem: %s", line)
        card = {"config": _card(config)}
        result = run(
            config,
            data.source,
            data.validation,
            folder,
            resume,
            fabric=fabric,
            minutes=minutes,
            card=card,
            watch=watch,
            stop=stop,
        )
        means: list[dict[str, Any]] = []
        if result.finished and data.judged and fabric.is_global_zero:
            rows = judge(result.network, data.judged, config.loss.lncc_radius, told, stop)
            if rows:
                save_judgement(rows, folder)
            means = summary(rows)
        return Trained(result, means, fabric.is_global_zero)
    finally:
        left(fabric)


def _card(config: TrainingConfig) -> dict[str, Any]:
    """A config for the card of weights, JSON-ready: they are given away, and tell nothing of patients and folders."""
    told = json.loads(config.model_dump_json(exclude={"data"}))
    init = None if config.init is None else Path(config.init).name
    return told | {"data": config.data.for_card(), "init": init}
