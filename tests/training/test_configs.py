"""The configs that come with the program: each is read, builds its network, and passes a check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.training.made import SIZE, SPACING, write_dirlab, write_table

from lungmorph.cli import main
from lungmorph.networks import build
from lungmorph.training import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What a config with data on disk has to be told."""
    folder = tmp_path_factory.mktemp("data")
    write_dirlab(folder / "DIR-Lab", (1, 2))
    write_table(folder / "own", patients=4)
    replica = [
        f"data.sources.0.path={folder / 'DIR-Lab'}",
        f"data.sources.0.options={{size: {list(SIZE)}, spacing: {list(SPACING)}}}",
        "data.sources.0.split.validation=[case2]",
        f"data.judge.0={{path: {folder / 'own'}, leave_out: [p1v0, p2v0, p3v0]}}",
    ]
    return {"dirlab": replica, "cases": [f"data.sources.0.path={folder / 'own'}"]}


def test_all_that_the_manual_names_are_there() -> None:
    assert {
        "multilevel", "three-level", "correlation", "laplacian", "voxelmorph", "diffeomorphic",
        "supervised", "cases", "dirlab",
    } <= set(NAMES)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_config_passes_a_check(
    name: str, data: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = data.get(name, [])
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as left:
        main(
            [
                "train",
                str(CONFIGS / f"{name}.yaml"),
                *overrides,
                "--check",
                "--json",
                "-o",
                str(out),
            ]
        )
    assert not left.value.code
    told = json.loads(capsys.readouterr().out)
    config = load_config(CONFIGS / f"{name}.yaml", overrides)
    network = build(config.model)
    assert told["parameters"] == sum(p.numel() for p in network.parameters())
    assert told["stages"] == [stage.name for stage in config.stages]
    assert not out.exists()
    image = torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = network(image, image.flip(2))
    assert outputs[-1].shape == (1, 3, 32, 32, 32)
    # in the order of the published scheme: every level alone, those before it frozen, then all
    count = config.level_count
    order = [(s.levels, s.frozen) for s in config.stages]
    alone = [(n + 1, tuple(range(n))) for n in range(count)]
    assert order == alone + ([(count, ())] if count > 1 else [])


def test_dirlab_states_the_published_experiment(data: dict) -> None:
    config = load_config(CONFIGS / "dirlab.yaml")
    (source,) = config.data.sources
    assert (source.reader, source.pairs) == ("dirlab-4dct", "all")
    assert source.split.validation == ("case9", "case10")
    assert [entry.reader for entry in config.data.judge] == ["dicom-4d"]


def test_dirlab_from_the_replica_to_the_judgement(data: dict, tmp_path: Path, capsys) -> None:
    tiny = [
        "data.sources.0.pairs=default", "model.spacing_mm=8", "workers=0", "validate_every=2",
        "stages.0.max_steps=2", "stages.1.max_steps=2", "stages.2.max_steps=2",
        "device.accelerator=cpu", "tensorboard=false",
    ]  # fmt: skip
    arguments = [*data["dirlab"], *tiny, "-o", str(tmp_path / "run"), "--json"]
    with pytest.raises(SystemExit) as left:
        main(["train", str(CONFIGS / "dirlab.yaml"), *arguments])
    assert not left.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["finished"]
    assert told["steps"] == 6
    # two voxels of 7 mm along z separate the phases; the pre-alignment of lungs as blunt as these is rough
    assert 0.1 < told["validation"]["start_mm"] < 16
    patients = json.loads((tmp_path / "run" / "patients.json").read_text())
    assert (len(patients["train"][0]), len(patients["validation"])) == (1, 1)
    (judged,) = told["judged"]
    assert judged["pairs"] == 1
    assert judged["start_mm"] < 2
    lines = (tmp_path / "run" / "judged.csv").read_text().splitlines()
    assert len(lines) == 2
    assert Path(told["weights"]).is_file()
