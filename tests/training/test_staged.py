"""The published scheme in small: level 1 alone, level 2 on its frozen answer, then both; no labels.

And what may happen to a run on its way: stopped, killed, in two processes, in half precision.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.blobs import MODEL, SHAPE, Blobs, config, curve, rows

from lungmorph.networks import LevelConfig, MultiLevelConfig, load_model
from lungmorph.threads import one_thread
from lungmorph.training import LossWeights, StageConfig, Status, TrainingConfig, evaluate, run
from lungmorph.training.checkpoint import State
from lungmorph.training.status import RunResult

ROOT = Path(__file__).parents[2]


@dataclass
class Marked(Blobs):
    """Blobs of which landmarks are known, and nothing else."""

    def pair(self, step: int) -> dict[str, torch.Tensor]:
        pair = super().pair(step)
        shift = pair.pop("displacement")[0, :, 0, 0, 0]
        middle = (torch.tensor(SHAPE).flip(0) - 1) / 2
        offsets = torch.tensor([[0.0, 0, 0], [2, 1, 0], [-1, 2, 1], [0, -2, -2]])
        points = middle + offsets
        return pair | {"fixed_points": points, "moving_points": points + shift}


#: Levels that compare features learn without labels in a hundred steps.
COMPARING = MultiLevelConfig(
    spacing_mm=4.0,
    window_hu=(-1000, 0),
    levels=(
        LevelConfig(downsamplings=1, entry=(8,), body=(12, 16), correlation=2),
        LevelConfig(downsamplings=1, entry=(4,), body=(6,), correlation=1),
    ),
)


def scheme(**changes: Any) -> TrainingConfig:
    """Level 1 to a target, level 2 to a plateau, then both, on similarity and smoothness alone."""
    one = {"max_steps": 200, "learning_rate": 5e-3, "watch": "error", "target": 3.0}
    rest: dict[str, Any] = {"learning_rate": 3e-3, "patience": 2, "min_improvement": 0.1}
    stages = (
        StageConfig(name="level-1", levels=1, **one),
        StageConfig(name="level-2", levels=2, frozen=(0,), max_steps=100, **rest),
        StageConfig(
            name="joint", levels=2, output_weights=(0.5, 1), max_steps=30, learning_rate=5e-4
        ),
    )
    loss = LossWeights(lncc=1.0, diffusion=0.1)
    given = {"stages": stages, "loss": loss, "validate_every": 15, "checkpoint_minutes": 5}
    return config(**({"model": COMPARING} | given | changes))


@dataclass
class Trained:
    folder: Path
    network: Any
    weights: dict[str, dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def held_out() -> list[dict[str, torch.Tensor]]:
    return [Marked(seed=9).pair(n) for n in range(4)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, held_out: list[Any]) -> Trained:
    """A whole run, and the weights that each stage began with."""
    folder = tmp_path_factory.mktemp("scheme")
    began: dict[str, dict[str, torch.Tensor]] = {}

    def watch(status: Status) -> None:
        if status.stage not in began:
            state = torch.load(folder / "checkpoint.pt", weights_only=True)
            began[status.stage] = state["model"]

    result = run(scheme(), Marked(), held_out, folder, watch=watch)
    assert result.finished
    began["end"] = result.network.state_dict()
    return Trained(folder, result.network, began)


def test_stages_end_by_their_criterion(trained: Trained) -> None:
    log = (trained.folder / "log.txt").read_text()
    assert "stage level-1 ends: target" in log
    assert "stage level-2 ends: plateau" in log
    assert "stage joint ends: budget" in log
    stages = [row["stage"] for row in rows(trained.folder / "train.csv")]
    assert list(dict.fromkeys(stages)) == ["level-1", "level-2", "joint"]
    assert stages.count("level-1") < 200
    assert stages.count("level-2") < 100


def test_level_1_is_bit_identical_after_the_stage_of_level_2(trained: Trained) -> None:
    before, after = trained.weights["level-2"], trained.weights["joint"]
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("levels.0."))
    assert any(not torch.equal(before[k], after[k]) for k in before if k.startswith("levels.1."))
    end = trained.weights["end"]
    assert any(not torch.equal(end[k], after[k]) for k in after if k.startswith("levels.0."))


def test_weights_are_kept_as_each_stage_left_them(trained: Trained) -> None:
    for number, after in ((1, "level-2"), (2, "joint"), (3, "end")):
        network, _, card = load_model(trained.folder / f"stage-{number}.safetensors")
        kept = network.state_dict()
        assert all(torch.equal(kept[k], v) for k, v in trained.weights[after].items())
        assert card["training"]["stage"] == number


def test_landmark_error_falls(trained: Trained, held_out: list[Any]) -> None:
    unseen = [Marked(seed=31).pair(n) for n in range(6)]
    one, both = (evaluate(trained.network, unseen, levels) for levels in (1, 2))
    assert both.error_mm is not None
    assert both.start_mm is not None
    assert both.error_mm < 0.4 * both.start_mm
    assert both.error_mm < one.error_mm
    assert both.folded == 0
    seen = [row for row in rows(trained.folder / "validation.csv") if row["stage"] == "joint"]
    assert float(seen[-1]["error_mm"]) < 0.4 * float(seen[-1]["start_mm"])


def same_in_the_end(whole: RunResult, parts: RunResult, folder: Path) -> None:
    """Curves and weights of a run, in "whole", and of one that was stopped and went on, in "parts"."""
    assert parts.finished
    for name in ("train.csv", "validation.csv"):
        assert curve(folder / "whole" / name) == curve(folder / "parts" / name)
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, parts.network.state_dict()[key]), key


def test_stopped_twice_and_resumed_gives_the_same_curve(
    tmp_path: Path, held_out: list[Any]
) -> None:
    stages = tuple(s.model_copy(update={"max_steps": 5}) for s in scheme().stages)
    small = scheme(stages=stages, validate_every=3)
    whole = run(small, Marked(), held_out[:1], tmp_path / "whole")
    for last in (4, 11):
        seen: list[int] = []
        result = run(
            small,
            Marked(),
            held_out[:1],
            tmp_path / "parts",
            watch=lambda status, seen=seen: seen.append(status.step),
            stop=lambda last=last, seen=seen: bool(seen) and seen[-1] >= last,
        )
        assert not result.finished
        assert result.steps == last
    same_in_the_end(whole, run(small, Marked(), held_out[:1], tmp_path / "parts"), tmp_path)


def test_stopped_within_validations_and_resumed_gives_the_same_curve(
    tmp_path: Path, held_out: list[Any]
) -> None:
    stages = tuple(s.model_copy(update={"max_steps": 4}) for s in scheme().stages)
    small = scheme(stages=stages, validate_every=3)
    whole = run(small, Marked(), held_out[:3], tmp_path / "whole")
    # of three pairs at the start, then before every step and in every validation
    for sitting, last in enumerate((2, 5, 8, 11, 12)):
        asked = [0]

        def stop(asked: list[int] = asked, last: int = last) -> bool:
            asked[0] += 1
            return asked[0] >= last

        result = run(small, Marked(), held_out[:3], tmp_path / "parts", stop=stop)
        assert not result.finished, sitting
        assert asked[0] <= last + 1  # no other pair is looked at
    same_in_the_end(whole, run(small, Marked(), held_out[:3], tmp_path / "parts"), tmp_path)


def start(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program of its own, that finds the tests."""
    path = folder / "program.py"
    path.write_text(script)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, env=environment, timeout=300
    )


