"""What a run leaves in its folder for people: config, versions, logs, curves."""

from __future__ import annotations

import json
import logging
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import __version__
from ..files import replacing
from .config import TrainingConfig
from .config_file import save_config
from .curves import draw_curves
from .log import CsvLog
from .objective import PARTS
from .outcome import Outcome
from .stage_config import StageConfig

log = logging.getLogger(__name__)

TRAIN_COLUMNS = (
    "step", "stage", "loss", *PARTS, "gradient", "learning_rate", "pairs_per_second",
)  # fmt: skip
VALIDATION_COLUMNS = (
    "step", "stage", "levels", "loss", "error_mm", "start_mm", "lncc", "folded",
)  # fmt: skip
#: Least seconds between two drawings while a run goes on.
CURVES_EVERY_S = 60.0


class Record:
    """The files of a run.

    Args:
        folder: of the run; it exists.
        config: of the run.
        step: from which it goes on: later rows of an earlier sitting are dropped.
        looks_again: the stage that has yet to be validated at that step, if one has; an earlier sitting that was killed may have
            left the row and no checkpoint after it.
    """

    def __init__(
        self, folder: Path, config: TrainingConfig, step: int, looks_again: str | None = None
    ) -> None:
        self.folder = folder
        self._drawn = time.monotonic()
        save_config(config, folder / "config.yaml")
        with replacing(folder / "versions.json") as temporary:
            temporary.write_text(json.dumps(versions() | {"seed": config.seed}, indent=2) + "\n")
        self._train = CsvLog(folder / "train.csv", TRAIN_COLUMNS, step)
        self._validation = CsvLog(folder / "validation.csv", VALIDATION_COLUMNS, step, looks_again)
        self._board: Any = _board(folder / "tensorboard", step) if config.tensorboard else None
        self._file = logging.FileHandler(folder / "log.txt", delay=True)
        self._file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._logger = logging.getLogger("lungmorph.training")
        self._level = self._logger.level
        self._logger.addHandler(self._file)
        if self._logger.getEffectiveLevel() > logging.INFO:
            self._logger.setLevel(logging.INFO)

    def train(self, step: int, stage: StageConfig, numbers: dict[str, float]) -> None:
        """A row of the training log."""
        row = {name: f"{numbers[name]:.6g}" for name in TRAIN_COLUMNS if name in numbers}
        self._train.add({"step": step, "stage": stage.name} | row)
        if self._board is not None:
            for name in row:
                self._board.add_scalar(f"train/{name}", numbers[name], step)

    def validation(self, step: int, stage: StageConfig, outcome: Outcome) -> None:
        """A row of the validation log."""
        values = {name: v for name, v in vars(outcome).items() if v is not None}
        row = {name: f"{value:.6g}" for name, value in values.items()}
        self._validation.add({"step": step, "stage": stage.name, "levels": stage.levels} | row)
        log.info("%s step %d: %s", stage.name, step, ", ".join(f"{k} {v}" for k, v in row.items()))
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"validation/{name}", value, step)
        if time.monotonic() - self._drawn >= CURVES_EVERY_S:
            self.curves()

    @property
    def shows_pictures(self) -> bool:
        """Whether anybody wants them."""
        return self._board is not None

    def picture(self, step: int, image: Tensor) -> None:
        """A grey picture (H, W) in [0, 1] of a validation pair."""
        if self._board is not None:
            self._board.add_image("validation/pair", image[None], step)

    def curves(self) -> None:
        """Draw ``curves.png`` anew."""
        draw_curves(self.folder)
        self._drawn = time.monotonic()

    def close(self) -> None:
        """Let go of all files."""
        if self._board is not None:
            self._board.close()
        self._logger.removeHandler(self._file)
        self._logger.setLevel(self._level)
        self._file.close()


def versions() -> dict[str, str]:
    """Of what decides the figures of a run."""
    found = {
        "lungmorph": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for name in ("torch", "lightning-fabric", "numpy", "SimpleITK"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("no TensorBoard: pip install 'lungmorph[train]'")
        return None
    return SummaryWriter(folder, purge_step=step + 1)
