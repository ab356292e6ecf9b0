"""``lungmorph train`` as a user calls it: results, checks, and one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch
from safetensors.torch import load_file
from tests.training.made import write_table

from lungmorph.cli import main
from lungmorph.cli.train import _stop_on_signal
from lungmorph.networks import load_model
from lungmorph.space import Affine
from lungmorph.training import load_config, train
from lungmorph.training.data_config import Simulated

#: A network of one level and a lattice that a step on it takes no time.
TINY = """
model:
  kind: multilevel
  spacing_mm: 16
  levels: [{downsamplings: 1, entry: [4], body: [4, 4], correlation: 1}]
stages: [{name: only, levels: 1, max_steps: 4}]
validate_every: 2
warmup_steps: 0
log_every: 1
tensorboard: false
device: {accelerator: cpu}
data:
  sources: [{kind: simulated, validation: {pairs: 1}, options: {pool: 1}}]
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("table"), patients=3)


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["train", *(str(argument) for argument in arguments)])
    return int(left.value.code or 0)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr, with exit code 2."""
    assert call(*arguments) == 2
    caught = capsys.readouterr()
    lines = caught.err.strip().splitlines()
    assert len(lines) == 1, caught.err
    assert lines[0].startswith("error: ")
    return lines[0]


def test_run_tells_its_result_and_goes_on_where_it_stopped(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert call(tiny, "-o", out, "--minutes", 0, "--json") == 0
    assert json.loads(capsys.readouterr().out)["finished"] is False
    assert call(tiny, "-o", out) == 0
    caught = capsys.readouterr()
    assert "4 steps, all stages done." in caught.out
    assert "before" in caught.out
    assert "pairs/s" in caught.err
    assert load_model(out / "weights.safetensors")[1].spacing_mm == 16
    before = load_file(out / "weights.safetensors")
    assert call(tiny, "-o", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 4
    assert told["finished"] is True
    assert set(told["validation"]) == {"lncc", "folded", "error_mm", "start_mm", "loss"}
    after = load_file(out / "weights.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in after)
    # the same folder for something else, or for a new run
    line = refused(capsys, tiny, "model.spacing_mm=20", "-o", out)
    assert "another config" in line
    assert "another folder" in line
    assert "another config" in refused(capsys, tiny, "model.spacing_mm=20", "-o", out, "--check")
    assert "a checkpoint" in refused(capsys, tiny, "-o", out, "--new")
    line = refused(capsys, tiny, "data.sources.0.procedural=0.5", "-o", out)
    assert "learned from other data" in line
    # weights of this network as the beginning of another one
    line = refused(capsys, tiny, f"init={out / 'weights.safetensors'}", "model.levels.0.body=[4]", "-o", tmp_path / "b")  # fmt: skip
    assert "model.levels.0" in line
    assert not (tmp_path / "b").exists()


def test_run_that_is_not_finite_says_what_to_try(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert call(tiny, "stages.0.learning_rate=1e30", "-o", out) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: the ")
    assert "lower learning_rate" in last
    assert "32-true" not in last  # which it is
    # what was kept is whole: the same folder goes on
    assert call(tiny, "-o", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["finished"]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["los.lncc=1"], "did you mean 'loss'?"),
        (["stages.0.max_step=1"], "did you mean 'max_steps'?"),
        (["stages.0.levels=2"], "runs 2 levels of 1"),
        (["data.sources.0.options.pols=2"], "did you mean 'pool'?"),
        (["data.sources.0.motions=[nowhere.csv]"], "nowhere.csv"),
        (["init=no-such-weights"], "no-such-weights"),
        (["device.accelerator=cuda"], "device"),
        (["batch"], "KEY=VALUE"),
        (
            ["data.sources.0.validation.pairs=0", "stages.0.watch=error", "stages.0.target=2"],
            "target of stage only, which watches the error: expected validation pairs",
        ),
    ],
)
def test_config_that_cannot_be(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], told: str
) -> None:
    if "cuda" in overrides[0] and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert told in refused(capsys, tiny, *overrides, "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{kind: cases, path: /nowhere/at/all}", "/nowhere/at/all"),
        ("{kind: cases, path: TABLE, reader: dirlab-4dct}", "DIR-Lab"),
        ("{kind: cases, path: TABLE, reader: tabel}", "tabel"),
        ("{kind: cases, path: TABLE, split: {validation: [p0, p1, p2]}}", "'train'"),
        ("{kind: cases, path: TABLE, split: {validation: [p7]}}", "'p7'"),
        ("{kind: cases, path: TABLE, split: {validation: [p1], test: [p1v0]}}", "in validation and in test"),
    ],
)  # fmt: skip
def test_data_that_cannot_be(
    tiny: Path,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    told: str,
) -> None:
    override = f"data.sources=[{source.replace('TABLE', str(table))}]"
    for more in ((), ("--check",)):
        assert told in refused(capsys, tiny, override, "-o", tmp_path / "run", *more)
        assert not (tmp_path / "run").exists()


def test_case_without_a_partner_and_lungs_too_small(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungmorph.registration.prealign.prealign", lambda *_: Affine.identity())
    own = write_table(tmp_path / "own", patients=2)
    source = f"data.sources=[{{kind: cases, path: {own}, split: {{validation: [p1]}}}}]"
    deep = "model.levels.0.body=[4, 4, 4, 4, 4]"
    line = refused(capsys, tiny, source, deep, "-o", tmp_path / "run")
    assert "at least 32 voxels of 16 mm" in line
    assert not (tmp_path / "run" / "train.csv").exists()
    (own / "p0v0_fixed.mha").unlink()
    line = refused(capsys, tiny, source, "-o", tmp_path / "other")
    assert "p0v0" in line
    assert "no fixed" in line


def test_folder_that_is_a_file_and_config_that_is_none(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "found a file" in refused(capsys, tiny, "-o", tiny)
    assert "no such file" in refused(capsys, tmp_path / "none.yaml", "-o", tmp_path / "run")
    assert call(tmp_path / "none.yaml", "--json") == 2
    assert "no such file" in json.loads(capsys.readouterr().out)["error"]


def test_ctrl_c_keeps_what_was_learned(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [
        sys.executable, "-c", "from lungmorph.cli import main; main()", "train", str(tiny),
        "stages.0.max_steps=100000", "validate_every=100000", "workers=1", "-o", str(out),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    # a group of its own, as a terminal makes one: Ctrl-C reaches the workers too
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    ) as program:  # fmt: skip
        until = time.monotonic() + 120
        while program.poll() is None and time.monotonic() < until:
            if (out / "train.csv").exists() and (out / "train.csv").read_text().count("\n") > 3:
                break
            time.sleep(0.1)
        os.killpg(program.pid, signal.SIGINT)
        told, complaints = program.communicate(timeout=60)
    assert program.returncode == 130, complaints
    assert complaints.count("ending after this step") == 1
    assert "Traceback" not in complaints
    assert "stopped; the same command goes on" in told
    steps = torch.load(out / "checkpoint.pt", weights_only=True)["progress"]["step"]
    assert steps >= 3
    assert steps == (out / "train.csv").read_text().count("\n") - 1


def test_signal_is_not_forgotten_where_python_swallows_what_it_raises() -> None:
    """As in the moment in which a worker is forked."""
    for number, raised in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)):
        with _stop_on_signal() as told:
            with pytest.raises(raised):
                signal.raise_signal(number)
            assert told.asked()
            assert told.number == number


def test_batch_that_cannot_be_dealt_out_is_told_before_there_are_processes(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ((), ("--check",)):
        said = refused(capsys, tiny, "device.devices=3", "batch=4", "-o", tmp_path / "run", *more)
        assert said == "error: batch: expected a multiple of 3, the number of processes, found 4"
    assert not (tmp_path / "run").exists()


def test_weights_that_are_given_away_tell_nothing_of_the_machine_and_its_patients(
    tiny: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungmorph.registration.prealign.prealign", lambda *_: Affine.identity())
    parts = "leave_out: [p2v0], split: {train: [p1], validation: [p0]}"
    sources = f"data.sources=[{{kind: cases, path: {table}, {parts}}}]"
    call(tiny, sources, f"data.cache={tmp_path / 'kept'}", "stages.0.max_steps=1", "-o", tmp_path / "run")  # fmt: skip
    card = load_model(tmp_path / "run" / "weights.safetensors")[2]
    told = card["config"]["data"]["sources"][0]
    assert told["split"]["train_named"] == told["split"]["validation_named"] == 1
    assert told["left_out"] == 1
    text = json.dumps(card)
    for name in (str(tmp_path), str(table.parent), table.name, "p0", "p1", "p2v0"):
        assert f"{name}" not in text


def test_a_card_counts_the_files_of_patients_that_were_moved() -> None:
    files = (Path("/ct/John_Smith.nii.gz"), Path("/ct/Jane.nii.gz"))
    held = {"anatomies": [files[1]], "pairs": 2}
    told = Simulated(anatomies=files[:1], motions=files[:1], validation=held).for_card()
    assert (told["anatomies"], told["motions"], told["validation"]["anatomies"]) == (1, 1, 1)
    assert "J" not in json.dumps(told)


def test_judging_can_be_stopped_and_is_made_up_for(
    tiny: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungmorph.registration.prealign.prealign", lambda *_: Affine.identity())
    sources = f"data.sources=[{{kind: cases, path: {table}, split: {{test: [p1, p2]}}}}]"
    config = load_config(tiny, [sources, "stages.0.max_steps=1"])
    seen: list[str] = []
    stopped = train(
        config,
        tmp_path,
        progress=lambda what, _: seen.append(what),
        stop=lambda: any(what.startswith("judge") for what in seen),
    )
    assert stopped.result.finished
    assert sum(what.startswith("judge") for what in seen) == 1
    assert stopped.judged == []
    assert not (tmp_path / "judged.json").exists()
    assert train(config, tmp_path).judged[0]["pairs"] == 2


def test_what_of_a_case_cannot_be_used_is_told(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungmorph.registration.prealign.prealign", lambda *_: Affine.identity())
    own = write_table(tmp_path / "own", patients=1)
    mask = next(own.glob("*fixed_mask*"))
    moved = sitk.ReadImage(str(mask))
    moved.SetOrigin((500.0, 500.0, 500.0))
    sitk.WriteImage(moved, str(mask))
    source = f"data.sources=[{{kind: cases, path: {own}}}]"
    assert call(tiny, source, "--check", "--json") == 0
    [line] = json.loads(capsys.readouterr().out)["problems"]
    assert mask.name in line
    assert call(tiny, source, "stages.0.max_steps=1", "-o", tmp_path / "run") == 0
    assert json.loads((tmp_path / "run" / "patients.json").read_text())["problems"] == [line]