KILLED = """
import os, signal
from pathlib import Path
from tests.training.blobs import Blobs, config
from lungmorph.training import run

class Killer(Blobs):
    def pair(self, step):
        if step == 11:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().pair(step)

run(config((30,), 0, model={model}, validate_every=4, checkpoint_minutes=60), Killer(),
    [Blobs(seed=9).pair(0)], Path({folder!r}))
"""


def test_killed_run_loses_at_most_one_validation_interval(tmp_path: Path) -> None:
    one = MODEL.model_copy(update={"levels": MODEL.levels[:1]})
    model = repr(one.model_dump())
    folder = tmp_path / "run"
    killed = start(KILLED.format(folder=str(folder), model=model), tmp_path)
    assert killed.returncode == -9, killed.stderr
    assert len(rows(folder / "train.csv")) == 11
    small = config((30,), 0, model=one, validate_every=4, checkpoint_minutes=60)
    source = Blobs()
    validation = [Blobs(seed=9).pair(0)]
    # as the killed one had: sums are the same to the last bit for as many threads only
    with one_thread():
        again = run(small, source, validation, folder)
        assert source.asked == list(range(8, 30))  # step 8 was the last validation
        whole = run(small, Blobs(), validation, tmp_path / "whole")
    assert curve(folder / "train.csv") == curve(tmp_path / "whole" / "train.csv")
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[key]), key


