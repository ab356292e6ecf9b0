import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from tests.geometry import to_sitk

from lungmorph import Landmarks, Volume, register
from lungmorph.errors import InputError
from lungmorph.files import read_transform
from lungmorph.registration import PRESETS, Registration, memory, witnesses
from lungmorph.registration.presets import CHECK_MM
from lungmorph.simulate import SimulatedPair
from lungmorph.space import DisplacementField


def error(result: Registration, pair: SimulatedPair) -> float:
    found = result.transform.apply(pair.fixed_landmarks)
    return float(found.distance_to(pair.moving_landmarks).mean())


@pytest.fixture(scope="module")
def result(small_pair: SimulatedPair) -> Registration:
    return register(
        small_pair.fixed, small_pair.moving, spacing=3.0, levels=0,
        landmarks=(small_pair.fixed_landmarks, small_pair.moving_landmarks),
    )  # fmt: skip


def test_the_refinement_finds_the_motion(result: Registration, small_pair: SimulatedPair) -> None:
    before = small_pair.fixed_landmarks.points - small_pair.moving_landmarks.points
    assert np.linalg.norm(before, axis=1).mean() > 4
    assert error(result, small_pair) < 0.8


def test_the_state_to_check_by_is_what_a_coarser_registration_finds(
    small_pair: SimulatedPair,
) -> None:
    scans = small_pair.fixed, small_pair.moving
    fine = register(*scans, spacing=2.0, levels=0)
    check = register(*scans, spacing=CHECK_MM, levels=0).transform
    assert fine.coarse is not None
    assert torch.equal(fine.coarse().data, check.data)
    assert not torch.equal(fine.transform.data, check.data)
    assert register(*scans, spacing=6.0, levels=0).coarse is None  # it did not come by there


def test_nothing_folds(result: Registration) -> None:
    assert result.metrics["folding"]["voxels"] == 0
    assert float(result.transform.jacobian().data.min()) > 0


def test_the_lungs_lie_over_each_other(result: Registration) -> None:
    lungs = result.metrics["lungs"]
    assert lungs["dice_after"] > 0.95
    assert lungs["dice_after"] > lungs["dice_prealigned"]


def test_the_inverse_leads_back(result: Registration) -> None:
    assert result.metrics["inverse_residual_mm"]["mean"] < 0.1
    moved = result.transform.apply(result.landmarks[0])  # type: ignore[index]
    back = result.inverse.apply(moved)
    assert np.median(back.distance_to(result.landmarks[0])) < 0.1  # type: ignore[index]


def test_landmarks_are_only_reported(result: Registration, small_pair: SimulatedPair) -> None:
    reported = result.metrics["landmarks"]["after"]["continuous"]["mean"]
    assert reported == pytest.approx(error(result, small_pair), abs=1e-4)
    wrong = Landmarks(small_pair.moving_landmarks.points + 30, "moving")
    other = register(
        small_pair.fixed, small_pair.moving, spacing=6.0, levels=0,
        landmarks=(small_pair.fixed_landmarks, wrong),
    )  # fmt: skip
    without = register(small_pair.fixed, small_pair.moving, spacing=6.0, levels=0)
    assert torch.equal(other.transform.data, without.transform.data)


def test_the_second_of_two_is_as_in_a_process_of_its_own(
    small_pair: SimulatedPair, tmp_path: Path
) -> None:
    """With the network: nothing of the first registration may stay in it."""
    for name, volume in (("fixed", small_pair.fixed), ("moving", small_pair.moving)):
        sitk.WriteImage(to_sitk(volume), str(tmp_path / f"{name}.mha"))
    script = (
        "import sys, torch; from lungmorph import register, read_image\n"
        "a, b = (read_image(p) for p in sys.argv[1:3])\n"
        "for x, y in [(b, a), (a, b)][int(sys.argv[4]):]:\n"
        "    r = register(x, y, spacing=6.0)\n"
        "torch.save(r.transform.data, sys.argv[3])\n"
    )
    fields = []
    for skip in "01":
        out = tmp_path / f"{skip}.pt"
        arguments = [str(tmp_path / "fixed.mha"), str(tmp_path / "moving.mha"), str(out), skip]
        subprocess.run([sys.executable, "-c", script, *arguments], check=True)
        fields.append(torch.load(out, weights_only=True))
    assert torch.equal(*fields)


