"""Configs as files: a base, overrides, and errors that a person can act on."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from lungmorph.errors import InputError
from lungmorph.training import load_config, save_config

SMALL = """
model:
  kind: multilevel
  levels:
    - {downsamplings: 1, entry: [4], body: [4]}
    - {downsamplings: 1, entry: [4], body: [4]}
loss: {lncc: 1.0, diffusion: 0.5}
stages:
  - {name: one, levels: 1, max_steps: 5}
  - {name: two, levels: 2, frozen: [0], max_steps: 5}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_base_is_merged_by_key_and_lists_are_replaced(small: Path) -> None:
    child = small.parent / "below" / "child.yaml"
    child.parent.mkdir()
    child.write_text(
        "base: ../small.yaml\nloss: {diffusion: 2.0}\nstages: [{name: x, levels: 2, max_steps: 7}]\n"
    )
    found = load_config(child)
    assert (found.loss.lncc, found.loss.diffusion) == (1.0, 2.0)
    assert [stage.name for stage in found.stages] == ["x"]
    assert len(found.model.levels) == 2


@pytest.mark.parametrize("change", ["loss={lncc:1}", "data.sources=[{kind:simulated}]"])
def test_a_missing_space_after_a_colon_is_told(small: Path, change: str) -> None:
    with pytest.raises(InputError, match=r"found '\w+:\w+'; write a space after its colon: \w+: "):
        load_config(small, [change])


def test_base_of_another_kind_of_network_leaves_nothing_behind(small: Path) -> None:
    child = small.parent / "child.yaml"
    child.write_text(
        "base: small.yaml\nmodel: {kind: voxelmorph}\nstages: [{name: x, levels: 1, max_steps: 7}]\n"
    )
    assert load_config(child).model.kind == "voxelmorph"


def test_bases_that_build_on_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    with pytest.raises(InputError, match="base"):
        load_config(tmp_path / "a.yaml")


def test_overrides_reach_into_lists_and_sections_that_were_not_there(small: Path) -> None:
    found = load_config(
        small,
        ["stages.1.max_steps=9", "device.precision=bf16-mixed", "data.augmentation.flip=0"],
    )
    assert [stage.max_steps for stage in found.stages] == [5, 9]
    assert found.device.precision == "bf16-mixed"
    assert found.data.augmentation.flip == 0


def test_the_loss_of_a_stage_says_what_differs(small: Path, tmp_path: Path) -> None:
    found = load_config(small, ["loss.diffusion=2", "loss.mind=1", "stages.1.loss.lncc=0"])
    first, second = (found.loss_of(stage) for stage in found.stages[:2])
    assert (first.lncc, first.mind, first.diffusion) == (1.0, 1.0, 2.0)
    assert (second.lncc, second.mind, second.diffusion) == (0.0, 1.0, 2.0)
    save_config(found, tmp_path / "kept.yaml")
    assert load_config(tmp_path / "kept.yaml") == found


def test_paths_in_a_file_start_at_the_file_and_in_an_override_where_one_stands(small: Path) -> None:
    small.write_text(SMALL + "data: {sources: [{kind: cases, path: pairs}], cache: kept}\n")
    found = load_config(small)
    assert found.data.sources[0].path == small.parent / "pairs"
    assert found.data.cache == small.parent / "kept"
    found = load_config(small, ["data.sources.0.path=pairs"])
    assert found.data.sources[0].path == Path.cwd() / "pairs"
    # what a run keeps leads to the same files from the run's own folder
    (small.parent / "run").mkdir()
    save_config(found, small.parent / "run" / "config.yaml")
    assert load_config(small.parent / "run" / "config.yaml") == found


def test_what_is_saved_is_what_was_read(small: Path, tmp_path: Path) -> None:
    found = load_config(small, ["seed=3"])
    save_config(found, tmp_path / "out.yaml")
    assert load_config(tmp_path / "out.yaml") == found
    assert yaml.safe_load((tmp_path / "out.yaml").read_text())["seed"] == 3