def test_killed_between_a_validation_and_its_checkpoint_no_row_is_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config((6, 6), 0, validate_every=3)  # and a checkpoint after every step
    validation = [Blobs(seed=9).pair(0)]
    whole = run(made, Blobs(), validation, tmp_path / "whole")
    save = State.save

    def killed(state: State, *arguments: object) -> None:
        if (state.progress.stage, state.progress.looked_at) == stage_and_step:
            raise RuntimeError("killed")
        save(state, *arguments)  # type: ignore[arg-type]

    for stage_and_step in ((0, 3), (1, 0), (1, 6)):
        monkeypatch.setattr(State, "save", killed)
        with pytest.raises(RuntimeError, match="killed"):
            run(made, Blobs(), validation, tmp_path / "killed")
        last = rows(tmp_path / "killed" / "validation.csv")[-1]
        assert last["stage"] == made.stages[stage_and_step[0]].name
    monkeypatch.undo()
    again = run(made, Blobs(), validation, tmp_path / "killed")
    assert again.finished
    for name in ("train.csv", "validation.csv"):
        assert curve(tmp_path / "killed" / name) == curve(tmp_path / "whole" / name)
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[key]), key


TWO = """
from pathlib import Path
from tests.training.blobs import Blobs, config
from lungmorph.training import run
from lungmorph.training.fabric import left, launched

made = config((4, 4), 0, batch=2, device={{"accelerator": "cpu", "devices": 2}}, validate_every=4)
fabric = launched(made.device)
source = Blobs()
run(made, source, [Blobs(seed=9).pair(n) for n in range(3)], Path({folder!r}), fabric=fabric)
Path({folder!r}, f"asked-{{fabric.global_rank}}").write_text(str(source.asked))
left(fabric)
"""


def test_two_processes_are_one_with_the_doubled_batch(tmp_path: Path) -> None:
    done = start(TWO.format(folder=str(tmp_path / "two")), tmp_path)
    assert done.returncode == 0, done.stderr
    asked = [(tmp_path / "two" / f"asked-{rank}").read_text() for rank in range(2)]
    assert asked == [str(list(range(0, 16, 2))), str(list(range(1, 16, 2)))]
    made = config((4, 4), 0, batch=2, validate_every=4)
    run(made, Blobs(), [Blobs(seed=9).pair(n) for n in range(3)], tmp_path / "one")
    for name in ("train.csv", "validation.csv"):
        one, two = curve(tmp_path / "one" / name), curve(tmp_path / "two" / name)
        assert len(one) == len(two) > 0
        for a, b in zip(one, two, strict=True):
            assert (a["step"], a["stage"]) == (b["step"], b["stage"])
            for key in a.keys() - {"step", "stage"}:
                assert (a[key] == "") == (b[key] == ""), key
                if a[key]:
                    assert float(b[key]) == pytest.approx(float(a[key]), rel=2e-5, abs=1e-7), key


def first_losses(folder: Path, **changes: Any) -> list[float]:
    run(config((3,), 0, model=MODEL, stages=(StageConfig(name="all", levels=2, max_steps=3),), **changes), Blobs(), [], folder)  # fmt: skip
    return [float(row["loss"]) for row in rows(folder / "train.csv")]


def test_recomputing_activations_and_half_precision_change_little(tmp_path: Path) -> None:
    plain = first_losses(tmp_path / "a")
    again = first_losses(tmp_path / "b", recompute=True)
    assert again == pytest.approx(plain, rel=1e-5)
    half = first_losses(tmp_path / "c", device={"accelerator": "cpu", "precision": "bf16-mixed"})
    assert half == pytest.approx(plain, rel=0.03)
    assert half != plain


def test_board_holds_curves_and_pictures_and_the_folder_its_files(tmp_path: Path) -> None:
    small = config((2, 2), 1, validate_every=2, tensorboard=True)
    run(small, Blobs(), [Blobs(seed=9).pair(0)], tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    tags = board.Tags()
    assert {"train/loss", "train/pairs_per_second", "validation/error_mm"} <= set(tags["scalars"])
    assert [e.step for e in board.Scalars("train/loss")] == [1, 2, 3, 4, 5]
    assert tags["images"] == ["validation/pair"]
    picture = board.Images("validation/pair")[0]
    assert (picture.width, picture.height) == (5 * SHAPE[2], SHAPE[0])
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint.pt", "config.yaml", "curves.png", "log.txt", "stage-1.safetensors",
        "stage-2.safetensors", "stage-3.safetensors", "tensorboard", "train.csv", "validation.csv",
        "versions.json", "weights.safetensors",
    }  # fmt: skip