def test_files_are_what_simpleitk_makes_of_the_transform(
    result: Registration, small_pair: SimulatedPair, tmp_path: Path
) -> None:
    result.save(tmp_path / "out")
    moving = to_sitk(small_pair.moving)
    fixed = to_sitk(small_pair.fixed)
    transform = sitk.ReadTransform(str(tmp_path / "out" / "transform.h5"))
    expected = sitk.GetArrayFromImage(
        sitk.Resample(moving, fixed, transform, sitk.sitkLinear, -1024.0)
    )
    warped = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "warped.nii.gz")))
    assert np.abs(warped - expected).max() < 0.1  # HU
    image = sitk.ReadImage(str(tmp_path / "out" / "displacement.nii.gz"), sitk.sitkVectorFloat64)
    field = sitk.DisplacementFieldTransform(image)
    for point in small_pair.fixed_landmarks.points[::20].tolist():
        ours = result.transform.apply([point])[0]
        np.testing.assert_allclose(transform.TransformPoint(point), ours, atol=1e-3)
        np.testing.assert_allclose(
            field.TransformPoint(point), transform.TransformPoint(point), atol=1e-4
        )
    saved = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert saved["folding"] == result.metrics["folding"]


def test_the_transform_alone_is_the_same_transform(result: Registration, tmp_path: Path) -> None:
    result.save(tmp_path / "all", report=False)
    result.save(tmp_path / "alone", transform_only=True)
    assert sorted(f.name for f in (tmp_path / "alone").iterdir()) == [
        "landmarks.csv", "metrics.json", "transform.h5",
    ]  # fmt: skip
    whole, alone = (read_transform(tmp_path / n / "transform.h5") for n in ("all", "alone"))
    assert isinstance(whole, DisplacementField)
    assert isinstance(alone, DisplacementField)
    assert torch.equal(whole.data, alone.data)
    saved = json.loads((tmp_path / "alone" / "metrics.json").read_text())
    assert saved == {"seconds": result.seconds, "settings": result.settings}


def test_a_way_back_that_is_refused_is_so_by_the_names_of_the_scans(
    result: Registration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object, names: tuple[str, str], **__: object) -> None:
        raise InputError(f"{names[0]} and {names[1]}", expected="a common part", found="none")

    monkeypatch.setattr(witnesses, "register", refusing)
    called = {**result.settings, "fixed": "base.nii", "moving": "apex.nii"}
    with pytest.raises(InputError, match=r"apex\.nii and base\.nii: .*common"):
        dataclasses.replace(result, settings=called).save(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_more_memory_than_there_is(
    small_pair: SimulatedPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: 150_000_000)
    with pytest.raises(InputError, match=r"--spacing [\d.]+ fits") as caught:
        register(small_pair.fixed, small_pair.moving, spacing=1.0, levels=0)
    fits = float(str(caught.value).split("--spacing ")[1].split()[0])
    assert fits > 1.0
    smaller = register(small_pair.fixed, small_pair.moving, preset="default", levels=0)
    assert smaller.settings["finest_mm"] > PRESETS["default"].scales[-1].spacing
    # what others are checked by asks for a spacing too, but must not end what went well
    yielding = register(small_pair.fixed, small_pair.moving, spacing=1.0, levels=0, or_coarser=True)
    assert yielding.settings["finest_mm"] == smaller.settings["finest_mm"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"preset": "best"}, "preset"),
        ({"spacing": 0.01}, "spacing"),
        ({"preset": "fast", "spacing": 2.0}, "refines"),
        ({"model": "no-such-model"}, "no-such-model"),
        ({"levels": 9}, "level"),
    ],
)
def test_wrong_options_are_one_line(small_pair: SimulatedPair, options: dict, word: str) -> None:
    with pytest.raises(InputError, match=word):
        register(small_pair.fixed, small_pair.moving, **options)


def test_an_oblique_anisotropic_scan_of_odd_size(small_pair: SimulatedPair) -> None:
    from scipy.spatial.transform import Rotation

    from lungmorph.space import Grid

    turned = Rotation.from_euler("xyz", [6, -4, 9], degrees=True).as_matrix()
    size, spacing = (91, 77, 57), (3.3, 3.1, 5.0)
    middle = small_pair.moving.grid.center
    origin = middle - turned @ ((np.array(size) - 1) / 2 * spacing)
    oblique: Volume = small_pair.moving.resample(
        Grid(size, spacing, tuple(origin), turned), fill=-1000.0
    )
    found = register(small_pair.fixed, oblique, spacing=3.0, levels=0)
    assert error(found, small_pair) < 1.2
