"""All pairs of a run, from its config: to learn from, to validate on, to be judged on at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..datasets import Dataset
from ..errors import InputError
from .apart import Apart
from .cases import CasePairs, opened, pairs_of
from .config import TrainingConfig
from .data_config import Cases, Simulated
from .prepared import CasePair, load_pair, prepare_pairs
from .simulated import check, held_out_pairs, training_pairs
from .source import Mixed, PairSource
from .split import split_cases

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class JudgedPairs:
    """Pairs that nothing was learned from.

    Attributes:
        name: for people.
        pairs: prepared, their default pairs only.
    """

    name: str
    pairs: tuple[CasePair, ...]


@dataclass(frozen=True)
class RunData:
    """What :func:`lungmorph.training.run` needs, and what comes after it.

    Attributes:
        source: of the training pairs.
        validation: on the working lattice.
        judged: by dataset.
    """

    source: PairSource
    validation: list[dict[str, Tensor]]
    judged: tuple[JudgedPairs, ...]


@dataclass(frozen=True)
class Planned:
    """The pairs of all datasets of a config, found and dealt out, not yet prepared.

    ``problems`` are those of the datasets and their cases, one line each: what could not be used is left aside.
    """

    train: tuple[tuple[CasePair, ...], ...]
    validation: tuple[CasePair, ...]
    judged: tuple[JudgedPairs, ...]
    problems: tuple[str, ...] = ()

    @property
    def all(self) -> list[CasePair]:
        """All of them, those of one case one after another."""
        judged = [pair for group in self.judged for pair in group.pairs]
        return [*(p for part in self.train for p in part), *self.validation, *judged]


def plan(config: TrainingConfig, folder: Path) -> Planned:
    """Open the datasets of a config and deal their patients out; reads no voxel.

    Args:
        config: of the run.
        folder: of the run, where prepared pairs are kept unless the config says otherwise.

    Raises:
        InputError: a wrong path, a case without a partner, an empty part of a split, a patient who is
            both learned from and validated or judged on, a part of the loss that nothing is known for.
    """
    cache, spacing = config.data.cache or folder / "pairs", config.model.spacing_mm
    train: list[tuple[CasePair, ...]] = []
    validation: list[CasePair] = []
    judged: list[JudgedPairs] = []
    problems: dict[str, None] = {}  # of a dataset that is named twice, once
    apart = Apart()
    for source in config.data.sources:
        if not isinstance(source, Cases):
            check(source, spacing, config.model.divisor)
            apart.put_simulated(source)
            continue
        dataset = opened(source)
        problems |= dict.fromkeys(_problems(dataset))
        learned = source.share > 0
        parts = split_cases(dataset, source.split, learned)
        apart.put_split(parts, learned)
        which = "all" if source.pairs == "all" else "both"
        train.append(tuple(pairs_of(parts.train if learned else (), which, spacing, cache)))
        validation += pairs_of(parts.validation, "one", spacing, cache)
        if parts.test:
            pairs = tuple(pairs_of(parts.test, "one", spacing, cache))
            judged.append(
                JudgedPairs(_title(f"test patients of {dataset.title}", dataset, judged), pairs)
            )
    for entry in config.data.judge:
        dataset = opened(entry)
        problems |= dict.fromkeys(_problems(dataset))
        apart.put_cases("test", dataset.cases)
        pairs = tuple(pairs_of(dataset.cases, "one", spacing, cache))
        judged.append(JudgedPairs(_title(dataset.title, dataset, judged), pairs))
    planned = Planned(tuple(train), tuple(validation), tuple(judged), tuple(problems))
    _check_losses(config, planned)
    _check_targets(config, planned)
    return planned


def _problems(dataset: Dataset) -> list[str]:
    return [
        *dataset.problems,
        *(f"{case.id}: {line}" for case in dataset.cases for line in case.problems),
    ]


def _title(title: str, dataset: Dataset, judged: Sequence[JudgedPairs]) -> str:
    """Another than those before: two datasets of one kind are told apart by where they are."""
    taken = {group.name for group in judged}
    names = (title, f"{title} ({dataset.root.name})", f"{title} ({dataset.root})")
    return next((name for name in names if name not in taken), f"{title} ({len(taken) + 1})")


def _check_losses(config: TrainingConfig, planned: Planned) -> None:
    """Is there anything that the supervised parts of the loss can learn from?"""
    simulated = any(isinstance(s, Simulated) and s.share > 0 for s in config.data.sources)
    there = {
        "displacement": simulated,
        "landmarks": any(
            p.case.landmarks(p.fixed, p.moving) is not None for part in planned.train for p in part
        ),
    }
    what = {
        "displacement": "whose displacement is known (kind: simulated)",
        "landmarks": "with landmarks",
    }
    for stage in config.stages:
        for part, known in there.items():
            if getattr(config.loss_of(stage), part) > 0 and not known:
                raise InputError(
                    f"loss.{part} of stage {stage.name}",
                    expected=f"training pairs {what[part]}",
                    found="none in data.sources",
                    do=f"add such a source, or set {part} to 0",
                )


def _check_targets(config: TrainingConfig, planned: Planned) -> None:
    """A target in mm is not for the loss of training pairs, which is what is looked at without validation."""
    invented = (s.validation.pairs for s in config.data.sources if isinstance(s, Simulated))
    if planned.validation or any(invented):
        return
    for stage in config.stages:
        if stage.watch == "error" and stage.target is not None:
            raise InputError(
                f"target of stage {stage.name}, which watches the error",
                expected="validation pairs",
                found="none",
                do="add some, or leave out target",
            )


def make_data(
    config: TrainingConfig, planned: Planned, fabric: Fabric, progress: Progress | None = None
) -> RunData:
    """Prepare all pairs, in the first process, and put the sources together.

    Args:
        config: of the run.
        planned: what :func:`plan` found for it.
        fabric: launched.
        progress: called as progress(what, share done), in the first process.

    Raises:
        InputError: an image that cannot be read, is no CT, shows no lung, or is too small.
    """
    _prepare(config, planned, fabric, progress)
    spacing, data = config.model.spacing_mm, config.data
    # worker processes cannot share a GPU with the training
    device: torch.device | str = fabric.device if config.workers == 0 else "cpu"
    sources: list[tuple[PairSource, float]] = []
    validation = [load_pair(pair.path) for pair in planned.validation]
    groups = iter(planned.train)
    for number, source in enumerate(data.sources):
        seed = 1000 * config.seed + number
        if isinstance(source, Simulated):
            if progress:
                progress("simulate", 0.0)
            validation += held_out_pairs(source, seed, spacing, device)
            made: PairSource = training_pairs(
                source, seed, spacing, data.augmentation, data.patch, device
            )
        else:
            how = data.augmentation if source.augment else None
            # empty if nothing is learned from it
            made = CasePairs(next(groups), seed, spacing, how, data.patch)
        if source.share > 0:
            sources.append((made, source.share))
    mixed = sources[0][0] if len(sources) == 1 else Mixed(sources, config.seed)
    return RunData(mixed, validation, planned.judged)


def _prepare(
    config: TrainingConfig, planned: Planned, fabric: Fabric, progress: Progress | None
) -> None:
    problem: Sequence[str] = ()
    if fabric.is_global_zero:
        try:
            prepare_pairs(planned.all, config.model.spacing_mm, config.model.divisor, progress)
        except InputError as error:
            if fabric.world_size == 1:
                raise
            problem = (error.what, error.expected, error.found, error.do)
    # nobody waits for ever for a process that has given up
    problem = fabric.broadcast(problem)
    if problem:
        what, expected, found, do = problem
        raise InputError(what, expected=expected, found=found, do=do)