def test_stages_left_out_are_each_level_and_then_all(small: Path) -> None:
    content = yaml.safe_load(SMALL)
    del content["stages"]
    small.write_text(yaml.safe_dump(content))
    stages = load_config(small).stages
    assert [(s.levels, s.frozen) for s in stages] == [(1, ()), (2, (0,)), (2, ())]
    assert stages[2].weights == (0.5, 1.0)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("lernrate=1", "lernrate"),
        ("los.lncc=1", "did you mean 'loss'"),
        ("learning_rate=1", "did you mean 'stages.N.learning_rate'"),
        ("stages.1.lncc=1", "did you mean 'loss.lncc'"),
        ("max_steps=1", "did you mean 'stages.N.max_steps'"),
        ("data.sources=[{kind: simulated, path: x}]", "expected one of anatomies, augment,"),
        ("loss.lnc=1", "did you mean 'lncc'"),
        ("stages.0.max_step=1", "did you mean 'max_steps'"),
        ("model.levels.1.entri=[4]", "did you mean 'entry'"),
        ("data.augmentation.degree=1", "did you mean 'degrees'"),
        (
            "data.sources=[{kind: cases, path: a, split: {validate: 1}}]",
            "did you mean 'validation'",
        ),
        ("data.sources=[{kind: case, path: a}]", "case"),
        ("device.precision=fp16", "'32-true', 'bf16-mixed' or '16-mixed', found 'fp16'"),
        ("batch=0", "greater than or equal to 1, found 0"),
        ("batch=two", "batch"),
        ("workers=on", "workers: expected a number, found true"),
        ("stages.1.target=no", "stages.1.target: expected a number, found false"),
        ("model.levels.0.body=[4,yes]", "model.levels.0.body.1: expected a number, found true"),
        ("stages.0.levels=4", "runs 4 levels of 2"),
        ("stages.1.frozen=[0,1]", "at least one"),
        ("stages.5.levels=1", "a place 0 to 1"),
        ("loss.lncc=0", "must be above 0"),
        ("seed", "KEY=VALUE"),
        ("seed.x.y=1", "seed"),
        ("seed=[1", "a YAML value"),
        ("stages.0={levels: 1, max_steps: 1}", "name"),
        ("stages.0.learning_rate=.inf", "learning_rate: expected a finite number, found inf"),
        ("model.spacing_mm=.inf", "spacing_mm: expected a finite number, found inf"),
        ("stages.1.frozen=[7]", "freezes levels [7], of 0 to 1"),
        ("stages.1.frozen=0", "stages.1.frozen: expected a list, found 0"),
        ("model.levels=[]", "model.levels: expected a list with something in it, found []"),
        ("model.kind=unet", "model.kind: expected one of 'multilevel', 'voxelmorph', found 'unet'"),
        ("loss=null", "loss: expected a section, found None"),
        ("data.judge.0.path=x", "give the whole list: data.judge=[...]"),
        ("data.judge.0={path: x}", "give the whole list: data.judge=[...]"),
        ("data.sources=[{path: a}]", "data.sources.0.kind: expected a kind, found none"),
        (
            "data.sources=[{kind: cases, path: a, split: {validation: 1.5}}]",
            "split.validation: expected a list of names, or a share from 0 to below 1, found 1.5",
        ),
        ("stages.=1", "a key with a gap"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(small: Path, override: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(small, [override])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_config(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_config(tmp_path / "none.yaml")
    for name, content in (
        ("a", b"[1, 2]"),
        ("b", b"a: [1"),
        ("c", b"\xff\xfe\x00"),
        ("d", b"a: 2020-13-45"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="training config"):
            load_config(tmp_path / name)


def test_a_key_that_is_there_twice_is_refused(small: Path) -> None:
    # YAML would silently take the last
    small.write_text(small.read_text() + "\nbatch: 2\nbatch: 3\n")
    with pytest.raises(InputError, match="batch is there twice"):
        load_config(small)


def test_nothing_in_a_config_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "bad.yaml"
    path.write_text(f"a: !!python/object/apply:pathlib.Path.touch [!!python/name:x {mark}]\n")
    with pytest.raises(InputError, match="no YAML"):
        load_config(path)
    assert not mark.exists()


def test_without_yaml_a_config_is_json(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training needs few packages: a machine with a GPU may have no PyYAML."""
    config = load_config(small)
    for name in ("yaml", "lungmorph.plain_yaml"):
        monkeypatch.setitem(sys.modules, name, None)
    save_config(config, tmp_path / "saved.json")
    assert json.loads((tmp_path / "saved.json").read_text())
    assert load_config(tmp_path / "saved.json") == config
