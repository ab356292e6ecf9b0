"""One small registration from files to files, checked by SimpleITK alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lungmorph.cli import main
from lungmorph.cli.register import FILES, JUDGED
from lungmorph.files import write_image, write_landmark_pairs, write_landmarks
from lungmorph.ops import eroded
from lungmorph.registration.result import LANDMARKS, MOVING_LUNGS
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Volume

Written = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(small_pair: SimulatedPair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pair, registered coarsely and without network, which is enough to check the files."""
    here = tmp_path_factory.mktemp("end_to_end")
    write_image(small_pair.fixed, here / "fixed.nii.gz")
    write_image(small_pair.moving, here / "moving.mha")
    pairs = (small_pair.fixed_landmarks, small_pair.moving_landmarks)
    write_landmark_pairs(*pairs, here / "pairs.csv")
    write_landmarks(pairs[0], here / "fixed.csv")
    # not what LungMorph would find by itself: the edge is left out
    thinner = eroded(small_pair.fixed_lungs.data, 1)
    write_image(Volume(thinner, small_pair.fixed_lungs.grid), here / "mask.nii.gz")
    with pytest.raises(SystemExit) as left:
        main(
            [
                "register",
                str(here / "fixed.nii.gz"),
                str(here / "moving.mha"),
                "-o",
                str(here / "out"),
                "--landmarks",
                str(here / "pairs.csv"),
                "--fixed-mask",
                str(here / "mask.nii.gz"),
                "--levels",
                "0",
                "--spacing",
                "4",
            ]
        )
    assert not left.value.code
    return here


def _run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in arguments])
    assert not left.value.code


def test_the_folder_is_whole_and_says_the_error(folder: Path) -> None:
    expected = {*FILES, *JUDGED, MOVING_LUNGS, LANDMARKS}
    assert {p.name for p in (folder / "out").iterdir()} == expected
    metrics = json.loads((folder / "out" / "metrics.json").read_text())
    judged = json.loads((folder / "out" / "quality.json").read_text())
    assert judged["figures"]["inverse_consistency_mm"]["mean"] < 2.0
    marks = metrics["landmarks"]
    measured = judged["figures"]["landmarks"]["after"]["continuous"]["mean"]
    assert measured == pytest.approx(marks["after"]["continuous"]["mean"], abs=1e-6)
    assert marks["after"]["continuous"]["mean"] < 0.25 * marks["before"]["continuous"]["mean"]
    assert metrics["folding"]["voxels"] == 0
    assert metrics["settings"]["fixed"].endswith("fixed.nii.gz")
    assert (folder / "out" / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_simpleitk_alone_makes_the_same_warped_image(folder: Path) -> None:
    fixed = sitk.ReadImage(str(folder / "fixed.nii.gz"))
    moving = sitk.ReadImage(str(folder / "moving.mha"))
    transform = sitk.ReadTransform(str(folder / "out" / "transform.h5"))
    oracle = sitk.GetArrayFromImage(
        sitk.Resample(moving, fixed, transform, sitk.sitkLinear, -1024.0)
    )
    warped = sitk.ReadImage(str(folder / "out" / "warped.nii.gz"))
    np.testing.assert_allclose(warped.GetOrigin(), fixed.GetOrigin(), atol=1e-4)
    wrong = np.abs(sitk.GetArrayFromImage(warped) - oracle)
    # a point on the very edge of the moving image may count as in or out
    assert np.mean(wrong > 0.5) < 1e-4
    # the test can fail: without the transform the images differ by far more
    still = sitk.GetArrayFromImage(
        sitk.Resample(moving, fixed, sitk.Transform(), sitk.sitkLinear, -1024.0)
    )
    assert np.mean(np.abs(still - oracle) > 0.5) > 0.3


def test_apply_and_simpleitk_move_landmarks_alike(folder: Path, small_pair: SimulatedPair) -> None:
    points = small_pair.fixed_landmarks.points
    oracles = {
        "transform.h5": sitk.ReadTransform(str(folder / "out" / "transform.h5")),
        "displacement.nii.gz": sitk.DisplacementFieldTransform(
            sitk.ReadImage(str(folder / "out" / "displacement.nii.gz"), sitk.sitkVectorFloat64)
        ),
    }
    moved = {}
    for name, oracle in oracles.items():
        output = folder / f"{name}.csv"
        _run("apply", folder / "out" / name, folder / "fixed.csv", "-o", output)
        moved[name] = np.loadtxt(output, delimiter=",", skiprows=2)
        expected = [oracle.TransformPoint(p) for p in points.tolist()]
        np.testing.assert_allclose(moved[name], expected, atol=1e-3)
    np.testing.assert_allclose(*moved.values(), atol=1e-4)


def test_apply_makes_the_same_warped_image(folder: Path) -> None:
    out = folder / "again.nii.gz"
    _run("apply", folder / "out" / "transform.h5", folder / "moving.mha", "-o", out,
         "--like", folder / "fixed.nii.gz")  # fmt: skip
    first, second = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(p)))
        for p in (out, folder / "out" / "warped.nii.gz")
    )
    np.testing.assert_allclose(first, second, atol=0.01)


def test_judged_anew_it_is_judged_by_the_same(folder: Path) -> None:
    """With the lungs and the landmarks that were given, though nobody names them again."""
    report = folder / "out" / "quality.json"
    before = json.loads(report.read_text())
    report.unlink()
    _run("report", folder / "out")
    after = json.loads(report.read_text())
    assert after["verdict"] == before["verdict"]
    told = (
        ("landmarks", "after", "continuous", "mean"),
        ("overlap", "dice_after"),
        ("folding", "min"),
    )
    for keys in told:
        old, new = before["figures"], after["figures"]
        for key in keys:
            old, new = old[key], new[key]
        assert new == pytest.approx(old, rel=1e-3), keys


def test_a_second_run_needs_overwrite(folder: Path) -> None:
    marker = folder / "out" / "metrics.json"
    before = marker.read_bytes()
    with pytest.raises(SystemExit) as left:
        main(["register", "a", "b", "-o", str(folder / "out")])
    assert left.value.code == 2
    assert marker.read_bytes() == before
