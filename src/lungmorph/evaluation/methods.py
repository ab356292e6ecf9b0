"""What can be measured: LungMorph's presets and its rivals, each as a command on the files of a pair."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ..errors import InputError
from .rivals import NAMES

#: What the interpreter of the rivals runs.
START = Path(__file__).parent / "rivals" / "start.py"


@dataclass(frozen=True)
class PairFiles:
    """A pair on disk: scans and their lung masks.

    ``masks_given``: the masks are those of the dataset; otherwise automatic ones.
    """

    fixed: Path
    moving: Path
    fixed_mask: Path
    moving_mask: Path
    masks_given: bool

    def swapped(self) -> PairFiles:
        """The pair to register backwards."""
        return replace(
            self,
            fixed=self.moving,
            moving=self.fixed,
            fixed_mask=self.moving_mask,
            moving_mask=self.fixed_mask,
        )


@dataclass(frozen=True)
class Method(ABC):
    """A way to register, run in a process of its own.

    Attributes:
        name: unique in a run; part of file names.
        title: for people.
        settings: JSON-ready, everything that it is told.
        versions: of what it runs.
        missing: why it cannot run here; empty when it can.
        own: whether it is LungMorph.
    """

    name: str
    title: str
    settings: dict[str, Any]
    versions: dict[str, str]
    missing: str = ""
    own: ClassVar[bool] = False

    @abstractmethod
    def command(self, pair: PairFiles, out: Path, threads: int) -> list[str]:
        """What to run so that the transform appears in the folder ``out``, which is not there yet.

        Raises:
            InputError: it cannot be run on this pair.
        """

    @abstractmethod
    def transform(self, out: Path) -> Path:
        """The file of the transform, fixed to moving, in ``out``."""

    def steps(self, out: Path) -> dict[str, float]:
        """Seconds of each step by the method's own clock; empty where it has none."""
        return {}


class LungMorph(Method):
    """``lungmorph register`` with a preset, on two scans alone unless masks are to be given."""

    own = True

    def command(self, pair: PairFiles, out: Path, threads: int) -> list[str]:
        """See :meth:`Method.command`."""
        command = [sys.executable, "-P", "-c", "from lungmorph.cli import main; main()", "register"]
        command += [str(pair.fixed), str(pair.moving), "-o", str(out), "--threads", str(threads)]
        command.append("--transform-only")  # as the others do
        for option in ("preset", "device", "model", "levels"):
            if self.settings[option] is not None:
                command += [f"--{option}", str(self.settings[option])]
        if self.settings["masks"] == "given":
            if not pair.masks_given:
                raise InputError(
                    "--masks given",
                    expected="lung masks in the dataset",
                    found="none for this case",
                    do="leave it out: LungMorph finds the lungs itself",
                )
            command += ["--fixed-mask", str(pair.fixed_mask)]
            command += ["--moving-mask", str(pair.moving_mask)]
        return command

    def transform(self, out: Path) -> Path:
        """See :meth:`Method.transform`."""
        return out / "transform.h5"

    def steps(self, out: Path) -> dict[str, float]:
        """See :meth:`Method.steps`."""
        seconds: dict[str, float] = json.loads((out / "metrics.json").read_text())["seconds"]
        return seconds


@dataclass(frozen=True)
class Rival(Method):
    """Another tool, run by the interpreter that has it.

    ``tool`` is one of :data:`.rivals.NAMES`, or the path of a file of somebody's own (see there).
    """

    tool: str = ""
    python: str = sys.executable

    def command(self, pair: PairFiles, out: Path, threads: int) -> list[str]:
        """See :meth:`Method.command`."""
        files = (pair.fixed, pair.moving, pair.fixed_mask, pair.moving_mask, out)
        script = [self.python, str(START), "register", self.tool]
        return [*script, *(str(file.resolve()) for file in files), "--threads", str(threads)]

    def transform(self, out: Path) -> Path:
        """See :meth:`Method.transform`."""
        return out / "displacement.mha"


