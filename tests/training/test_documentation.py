"""docs/training.md names every key of a config with its default, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from lungmorph.networks import LevelConfig, MultiLevelConfig
from lungmorph.networks.config import VoxelMorphConfig
from lungmorph.training import DeviceConfig, LossWeights, StageConfig, TrainingConfig
from lungmorph.training.data_config import (
    Augmentation,
    Cases,
    DataConfig,
    HeldOut,
    Judged,
    Simulated,
    Split,
)  # fmt: skip

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text()
SECTIONS: dict[str, type[BaseModel]] = {
    "The run": TrainingConfig,
    "`device`": DeviceConfig,
    "`stages.N`": StageConfig,
    "`loss`, `stages.N.loss`": LossWeights,
    "`data`": DataConfig,
    "`data.sources.N` with `kind: simulated`": Simulated,
    "`data.sources.N.validation`": HeldOut,
    "`data.sources.N` with `kind: cases`": Cases,
    "`data.sources.N.split`": Split,
    "`data.judge.N`": Judged,
    "`data.augmentation`": Augmentation,
    "`model` with `kind: multilevel`": MultiLevelConfig,
    "`model.levels.N`": LevelConfig,
    "`model` with `kind: voxelmorph`": VoxelMorphConfig,
}


def written(value: object) -> str:
    """A default as the page writes it."""
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "below"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        if any(isinstance(item, BaseModel) for item in value):
            return "one simulated"
        return f"[{', '.join(map(written, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("section", SECTIONS)
def test_table_has_the_keys_and_defaults_of_the_config(section: str) -> None:
    _, after = PAGE.split(f"\n### {section}\n")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", after.split("\n### ")[0], re.MULTILINE)
    fields = SECTIONS[section].model_fields.items()
    expected = {
        name: "needed" if field.is_required() else written(field.default)
        for name, field in fields
        if name != "kind"
    }
    assert dict(rows) == expected
    assert len(rows) == len(expected)


def test_no_section_is_left_out() -> None:
    assert set(re.findall(r"^### (.+)$", PAGE, re.MULTILINE)) == set(SECTIONS)


def test_configs_on_the_page_are_there() -> None:
    named = set(re.findall(r"\b([\w-]+\.yaml)\b", PAGE)) - {"config.yaml"}
    assert named == {path.name for path in (ROOT / "configs").glob("*.yaml")}
