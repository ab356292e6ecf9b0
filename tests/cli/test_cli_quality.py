"""``lungmorph quality`` and ``lungmorph report`` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lungmorph.cli import main
from lungmorph.errors import InputError
from lungmorph.files import write_image, write_landmark_pairs, write_transform
from lungmorph.registration import witnesses
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Affine


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def files(small_pair: SimulatedPair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    for name in ("fixed", "moving"):
        write_image(getattr(small_pair, name), folder / f"{name}.nii.gz")
        write_image(getattr(small_pair, f"{name}_lungs"), folder / f"{name}_mask.nii.gz")
    marks = small_pair.fixed_landmarks, small_pair.moving_landmarks
    write_landmark_pairs(*marks, folder / "landmarks.csv")
    write_transform(small_pair.truth, folder / "truth.nii.gz")
    return folder


def given(files: Path, transform: Path) -> list[object]:
    masks = (
        "--fixed-mask",
        files / "fixed_mask.nii.gz",
        "--moving-mask",
        files / "moving_mask.nii.gz",
    )
    return [
        "quality",
        files / "fixed.nii.gz",
        files / "moving.nii.gz",
        transform,
        *masks,
        "--threads",
        1,
    ]


def test_the_truth_passes_all_but_a_doubt_once_there_is_a_way_back(
    files: Path, small_pair: SimulatedPair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_transform(small_pair.truth.inverse(), tmp_path / "back.nii.gz")
    marks = ("--landmarks", files / "landmarks.csv", "--backward", tmp_path / "back.nii.gz")
    assert call(*given(files, files / "truth.nii.gz"), *marks, "-o", tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "quality.json").read_text())
    # the predicted error is not perfect: a small place of this coarse pair is doubted
    doubted = {check["name"] for check in found["checks"] if check["verdict"] != "pass"}
    assert doubted <= {"wrong_place_ml"}, found["why"]
    assert found["verdict"] == ("review" if doubted else "pass")
    assert found["predicted"]["p95_mm"] < 1.5
    assert found["figures"]["landmarks"]["after"]["continuous"]["mean"] < 0.01
    assert {name.split()[0] for name in found["regions"]} == {"left", "right"}
    assert found["judged"]["moving"] == str(files / "moving.nii.gz")
    assert found["judged"]["transform"] == str(files / "truth.nii.gz")
    assert found["judged"]["judged by"].startswith("LungMorph ")
    assert f"verdict: {found['verdict']}" in capsys.readouterr().out
    out = tmp_path / "out"
    images = ["error.nii.gz", "error_over_2mm.nii.gz", "ventilation.nii.gz"]
    names = sorted([*images, "quality.json", "report.html"])
    assert sorted(path.name for path in out.iterdir()) == names
    fixed, lungs = (sitk.ReadImage(str(files / f"{n}.nii.gz")) for n in ("fixed", "fixed_mask"))
    inside = sitk.GetArrayFromImage(lungs) > 0
    for name, most in (("error", 40.0), ("error_over_2mm", 1.0)):
        image = sitk.ReadImage(str(out / f"{name}.nii.gz"))
        assert image.GetSize() == fixed.GetSize()
        np.testing.assert_allclose(image.GetOrigin(), fixed.GetOrigin(), atol=1e-4)
        values = sitk.GetArrayFromImage(image)
        assert not values[~inside].any()
        assert 0 < values[inside].mean() < values.max() <= most
    page = (tmp_path / "out" / "report.html").read_text()
    assert "moving.nii.gz" in page
    assert f'id="verdict">{found["verdict"]}<' in page


def refusing(*_: object, names: tuple[str, str], **__: object) -> None:
    raise InputError(f"{names[0]} and {names[1]}", expected="a common part", found="none")


def test_what_cannot_be_judged_by_a_way_back_is_refused_by_the_names_of_the_files(
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(witnesses, "register", refusing)
    assert call(*given(files, files / "truth.nii.gz"), "-o", tmp_path / "out") == 2
    scans = f"error: {files / 'moving.nii.gz'} and {files / 'fixed.nii.gz'}: expected"
    assert capsys.readouterr().err.startswith(scans)
    assert not list(tmp_path.iterdir())


def test_a_shift_of_another_tool_fails_and_says_why(
    files: Path, small_pair: SimulatedPair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two files written by SimpleITK as another program would: 60 mm to the back, then all a tenth wider to the back."""
    first, second = tmp_path / "first.tfm", tmp_path / "second.mat"
    sitk.WriteTransform(sitk.TranslationTransform(3, (0.0, 60.0, 0.0)), str(first))
    wide = sitk.AffineTransform(3)
    wide.Scale((1.0, 1.1, 1.0))
    sitk.WriteTransform(wide, str(second))
    arguments = given(files, first)
    arguments.insert(4, second)
    assert (
        call(*arguments, "--landmarks", files / "landmarks.csv", "--json", "-o", tmp_path / "out")
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "fail"
    assert found["why"][0].startswith("Landmark error, mean:")
    fixed, moving = small_pair.fixed_landmarks.points, small_pair.moving_landmarks.points
    wrong = (fixed + np.array([0, 60, 0])) * np.array([1, 1.1, 1])
    error = np.linalg.norm(wrong - moving, axis=1).mean()
    assert found["judged"]["transform"] == f"{first}, then {second}"
    assert found["figures"]["landmarks"]["after"]["continuous"]["mean"] == pytest.approx(
        error, abs=1e-3
    )


def test_report_anew_and_of_many(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "results" / "one"
    result.mkdir(parents=True)
    write_transform(Affine.identity(), result / "transform.h5")
    settings = {
        "fixed": str(files / "fixed.nii.gz"),
        "moving": str(tmp_path / "gone.nii.gz"),
        "preset": "fast",
    }
    (result / "metrics.json").write_text(json.dumps({"settings": settings}))
    assert call("report", result) == 2
    said = capsys.readouterr().err
    assert "expected the moving scan where it was" in said
    assert "pass --moving FILE" in said
    assert call("report", result, "--moving", files / "moving.nii.gz", "--threads", 1) == 0
    assert (result / "report.html").is_file()
    assert call("report", tmp_path / "results") == 0
    assert 'href="one/report.html"' in (tmp_path / "results" / "index.html").read_text()
    assert call("report", tmp_path / "results", "--landmarks", files / "none.csv") == 2
    assert "leave the options out" in capsys.readouterr().err
    (result / "transform.h5").unlink()
    assert call("report", result) == 2
    assert "run `lungmorph quality` again" in capsys.readouterr().err
    write_transform(Affine.identity(), result / "transform.h5")
    (result / "metrics.json").unlink()
    assert call("report", result) == 2
    assert "found no such file; pass --fixed FILE and --moving FILE" in capsys.readouterr().err
    (result / "metrics.json").write_text(json.dumps({"settings": {"moving": None}}))
    assert call("report", result) == 2
    assert "found no name of it" in capsys.readouterr().err
    (result / "transform.h5").unlink()
    assert not (result / "index.html").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("none.h5",), "none.h5"),
        (("truth.nii.gz", "--tolerances", "mine.yaml"), "mine.yaml: expected the checks"),
        (("truth.nii.gz", "--landmarks", "none.csv"), "none.csv"),
        (("fixed.nii.gz",), "fixed.nii.gz"),
        (("truth.nii.gz", "--fixed-mask", "fixed.nii.gz"), "expected a mask, 0 outside"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, ...],
    said: str,
) -> None:
    (files / "mine.yaml").write_text("dice: {}\n")
    transform, *options = change
    more = [files / option if "." in option else option for option in options]
    assert call(*given(files, files / transform), *more, "-o", tmp_path / "out") == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "out").exists()