def lungmorph_methods(
    presets: Sequence[str],
    *,
    model: str | None = None,
    levels: int | None = None,
    device: str = "cpu",
    masks: str = "auto",
) -> list[Method]:
    """LungMorph with each of the presets.

    Args:
        presets: of :data:`lungmorph.registration.presets.PRESETS`.
        model, levels, device: as for :func:`lungmorph.register`.
        masks: "auto": it finds the lungs itself; "given": it gets the masks of the dataset.

    Raises:
        InputError: an unknown preset, weights that cannot be read, or more levels than they have.
    """
    import torch

    from .. import __version__
    from ..registration.presets import PRESETS

    for preset in presets:
        if preset not in PRESETS:
            raise InputError("preset", expected=f"one of {', '.join(PRESETS)}", found=repr(preset))
    settings = {"device": device, "model": model, "levels": levels, "masks": masks}
    # seconds of records from before, when images and figures were written too, do not compare
    settings["writes"] = "transform"
    settings["weights"] = None if levels == 0 else _weights(model, levels)
    versions = {"lungmorph": __version__, "torch": torch.__version__}
    return [
        LungMorph(
            f"lungmorph-{preset}", f"LungMorph {preset}", {"preset": preset, **settings}, versions
        )
        for preset in dict.fromkeys(presets)
    ]


def rival_methods(tools: Sequence[str], python: str = sys.executable) -> list[Method]:
    """The rivals, after a look at which of them the interpreter has.

    Args:
        tools: of :data:`.rivals.NAMES`, or paths of Python files.
        python: the interpreter of the environment that holds them.

    Raises:
        InputError: an unknown tool, a file that is not there, two of one name, or no such interpreter.
    """
    if not tools:
        return []
    found = list(dict.fromkeys(_known(tool) for tool in tools))
    names = [Path(tool).stem for tool in found]
    for name in names:
        if names.count(name) > 1 or name.startswith("lungmorph-"):
            raise InputError("rivals", expected="a name of its own for each", found=f"two {name}")
    made: list[Method] = []
    for tool, name, facts in zip(found, names, _look(found, python), strict=True):
        settings = {key: facts.get(key, "") for key in ("settings", "adapter")}
        versions = {name: facts["version"]}
        made.append(Rival(name, facts["title"], settings, versions, facts["missing"], tool, python))
    return made


def _known(tool: str) -> str:
    if tool in NAMES:
        return tool
    if not tool.endswith(".py"):
        known = f"one of {', '.join(NAMES)}, or a Python file"
        raise InputError("rival", expected=known, found=repr(tool))
    if not Path(tool).is_file():
        raise InputError(tool, expected="a Python file of a rival", found="nothing there")
    return str(Path(tool).resolve())


def _look(tools: list[str], python: str) -> list[dict[str, str]]:
    """What ``rivals/start.py look`` says of each tool."""
    expected = "a Python interpreter with numpy and SimpleITK"
    try:
        done = subprocess.run(
            [python, str(START), "look", *tools], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise InputError(python, expected=expected, found=error.strerror or str(error)) from error
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InputError(python, expected=expected, found=said[-1])
    try:
        facts = json.loads(lines[-1])
        return [facts[tool] for tool in tools]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            python, expected=expected, found=f"a program that says {lines[-1][:80]!r}"
        ) from error


def _weights(model: str | None, levels: int | None) -> str:
    """A checksum of the network, after a look at whether it can be used."""
    from ..networks import DEFAULT_NAME, load_model
    from ..networks.config import MultiLevelConfig

    network, config, _ = load_model(model or DEFAULT_NAME)
    most = len(config.levels) if isinstance(config, MultiLevelConfig) else 1
    if levels is not None and levels > most:
        raise InputError("levels", expected=f"0 to {most}", found=str(levels))
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()[:12]
