"""The command line in front of a stand-in for the registration, which has tests of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from tests.full_disk import no_file_above

from lungmorph.cli import main
from lungmorph.files import write_image, write_landmark_pairs, write_landmarks, write_transform
from lungmorph.space import Affine, Composite, DisplacementField, Grid, Landmarks, Volume

Run = Callable[..., tuple[int, str, str]]

METRICS: dict[str, Any] = {
    "lungs": {"dice_prealigned": 0.9, "dice_after": 0.987},
    "similarity": {"ncc_prealigned": 0.5, "ncc_after": 0.95},
    "folding": {"voxels": 0, "percent": 0.0, "min": 0.4, "max": 1.9},
    "inverse_residual_mm": {"mean": 0.05, "p95": 0.1, "max": 0.3},
    "beyond_prealigned_mm": {"mean": 4.0, "max": 9.0},
}
MADE: dict[str, Any] = {"seconds": {"read": 1.0}, "settings": {}}


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return int(left.value.code or 0), out, err

    return call


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """A registration that only writes down what it was asked."""
    calls: list[SimpleNamespace] = []

    def register(fixed: object, moving: object, **options: Any) -> SimpleNamespace:
        calls.append(SimpleNamespace(fixed=fixed, moving=moving, **options))

        def save(
            folder: Path, overwrite: bool, report: bool, progress: object, transform_only: bool
        ) -> Any:
            folder.mkdir()
            (folder / "metrics.json").write_text("{}")
            if transform_only:
                return None
            verdict = SimpleNamespace(verdict="fail", why=["folded [much]"])
            return SimpleNamespace(verdict=verdict) if report else None

        return SimpleNamespace(
            metrics=METRICS, made=MADE, seconds=MADE["seconds"], summary=lambda: METRICS, save=save
        )

    monkeypatch.setattr("lungmorph.registration.register", register)
    return calls


def small_ct(seed: int = 0) -> Volume:
    grid = Grid((12, 11, 10), (2.0, 2.5, 3.0), (-10.0, 5.0, 30.0))
    values = np.random.default_rng(seed).normal(-500, 300, grid.shape).astype(np.float32)
    return Volume(torch.from_numpy(values), grid)


# ---------------------------------------------------------------- the program itself


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["register", "--help"], []])
def test_help_and_version_do_not_import_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom lungmorph.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as e: assert not e.code, e.code\n"
        "heavy = {'torch', 'SimpleITK', 'scipy', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "lungmorph" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command"),
        (["register"], "FIXED"),
        (["register", "a", "b"], "--output"),
        (["register", "a", "b", "-o", "c", "--preset", "best"], "'fast', 'default', 'accurate'"),
        (["register", "a", "b", "-o", "c", "--nonsense"], "--nonsense"),
        (["register", "a", "b", "-o", "c", "--levels", "-1"], "--levels"),
    ],
)
def test_a_usage_error_is_one_line_and_code_2(run: Run, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_a_usage_error_is_also_json_when_asked(run: Run) -> None:
    code, out, _ = run("register", "a", "b", "--json")
    assert code == 2
    assert "--output" in json.loads(out)["error"]


def test_a_defect_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("lungmorph.registration.register", broken)
    with pytest.raises(ZeroDivisionError):
        main(["register", "a", "b", "-o", "never"])
    assert not Path("never").exists()


def test_an_interruption_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lungmorph.registration.register", interrupted)
    code, out, err = run("register", "a", "b", "-o", tmp_path / "new" / "out")
    assert code == 130
    assert out == ""
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- register


@pytest.mark.usefixtures("registered")
def test_register_says_the_verdict_and_why(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("register", "f.nii", "m.nii", "-o", tmp_path / "judged")
    assert code == 0
    assert "verdict: fail\n  folded [much]\n" in out
    code, out, _ = run("register", "f.nii", "m.nii", "-o", tmp_path / "plain", "--no-report")
    assert code == 0
    assert "verdict:" not in out


@pytest.mark.usefixtures("registered")
def test_register_says_what_it_wrote_of_the_transform_alone(run: Run, tmp_path: Path) -> None:
    options = ("f.nii", "m.nii", "--transform-only")
    code, out, _ = run("register", *options, "-o", tmp_path / "alone")
    assert code == 0
    assert "transform.h5" in out
    assert not any(said in out for said in ("verdict", "Dice", "warped.nii.gz", "overview.png"))
    _, out, _ = run("register", *options, "-o", tmp_path / "json", "--json")
    assert json.loads(out) == MADE
    code, _, err = run("register", *options, "-o", tmp_path / "both", "--report")
    assert code == 2
    assert err == "error: --transform-only: expected no --report beside it, found both\n"
    assert not (tmp_path / "both").exists()


def test_register_hands_every_option_on(
    run: Run, tmp_path: Path, registered: list[SimpleNamespace]
) -> None:
    points = Landmarks(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]]))
    moved = Landmarks(points.points + 2.0, "moving")
    write_landmark_pairs(points, moved, tmp_path / "pairs.csv")
    options = {
        "--preset": "accurate",
        "--fixed-mask": "fm.nii",
        "--moving-mask": "mm.nii",
        "--landmarks": tmp_path / "pairs.csv",
        "--model": "mine.safetensors",
        "--levels": 1,
        "--spacing": 1.5,
        "--device": "cpu",
    }
    flat = [part for pair in options.items() for part in pair]
    code, out, _ = run("register", "f.nii", "m.nii", "-o", tmp_path / "out", *flat)
    assert code == 0
    (call,) = registered
    assert (call.fixed, call.moving) == (Path("f.nii"), Path("m.nii"))
    assert (call.preset, call.levels, call.spacing) == ("accurate", 1, 1.5)
    assert (call.fixed_mask, call.moving_mask) == (Path("fm.nii"), Path("mm.nii"))
    assert call.model == "mine.safetensors"
    np.testing.assert_array_equal(call.landmarks[0].points, points.points)
    np.testing.assert_array_equal(call.landmarks[1].points, moved.points)
    assert call.landmarks[1].frame == "moving"
    assert "0.987" in out
    assert "transform.h5" in out


def test_landmarks_come_in_two_files_of_different_kinds(
    run: Run, tmp_path: Path, registered: list[SimpleNamespace]
) -> None:
    image = small_ct()
    write_image(image, tmp_path / "f.nii.gz")
    (tmp_path / "fixed.txt").write_text("1 1 1\n3 2 5\n")
    write_landmarks(Landmarks(np.ones((2, 3)), "moving"), tmp_path / "moving.fcsv")
    command = ["register", tmp_path / "f.nii.gz", "m.nii", "-o", tmp_path / "out"]
    command += ["--landmarks", tmp_path / "fixed.txt", "--landmarks", tmp_path / "moving.fcsv"]
    code, _, err = run(*command)
    assert code == 2
    assert "--first-index" in err  # whether counting starts at 0 or 1 is never guessed
    assert run(*command, "--first-index", 1)[0] == 0
    fixed, moving = registered[-1].landmarks
    np.testing.assert_allclose(fixed.points, [(-10, 5, 30), (-6, 7.5, 42)], atol=1e-5)
    np.testing.assert_allclose(moving.points, 1.0)


def test_json_is_the_whole_of_stdout(
    run: Run, tmp_path: Path, registered: list[SimpleNamespace]
) -> None:
    code, out, err = run("register", "f.nii", "m.nii", "-o", tmp_path / "out", "--json")
    assert code == 0
    assert json.loads(out) == METRICS
    assert err == ""


def test_an_existing_output_is_refused_before_the_work(
    run: Run, tmp_path: Path, registered: list[SimpleNamespace]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    for extra in ([], ["--overwrite"]):  # somebody's own folder is not overwritten either
        code, _, err = run("register", "f.nii", "m.nii", "-o", tmp_path / "out", *extra)
        assert code == 2
        assert err.count("\n") == 1
    assert registered == []
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize("device", ["abacus", "meta"])
def test_an_unknown_device_is_refused(run: Run, tmp_path: Path, device: str) -> None:
    code, _, err = run("register", "f", "m", "-o", tmp_path / "out", "--device", device)
    assert code == 2
    assert "cpu" in err
    assert err.count("\n") == 1


# ---------------------------------------------------------------- apply


@pytest.fixture
def oblique_field() -> DisplacementField:
    """A smooth field on an oblique, anisotropic grid around ``small_ct``."""
    turn = np.deg2rad(20)
    axes = ((np.cos(turn), -np.sin(turn), 0), (np.sin(turn), np.cos(turn), 0), (0, 0, 1))
    grid = Grid((30, 32, 20), (2.2, 2.0, 3.1), (-20.0, -15.0, 15.0), axes)
    x = torch.as_tensor(grid.to_world(np.indices(grid.size).T), dtype=torch.float32)
    waves = [torch.sin(x[..., a] / 9 + a) * (1 + a) for a in range(3)]
    return DisplacementField(torch.stack(waves).contiguous(), grid)


@pytest.mark.parametrize("name", ["t.h5", "t.nii.gz"])
def test_apply_moves_points_as_simpleitk_does(
    run: Run, tmp_path: Path, oblique_field: DisplacementField, name: str
) -> None:
    write_transform(oblique_field, tmp_path / name)
    points = np.random.default_rng(3).uniform((-8, 8, 33), (8, 25, 52), (20, 3))
    write_landmarks(Landmarks(points), tmp_path / "p.csv")
    code, out, _ = run("apply", tmp_path / name, tmp_path / "p.csv", "-o", tmp_path / "q.csv")
    assert code == 0
    assert "moving" in out
    found = np.loadtxt(tmp_path / "q.csv", delimiter=",", skiprows=2)
    if name.endswith(".h5"):
        oracle = sitk.ReadTransform(str(tmp_path / name))
    else:
        image = sitk.ReadImage(str(tmp_path / name), sitk.sitkVectorFloat64)
        oracle = sitk.DisplacementFieldTransform(image)
    expected = [oracle.TransformPoint(p) for p in points.tolist()]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    back = ["apply", tmp_path / name, tmp_path / "q.csv", "-o", tmp_path / "r.csv", "--inverse"]
    code, out, _ = run(*back)
    assert code == 0
    assert "fixed" in out
    returned = np.loadtxt(tmp_path / "r.csv", delimiter=",", skiprows=2)
    np.testing.assert_allclose(returned, points, atol=0.1)


def test_apply_pulls_an_image_as_simpleitk_does(
    run: Run, tmp_path: Path, oblique_field: DisplacementField
) -> None:
    write_transform(oblique_field, tmp_path / "t.h5")
    write_image(small_ct(1), tmp_path / "moving.nii.gz")
    write_image(small_ct(2), tmp_path / "fixed.nii.gz")
    command = ["apply", tmp_path / "t.h5", tmp_path / "moving.nii.gz", "-o", tmp_path / "w.nii.gz"]
    code, _, err = run(*command)
    assert code == 2
    assert "--like FIXED" in err
    assert not (tmp_path / "w.nii.gz").exists()
    code, out, _ = run(*command, "--like", tmp_path / "fixed.nii.gz")
    assert code == 0
    assert "grid of the fixed image" in out
    moving, fixed = (sitk.ReadImage(str(tmp_path / f"{n}.nii.gz")) for n in ("moving", "fixed"))
    oracle = sitk.Resample(
        moving, fixed, sitk.ReadTransform(str(tmp_path / "t.h5")), sitk.sitkLinear, -1024.0
    )
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "w.nii.gz")))
    np.testing.assert_allclose(found, sitk.GetArrayFromImage(oracle), atol=0.05)
    assert run(*command, "--like", tmp_path / "fixed.nii.gz")[0] == 2  # it exists now


def test_apply_says_what_lies_beyond_the_transform(
    run: Run, tmp_path: Path, oblique_field: DisplacementField
) -> None:
    write_transform(oblique_field, tmp_path / "t.h5")
    inside, outside = oblique_field.grid.to_world([[10, 10, 10], [90, 10, 10]])
    for name, points in {"known": [inside], "half": [inside, outside]}.items():
        write_landmarks(Landmarks(np.array(points)), tmp_path / f"{name}.csv")
        code, out, _ = run(
            "apply", tmp_path / "t.h5", tmp_path / f"{name}.csv", "-o", tmp_path / f"q_{name}.csv"
        )
        assert code == 0
        assert ("50 % lie beyond the edge of the transform" in " ".join(out.split())) == (
            name == "half"
        )
    write_image(
        Volume(torch.zeros(oblique_field.grid.shape), oblique_field.grid), tmp_path / "f.nii.gz"
    )
    write_image(small_ct(1), tmp_path / "m.nii.gz")
    wide = Grid((60, 11, 10), (2.0, 2.5, 3.0), (-10.0, 5.0, 30.0))
    write_image(Volume(torch.zeros(wide.shape), wide), tmp_path / "wide.nii.gz")
    for like, least, most in (("f", 0, 0), ("wide", 1, 90)):
        code, out, _ = run(
            "apply", tmp_path / "t.h5", tmp_path / "m.nii.gz", "-o", tmp_path / f"w_{like}.nii.gz",
            "--like", tmp_path / f"{like}.nii.gz", "--json",
        )  # fmt: skip
        assert code == 0
        assert least <= json.loads(out)["beyond_percent"] <= most


def test_apply_keeps_labels_whole(
    run: Run, tmp_path: Path, oblique_field: DisplacementField
) -> None:
    write_transform(oblique_field, tmp_path / "t.h5")
    grid = small_ct().grid
    labels = torch.from_numpy(
        np.random.default_rng(0).choice([0, 3, 200], grid.shape).astype(np.int16)
    )
    write_image(Volume(labels, grid), tmp_path / "labels.nii.gz")
    run("apply", tmp_path / "t.h5", tmp_path / "labels.nii.gz", "-o", tmp_path / "w.nii.gz",
        "--like", tmp_path / "labels.nii.gz")  # fmt: skip
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "w.nii.gz")))
    assert set(np.unique(found)) == {0, 3, 200}
    image = sitk.ReadImage(str(tmp_path / "labels.nii.gz"))
    oracle = sitk.Resample(
        image, image, sitk.ReadTransform(str(tmp_path / "t.h5")), sitk.sitkNearestNeighbor
    )
    assert (found == sitk.GetArrayFromImage(oracle)).mean() > 0.999


def test_apply_inverse_brings_an_image_to_the_moving_grid(run: Run, tmp_path: Path) -> None:
    # a shift by one whole voxel along x: everything is known
    write_transform(Affine.from_parts(np.eye(3), (2.0, 0, 0)), tmp_path / "t.tfm")
    write_image(small_ct(), tmp_path / "fixed.nii.gz")
    code, out, _ = run(
        "apply", tmp_path / "t.tfm", tmp_path / "fixed.nii.gz", "-o", tmp_path / "w.nii.gz",
        "--inverse", "--like", tmp_path / "fixed.nii.gz", "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["frame"] == "moving"
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "w.nii.gz")))
    np.testing.assert_allclose(found[:, :, 1:], small_ct().data[:, :, :-1], atol=1e-2)


def test_apply_inverse_says_how_well_a_composite_is_inverted(run: Run, tmp_path: Path) -> None:
    """The same mapping alone and after another that does nothing; it folds, so it has no inverse."""
    grid = small_ct().grid
    fold = np.zeros((3, *grid.shape), np.float32)
    x = grid.to_world(np.stack([np.arange(grid.size[0]), *np.zeros((2, grid.size[0]))], -1))[:, 0]
    fold[0] = 6 * np.sin((x - x.mean()) / 2)
    alone = DisplacementField(torch.from_numpy(fold), grid)
    write_transform(alone, tmp_path / "alone.h5")
    write_transform(Composite([Affine.identity(), alone]), tmp_path / "both.h5")
    write_image(small_ct(), tmp_path / "fixed.nii.gz")
    missed = []
    for name in ("alone", "both"):
        code, out, _ = run(
            "apply", tmp_path / f"{name}.h5", tmp_path / "fixed.nii.gz", "-o", tmp_path / f"{name}.nii.gz",
            "--inverse", "--like", tmp_path / "fixed.nii.gz", "--json",
        )  # fmt: skip
        assert code == 0
        missed.append(json.loads(out)["inverse_residual_mm"])
    assert min(missed) > 0.3


# ---------------------------------------------------------------- info


def test_info_tells_a_transform_from_an_image(
    run: Run, tmp_path: Path, oblique_field: DisplacementField
) -> None:
    write_transform(oblique_field, tmp_path / "t.nii.gz")
    write_image(small_ct(), tmp_path / "i.nii.gz")
    code, out, _ = run("info", tmp_path / "t.nii.gz", "--json")
    said = json.loads(out)
    assert code == 0
    assert said["kind"].startswith("displacement field")
    assert said["orientation"] == "LPS (oblique)"
    longest = oblique_field.data.norm(dim=0).max()
    assert f"largest {longest:.2f}" in said["displacement_mm"]
    code, out, _ = run("info", tmp_path / "i.nii.gz", "--json")
    said = json.loads(out)
    assert said["kind"] == "image"
    assert said["size"].startswith("12x11x10")
    assert said["lungs"].startswith("none found")


def test_info_of_a_composite_and_of_elastix_fits_a_terminal(
    run: Run, tmp_path: Path, oblique_field: DisplacementField
) -> None:
    shift = Affine.from_parts(np.eye(3), (1.25, -2.5, 733.75))
    write_transform(Composite([oblique_field, shift]), tmp_path / "c.h5")
    (tmp_path / "TransformParameters.0.txt").write_text(
        '(Transform "TranslationTransform")\n(TransformParameters 1.25 -2.5 733.75)\n'
    )
    (tmp_path / "TransformParameters.1.txt").write_text(
        '(Transform "TranslationTransform")\n(TransformParameters 1 2 3)\n'
        '(InitialTransformParameterFileName "TransformParameters.0.txt")\n'
    )
    (tmp_path / "TransformParameters.2.txt").write_text(
        '(Transform "TranslationTransform")\n(TransformParameters 4 5 6)\n'
        '(InitialTransformParameterFileName "TransformParameters.1.txt")\n'
    )
    for name in ("c.h5", "TransformParameters.0.txt", "TransformParameters.2.txt"):
        code, out, err = run("info", tmp_path / name)
        assert code == 0, err
        assert "1.250, -2.500, 733.750" in out


def test_info_counts_folds(run: Run, tmp_path: Path) -> None:
    grid = Grid((9, 9, 9), (1.0, 1.0, 1.0))
    data = torch.zeros(3, *grid.shape)
    data[0, 4, 4, 5] = -3.0  # this point jumps over its neighbour
    write_transform(DisplacementField(data, grid), tmp_path / "t.h5")
    _, out, _ = run("info", tmp_path / "t.h5", "--json")
    assert int(json.loads(out)["folded"].split()[0]) >= 1


def test_info_says_what_a_model_costs(run: Run, tmp_path: Path) -> None:
    from lungmorph.networks import build, save_model, two_level

    config = two_level()
    save_model(build(config), config, {"about": "untrained"}, tmp_path / "m.safetensors")
    code, out, _ = run("info", tmp_path / "m.safetensors", "--size", "90x90x90", "--json")
    said = json.loads(out)
    assert code == 0
    assert [level["level"] for level in said["levels"]] == [1, 2]
    assert said["parameters"] == sum(level["parameters"] for level in said["levels"])
    assert said["lattice"] == "24x24x24 at 4 mm"
    assert said["card"] == {"about": "untrained"}
    assert run("info", tmp_path / "m.safetensors", "--size", "big")[0] == 2
    code, _, err = run("info", tmp_path / "m.safetensors", "--spacing", "0")
    assert (code, "found 0 mm" in err) == (2, True)
    (tmp_path / "m.safetensors").rename(tmp_path / "weights.safetensors")
    code, _, err = run("info", tmp_path)
    assert (code, f"name its weights: {tmp_path / 'weights.safetensors'}" in err) == (2, True)


def test_info_of_the_error_network_by_name_and_by_file(run: Run, tmp_path: Path) -> None:
    from lungmorph.quality.error_network import ErrorConfig, ErrorNetwork
    from lungmorph.quality.error_weights import save_error_network

    code, out, _ = run("info", "error", "--json")
    assert code == 0
    assert "real anatomy" in json.loads(out)["card"]
    network = ErrorNetwork(ErrorConfig(features=(4, 6), channels=("fixed", "warped")))
    save_error_network(network, {"about": "untrained"}, tmp_path / "e.safetensors")
    code, out, _ = run("info", tmp_path / "e.safetensors", "--json")
    said = json.loads(out)
    assert (code, said["kind"], said["sees"]) == (0, "error network", "fixed, warped")
    assert said["card"] == {"about": "untrained"}
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    code, _, err = run("info", tmp_path / "broken.safetensors")
    assert code == 2
    assert "broken.safetensors: expected a whole safetensors file" in err


def test_info_of_a_folder_lists_its_series(run: Run, tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from replicas.dicom import new_series, write_series

    hu = np.zeros((3, 8, 8), np.int16)
    for number, words in ((1, "inhale"), (2, "exhale")):
        shared = new_series(SeriesNumber=number, SeriesDescription=words)
        write_series(tmp_path / "scan", hu, series=shared)
    code, out, _ = run("info", tmp_path / "scan", "--json")
    assert code == 0
    listed = json.loads(out)["series"]
    assert [s["description"] for s in listed] == ["inhale", "exhale"]
    _, out, _ = run("info", tmp_path / "scan")
    assert all(s["uid"] in out for s in listed)  # whole, to choose by
    code, _, err = run("register", tmp_path / "scan", "m.nii", "-o", tmp_path / "out")
    assert code == 2
    assert "inhale" in err
    assert "exhale" in err
    assert "--series" in err


# ---------------------------------------------------------------- what the system refuses


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(28, "No space left on device"),
            "a file or the output: expected to be read or written, found No",
        ),
        (PermissionError(13, "Permission denied", "/data/a"), "/data/a: .* Permission denied"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr("lungmorph.cli.describe.model", refused)
    code, out, err = run("info", "three-level", "--json")
    assert code == 2
    assert re.match(f"error: {said}", err)
    assert err.count("\n") == 1
    assert json.loads(out)["error"] in err


def test_an_error_of_a_library_keeps_its_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("undefined symbol")

    monkeypatch.setattr("lungmorph.cli.describe.model", broken)
    with pytest.raises(OSError, match="undefined symbol"):
        main(["info", "three-level"])


def test_the_card_of_a_network_is_told_line_by_line(run: Run) -> None:
    code, out, _ = run("info", "three-level")
    assert code == 0
    assert "{" not in out
    assert "folded_percent" in out
    assert "real motion" in out


def test_a_result_on_a_full_disk_is_one_line_and_no_folder(run: Run, tmp_path: Path) -> None:
    options = ("--pairs", 1, "--spacing", 8, "--threads", 1)
    with no_file_above(20_000):
        code, _, err = run("simulate", tmp_path / "made", *options)
    assert code == 2
    assert err.startswith(f"error: {tmp_path}/made/")
    assert "File too large; free some space" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_nothing_takes_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        program = [sys.executable, "-m", "lungmorph", "--version"]
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: a file or the output: expected to be read or written")
    assert done.stderr.count("\n") == 1
