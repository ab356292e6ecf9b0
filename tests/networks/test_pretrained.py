"""Weights as a file: whole, checked, and everything needed to rebuild the network."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.full_disk import no_file_above

from lungmorph.errors import InputError
from lungmorph.networks import (
    LevelConfig,
    MultiLevelConfig,
    available,
    build,
    load_model,
    save_model,
)

CONFIG = MultiLevelConfig(
    spacing_mm=5.0,
    window_hu=(-900, 100),
    levels=(LevelConfig(downsamplings=1, entry=(4,), body=(4, 6)),),
)
CARD = {"name": "small", "trained_on": ["a", "b"], "error_mm": 1.5}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "w.safetensors"
    network = build(CONFIG, seed=4)
    save_model(network, CONFIG, CARD, path)
    return path, network


def rewrite(path, change):
    with safe_open(path, "pt") as file:
        tensors, metadata = {k: file.get_tensor(k) for k in file.keys()}, file.metadata()  # noqa: SIM118
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)


def test_round_trip(saved):
    path, network = saved
    again, config, card = load_model(path)
    assert config == CONFIG
    assert card == CARD
    assert not again.training
    generator = torch.Generator().manual_seed(0)
    fixed, moving = (torch.rand(1, 1, 9, 8, 7, generator=generator) for _ in range(2))
    with torch.no_grad():
        assert torch.equal(network(fixed, moving)[0], again(fixed, moving)[0])
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_half_precision_file_is_smaller_and_loads_to_float32(saved, tmp_path):
    path, network = saved
    half = tmp_path / "half.safetensors"
    save_model(network, CONFIG, CARD, half, dtype=torch.float16)
    assert half.stat().st_size < 0.7 * path.stat().st_size
    for a, b in zip(load_model(half)[0].parameters(), network.parameters(), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b.detach(), atol=1e-4, rtol=1e-3)


def test_missing_file():
    with pytest.raises(InputError, match="no such file"):
        load_model("nowhere/w.safetensors")
    with pytest.raises(InputError, match="no such file"):
        load_model("no-such-name")


def test_truncated_and_not_safetensors(saved):
    path, _ = saved
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:5], b"", b"PK\x03\x04" + whole):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="safetensors"):
            load_model(path)


def test_changed_number_fails_the_checksum(saved):
    path, _ = saved
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="SHA-256"):
        load_model(path)


def test_foreign_tensors(saved, tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="LungMorph"):
        load_model(path)


def test_other_architecture_is_told_by_name(saved):
    path, network = saved
    wider = CONFIG.model_copy(
        update={"levels": (LevelConfig(downsamplings=1, entry=(4,), body=(4, 7)),)}
    )
    save_model(network, wider, CARD, path)
    with pytest.raises(
        InputError, match=r"levels\.0\.body\.\S+ is \(6,\), not \(7,\) and \d+ more"
    ):
        load_model(path)


def test_config_that_cannot_be_read(saved):
    path, _ = saved
    rewrite(path, lambda _, m: m.update(config=json.dumps({"kind": "multilevel", "surprise": 1})))
    with pytest.raises(InputError, match="config or card"):
        load_model(path)
    rewrite(path, lambda _, m: m.pop("card"))
    with pytest.raises(InputError, match="no card"):
        load_model(path)


def test_folder_of_a_run_and_a_network_for_something_else_are_told(saved, tmp_path):
    with pytest.raises(InputError, match=r"a folder; .* weights\.safetensors in it"):
        load_model(tmp_path)
    path, _ = saved
    rewrite(path, lambda _, m: m.update(config='{"kind": "error"}'))
    with pytest.raises(InputError, match=r"'error' .* expected tags: 'multilevel', 'voxelmorph'"):
        load_model(path)


def test_every_shipped_file_loads():
    for name in available():
        network, config, card = load_model(name)
        assert network.config == config
        assert card


def test_weights_that_do_not_fit_the_disk_are_no_file(saved):
    path, network = saved
    before = path.read_bytes()
    with no_file_above(1000), pytest.raises(InputError, match=r"w\.safetensors: .*File too large"):
        save_model(network, CONFIG, CARD, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
