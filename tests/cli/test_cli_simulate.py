"""``lungmorph simulate`` as a user calls it, and what it writes read by others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tests.cli.program import call

from lungmorph.datasets import open_dataset
from lungmorph.simulate.recipe import Recipe
from replicas import dicom, own


def array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "pairs"
    options = ("--seed", 3, "--spacing", "5x5x6", "--depth", 20, "--noise", 0, "--collapse", 0.5)
    assert call("simulate", out, "--pairs", 2, *options) == 0
    return out


def test_pairs_are_a_dataset_that_is_right(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert call("data", "check", pairs / "dataset.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [case["id"] for case in found["cases"]] == ["case-001", "case-002"]
    for case in found["cases"]:
        assert case["problems"] == []
        assert case["in_lungs"] > 0.95
        assert case["landmarks"] > 20
        assert 2 < case["lde_before"]["mean"] < 25
    patients = {case.patient for case in open_dataset(pairs).cases}
    assert len(patients) == 2


def test_simpleitk_warps_the_moving_scan_to_the_fixed_one_by_the_truth(pairs: Path) -> None:
    for case in sorted(pairs.glob("case-*")):
        fixed, moving = (sitk.ReadImage(str(case / f"{n}.nii.gz")) for n in ("fixed", "moving"))
        truth = sitk.ReadImage(str(case / "truth.nii.gz"), sitk.sitkVectorFloat64)
        transform = sitk.DisplacementFieldTransform(truth)
        warped = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, -1000.0)
        # what is collapsed in the fixed scan shows tissue there and air in the other
        aired = (array(case / "fixed_lungs.nii.gz") > 0) & (sitk.GetArrayFromImage(fixed) < -100)
        a, b, c = (sitk.GetArrayFromImage(i)[aired].astype(float) for i in (fixed, warped, moving))
        assert np.corrcoef(a, b)[0, 1] > 0.85
        assert np.corrcoef(a, c)[0, 1] < 0.6
        rows = np.loadtxt(case / "landmarks.csv", delimiter=",", skiprows=2)
        there = np.array([transform.TransformPoint(row[:3].tolist()) for row in rows])
        assert np.abs(there - rows[:, 3:]).max() < 1e-2


def test_the_same_options_give_the_same_files(pairs: Path, tmp_path: Path) -> None:
    options = ("--seed", 3, "--spacing", "5x5x6", "--depth", 20, "--noise", 0, "--collapse", 0.5)
    assert call("simulate", tmp_path / "a", "--pairs", 1, *options) == 0
    for name in ("fixed", "moving", "truth"):
        again = array(tmp_path / "a" / "case-001" / f"{name}.nii.gz")
        assert np.array_equal(again, array(pairs / "case-001" / f"{name}.nii.gz"))


def test_a_series_is_read_as_ten_phases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--spacing", 6, "--motion", "random", "--depth", 15, "--tumour", 20, "--every-truth")
    assert call("simulate", tmp_path / "s", "--series", 1, *options) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("1 4D CT of ten phases, 57x44x50 voxels of 6x6x6 mm")
    assert said[-1] == f"  lungmorph evaluate {tmp_path}/s/dataset.csv -o RESULT"
    (case,) = open_dataset(tmp_path / "s").cases
    assert case.problems == ()
    assert (case.fixed, case.moving, len(case.scans)) == ("T00", "T50", 10)
    assert [scan.percent for scan in case.scans] == list(range(0, 100, 10))
    between = case.landmarks("T20", "T70")
    assert between is not None
    files = {f"T{n}0": f"T{n}0_truth.nii.gz" for n in range(1, 10)}
    for phase, name in ("T50", "truth.nii.gz"), *files.items():
        truth = sitk.DisplacementFieldTransform(
            sitk.ReadImage(str(tmp_path / "s" / "case-001" / name), sitk.sitkVectorFloat64)
        )
        first, last = case.landmarks("T00", phase) or pytest.fail("no landmarks")
        there = np.array([truth.TransformPoint(p) for p in first.points.tolist()])
        assert np.linalg.norm(there - last.points, axis=1).max() < 0.02


def test_dirlabs_layout_is_read_back_to_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "4DCT"
    options = ("--spacing", "5x5.078125x6", "--seed", 8, "--depth", 24, "--layout", "dirlab")
    assert call("simulate", out, "--series", 1, *options) == 0
    assert "--size 68x52x50 --spacing 5x5.078125x6" in capsys.readouterr().out
    recipe = Recipe(seed=8, spacing=(5.0, 5.078125, 6.0), depth_mm=24.0)
    grid = recipe.grid
    dataset = open_dataset(out, "dirlab-4dct", size=grid.size, spacing=grid.spacing)
    (case,) = dataset.cases
    assert case.problems == ()
    series = recipe.series(0)
    for scan, phase in ((case.scan("T00"), 0), (case.scan("T40"), 4)):
        assert float((scan.load().data - series.phases[phase].data).abs().max()) <= 0.51
    first, last = case.landmarks("T00", "T50") or pytest.fail("no landmarks")
    assert len(first) > 40
    # the files begin at 0 mm; points of T00 are voxel centres, those of T50 are rounded to them
    there = series.truth("T00", "T50").apply(first.points + grid.origin) - grid.origin
    assert (np.abs(there - last.points) <= np.array(grid.spacing) / 2 + 0.02).all()
    assert np.linalg.norm(first.points - last.points, axis=1).mean() > 3


def test_a_real_ct_and_a_real_motion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.write(tmp_path / "ct.nii.gz", own.chest(1))
    own.write_mask(tmp_path / "m.nii.gz")
    rng = np.random.default_rng(1)
    points = rng.uniform(20, 150, (200, 3))
    moved = points + (0, 0, -4) * (points[:, 2:] < 90)
    np.savetxt(tmp_path / "k.csv", np.hstack([points, moved]), delimiter=",")
    options = ("--anatomy", tmp_path / "ct.nii.gz", "--anatomy-mask", tmp_path / "m.nii.gz")
    motion = ("--motion", tmp_path / "k.csv", "--json")
    assert call("simulate", tmp_path / "o", "--pairs", 1, *options, *motion) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["spacing"] == [6.0, 6.0, 6.5]  # its own
    assert 1 < made["motion_mm"]["mean"] < 12
    assert open_dataset(tmp_path / "o").cases[0].patient == "ct"
    # read where it lies: the moving scan is the CT
    image = sitk.ReadImage(str(tmp_path / "o" / "case-001" / "moving.nii.gz"))
    original = sitk.ReadImage(str(tmp_path / "ct.nii.gz"))
    same = sitk.Resample(original, image)
    lungs = array(tmp_path / "o" / "case-001" / "moving_lungs.nii.gz") > 0
    off = sitk.GetArrayFromImage(image).astype(float) - sitk.GetArrayFromImage(same)
    assert abs(np.median(off[lungs])) < 15


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--pairs N or --series N, found neither"),
        (("--pairs", 1, "--series", 1), "--pairs N or --series N, found both"),
        (("--pairs", 0), "--pairs"),
        (("--pairs", 1, "--motion", "breath"), "breathing, random or a CSV"),
        (("--pairs", 1, "--motion", "gone.csv"), "found No such file or directory"),
        (("--pairs", 1, "--spacing", "2x2"), "one number or three"),
        (("--pairs", 1, "--depth", 500), "--depth"),
        (("--pairs", 1, "--spacing", "nan"), "one number or three"),
        (("--pairs", 1, "--spacing", 20), "at least 16 voxels along each axis"),
        (("--pairs", 1, "--layout", "dirlab"), "--series"),
        (("--pairs", 1, "--every-truth"), "--series"),
        (("--series", 1, "--every-truth", "--layout", "dirlab"), "as NIfTI"),
        (("--pairs", 1, "--slice-thickness", "inf"), "--slice-thickness"),
        (("--pairs", 1, "--noise", "inf"), "--noise"),
        (("--pairs", 1, "--tumour", "inf"), "--tumour"),
        (("--pairs", 1, "--collapse", 1.5), "a share, 0 to 1"),
        (("--pairs", 1, "--anatomy", "gone.nii.gz"), "gone.nii.gz"),
        (("--pairs", 1, "--anatomy-mask", "gone.nii.gz"), "--anatomy"),
        (("--pairs", 1, "--spacing", 8, "--tumour", 200), "a radius that fits into the lungs"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(
    options: tuple[object, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("simulate", tmp_path / "out", *options) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_scans_that_do_not_fit_into_memory_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungmorph.registration.memory.available_bytes", lambda: 10**9)
    assert call("simulate", tmp_path / "o", "--pairs", 1, "--spacing", 1) == 2
    shown = capsys.readouterr().err
    assert "memory: expected about 8.0 GB" in shown  # 340 x 260 x 300 voxels of 300 bytes
    assert "ask for a coarser spacing" in shown
    assert list(tmp_path.iterdir()) == []


def test_lungs_that_are_empty_and_folders_that_exist_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own.write(tmp_path / "ct.nii.gz", own.chest(1))
    empty = sitk.ReadImage(str(tmp_path / "ct.nii.gz")) * 0
    sitk.WriteImage(empty, str(tmp_path / "m.nii.gz"))
    options = ("--anatomy", tmp_path / "ct.nii.gz", "--anatomy-mask", tmp_path / "m.nii.gz")
    assert call("simulate", tmp_path / "o", "--pairs", 1, *options) == 2
    assert "m.nii.gz: expected a mask, found no voxel above 0" in capsys.readouterr().err
    (tmp_path / "there").mkdir()
    assert call("simulate", tmp_path / "there", "--pairs", 1) == 2
    assert "expected a new output folder" in capsys.readouterr().err


def test_a_grid_too_coarse_for_landmarks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--series", 1, "--spacing", "18x14x15")
    assert call("simulate", tmp_path / "s", *options) == 0
    assert ", 0 landmarks each" in capsys.readouterr().out
    (case,) = open_dataset(tmp_path / "s").cases
    assert case.problems == ()
    assert not case.landmark_sets
    assert call("simulate", tmp_path / "d", *options, "--layout", "dirlab") == 2
    assert "expected vessels to set landmarks at" in capsys.readouterr().err


def test_of_several_series_a_file_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        series = dicom.new_series(SeriesNumber=number)
        dicom.write_series(tmp_path / "ct", np.zeros((4, 8, 8), dtype=np.int16), series=series)
    assert call("simulate", tmp_path / "o", "--pairs", 1, "--anatomy", tmp_path / "ct") == 2
    said = capsys.readouterr().err
    # --series counts 4D CTs
    assert "name one file of the series" in said
    assert "--series" not in said
