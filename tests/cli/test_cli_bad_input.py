"""Every bad input of the list: one clear line, exit code 2, nothing left on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import SimpleITK as sitk
import torch

from lungmorph.cli import main
from lungmorph.files import write_image
from lungmorph.networks import build, save_model, two_level
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Grid, Volume

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def scans(small_pair: SimulatedPair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good pair and one bad file of every kind."""
    folder = tmp_path_factory.mktemp("scans")
    # coarse, so that what has to be read before the refusal is read quickly
    good = small_pair.fixed.reduce(6.0)
    write_image(good, folder / "good.nii.gz")
    write_image(small_pair.moving.reduce(6.0), folder / "moving.nii.gz")
    hu, grid = good.data, good.grid

    whole = (folder / "good.nii.gz").read_bytes()
    (folder / "truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "text.nii.gz").write_text("not an image")
    image = sitk.ReadImage(str(folder / "good.nii.gz"))
    sitk.WriteImage(image[:, :, 10], str(folder / "flat.mha"))
    sitk.WriteImage(sitk.JoinSeries([image, image]), str(folder / "time.nii.gz"))
    colour = sitk.Compose([sitk.Cast(image, sitk.sitkUInt8)] * 3)
    sitk.WriteImage(colour, str(folder / "colour.mha"))

    def put(name: str, values: torch.Tensor) -> None:
        write_image(Volume(values.float(), grid), folder / f"{name}.nii.gz")

    put("eight_bit", (hu + 1024).clamp(0, 1500) / 6)
    put("magnetic", (hu + 1100).abs() / 3)
    put("stored", (hu + 1024).index_fill_(0, torch.tensor([0]), 2200.0))
    put("nan", hu.clone().index_fill_(0, torch.tensor([3]), float("nan")))
    put("infinite", hu.clone().index_fill_(0, torch.tensor([3]), float("inf")))
    put("no_lung", torch.where(hu < -300, torch.full_like(hu, 40.0), hu).index_fill_(
        2, torch.arange(6), -1000.0))  # fmt: skip
    left = sitk.Image(image)
    left.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(left, str(folder / "left_handed.mha"))
    text = {"DimSize": "3 3 3", "ElementType": "MET_SHORT", "ElementSpacing": "1 1 1"}
    for name, change in {
        "zero_spacing": {"ElementSpacing": "0 1 1"},
        "absurd_spacing": {"ElementSpacing": "1 1 500"},
        "sheared": {"TransformMatrix": "1 0.3 0 0 1 0 0 0 1"},
    }.items():
        lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True"]
        lines += [f"{key} = {value}" for key, value in {**text, **change}.items()]
        header = "\n".join([*lines, "ElementDataFile = LOCAL\n"]).encode()
        (folder / f"{name}.mha").write_bytes(header + bytes(54))

    mask = small_pair.fixed_lungs.resample(grid)
    write_image(mask, folder / "mask.nii.gz")
    other = Grid(grid.size, grid.spacing, tuple(o + 3 for o in grid.origin), grid.direction)
    write_image(Volume(mask.data, other), folder / "shifted_mask.nii.gz")
    write_image(Volume(torch.zeros_like(mask.data), grid), folder / "empty_mask.nii.gz")

    # the apex of one scan, the base of the other
    depth = grid.size[2]
    for name, start in (("base", 0), ("apex", depth - depth // 4)):
        part = grid.crop((0, 0, start), (*grid.size[:2], depth // 4))
        write_image(good.crop_to(part), folder / f"{name}.nii.gz")

    (folder / "pairs.csv").write_text("fixed_x,fixed_y,fixed_z\n1,2,3\n")
    (folder / "three.csv").write_text("x,y,z\n1,2,3\n4,5,6\n7,8,9\n")
    (folder / "two.csv").write_text("x,y,z\n1,2,3\n4,5,6\n")

    config = two_level()
    save_model(build(config), config, {}, folder / "whole.safetensors")
    weights = bytearray((folder / "whole.safetensors").read_bytes())
    weights[-1000] ^= 0x40
    (folder / "changed.safetensors").write_bytes(weights)
    smaller = two_level().model_copy(update={"levels": config.levels[:1]})
    save_model(build(config), smaller, {}, folder / "other.safetensors")
    return folder


@pytest.fixture
def refused(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Refused:
    """Run ``register`` in a folder of scans, see that it refuses, and return what it says."""
    monkeypatch.chdir(scans)

    def call(fixed: str, moving: str, *options: str) -> str:
        before = sorted(scans.iterdir())
        with pytest.raises(SystemExit) as left:
            main(
                ["register", fixed, moving, "-o", str(tmp_path / "new" / "out"), "--json", *options]
            )
        out, err = capfd.readouterr()
        assert left.value.code == 2
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert json.loads(out) == {"error": err.removeprefix("error: ").rstrip("\n")}
        assert list(tmp_path.iterdir()) == []
        assert sorted(scans.iterdir()) == before
        return err

    return call


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.nii.gz", "nothing there"),
        ("truncated.nii.gz", "truncated"),
        ("text.nii.gz", "text.nii.gz"),
        ("flat.mha", "2 dimensions"),
        ("time.nii.gz", "phases or time points"),
        ("colour.mha", "colour"),
        ("eight_bit.nii.gz", "8-bit"),
        ("magnetic.nii.gz", "Hounsfield"),
        ("stored.nii.gz", "intercept"),
        ("nan.nii.gz", "NaN"),
        ("infinite.nii.gz", "infinity"),
        ("no_lung.nii.gz", "lung"),
        ("left_handed.mha", "left-handed"),
        ("sheared.mha", "orthonormal"),
        ("zero_spacing.mha", "spacing"),
        ("absurd_spacing.mha", "spacing"),
    ],
)
def test_a_bad_image_is_refused_on_either_side(refused: Refused, name: str, said: str) -> None:
    for pair in ((name, "good.nii.gz"), ("good.nii.gz", name)):
        line = refused(*pair, "--levels", "0")
        assert name in line
        assert said in line


def test_a_mask_of_another_geometry_or_without_voxels_is_refused(refused: Refused) -> None:
    pair = ("good.nii.gz", "moving.nii.gz")
    assert "geometry" in refused(*pair, "--fixed-mask", "shifted_mask.nii.gz")
    assert "empty_mask.nii.gz" in refused(*pair, "--moving-mask", "empty_mask.nii.gz")


def test_scans_without_common_lung_are_refused(refused: Refused) -> None:
    line = refused("apex.nii.gz", "base.nii.gz", "--levels", "0")
    assert "lung" in line


def test_bad_landmarks_are_refused(refused: Refused) -> None:
    pair = ("good.nii.gz", "moving.nii.gz")
    assert "moving_x" in refused(*pair, "--landmarks", "pairs.csv")
    line = refused(*pair, "--landmarks", "three.csv", "--landmarks", "two.csv")
    assert "3" in line
    assert "2" in line
    assert "absent.csv" in refused(*pair, "--landmarks", "absent.csv")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("changed.safetensors", "SHA-256"),
        ("other.safetensors", "config"),
        ("pairs.csv", "safetensors"),
        ("absent", "no such file"),
    ],
)
def test_bad_weights_are_refused(refused: Refused, name: str, said: str) -> None:
    line = refused("good.nii.gz", "moving.nii.gz", "--model", name)
    assert name in line
    assert said in line


def test_too_little_memory_is_said_with_numbers(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10_000_000))
    line = refused("good.nii.gz", "moving.nii.gz", "--model", "whole.safetensors", "--levels", "2")
    assert "GB" in line


@pytest.mark.parametrize("value", ["0.01", "99", "nan"])
def test_an_absurd_spacing_of_the_refinement_is_refused(refused: Refused, value: str) -> None:
    assert "spacing" in refused("good.nii.gz", "moving.nii.gz", "--spacing", value)


def test_more_levels_than_the_network_has_are_refused(refused: Refused) -> None:
    line = refused("good.nii.gz", "moving.nii.gz", "--model", "whole.safetensors", "--levels", "7")
    assert "level" in line
