"""``lungmorph data check`` and ``data convert`` as a user calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.cli.program import call

from lungmorph.files import read_landmark_pairs
from replicas import dicom_4d, dirlab, own, popi


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGMORPH_CACHE", str(tmp_path_factory.getbasetemp() / "cli-cache"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A good case, one without its moving scan, one whose published error is another."""
    fixed, moving = own.in_lungs(30, 1), own.in_lungs(30, 2)
    own.write(tmp_path / "a.nii.gz", own.chest(1))
    own.write(tmp_path / "b.nii.gz", own.chest(2))
    own.write_mask(tmp_path / "m.nii.gz")
    own.write_pairs(tmp_path / "p.csv", fixed, moving)
    mean = float(np.linalg.norm(fixed - moving, axis=1).mean())
    (tmp_path / "cases.csv").write_text(
        "id,fixed,moving,fixed_mask,moving_mask,landmarks,published_before\n"
        f"good,a.nii.gz,b.nii.gz,m.nii.gz,m.nii.gz,p.csv,{mean:.2f}\n"
        "half,a.nii.gz,gone.nii.gz,,,,\n"
        "other,a.nii.gz,b.nii.gz,m.nii.gz,m.nii.gz,p.csv,3.89\n"
    )
    return tmp_path / "cases.csv"


def test_check_shows_every_case_and_ends_with_a_verdict(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("data", "check", table) == 2
    shown = capsys.readouterr()
    lines = shown.out.strip().splitlines()
    assert lines[-1] == "3 cases, 2 ready, 1 with problems"
    rows = {line.split()[0]: line for line in lines if line.strip()}
    assert "40x30x28" in rows["good"]
    assert "6x6x6.5" in rows["good"]
    assert "ready" in rows["good"]
    assert "ready" in rows["other"]
    assert "1 problem" in rows["half"]
    said = [line for line in lines if line.startswith(("problem", "warning"))]
    assert len(said) == 2
    assert said[0].startswith("problem half: ")
    assert "gone.nii.gz: expected an image file" in said[0]
    assert said[1].startswith("warning other: landmark error before registration ")
    assert said[1].endswith(" mm, published 3.89: wrong frame, or not the original data")
    assert shown.err == ""


def test_check_as_json_is_json_alone(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("data", "check", table, "--json", "--quick") == 2
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert shown.err == ""
    assert found["kind"] == "table"
    assert found["dataset"] == "a table of one's own"
    good, half, other = found["cases"]
    assert [case["id"] for case in (good, half, other)] == ["good", "half", "other"]
    assert good["landmarks"] == 30
    distance = np.linalg.norm(own.in_lungs(30, 1) - own.in_lungs(30, 2), axis=1)
    assert good["lde_before"] == pytest.approx({"mean": distance.mean(), "sd": distance.std()})
    assert [set(phase) >= {"percent", "size", "spacing"} for phase in good["phases"]] == [
        True,
        True,
    ]
    assert good["phases"][0]["size"] == [40, 30, 28]
    assert good["problems"] == good["warnings"] == other["problems"] == []
    assert len(other["warnings"]) == 1
    assert half["lde_before"] is None
    assert len(half["problems"]) == 1


def test_a_dataset_without_a_problem_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    popi.write_2011(tmp_path, "Patient1")
    assert call("data", "check", tmp_path, "--quick") == 0
    assert capsys.readouterr().out.strip().endswith("1 case, 1 ready, 0 with problems")
    # what only this kind can be told
    assert call("data", "check", tmp_path, "--quick", "--option", "points=moon") == 2
    assert "moon" in capsys.readouterr().err
    assert call("data", "check", tmp_path, "--quick", "--option", "points") == 2
    assert "expected NAME=VALUE" in capsys.readouterr().err


def test_raw_images_of_another_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dirlab.write_4dct(tmp_path, 1, dirlab.ARCHIVE_1)
    assert call("data", "check", tmp_path, "--quick", "--json") == 2
    assert "case1_T00" in json.loads(capsys.readouterr().out)["cases"][0]["problems"][0]
    size = "x".join(str(n) for n in dirlab.SIZE)
    given = ("--size", size, "--spacing", "1.1x1.2x2.5", "--kind", "dirlab-4dct")
    call("data", "check", tmp_path, "--quick", "--json", *given)
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert [phase["percent"] for phase in case["phases"]] == list(range(0, 100, 10))
    assert case["phases"][0]["size"] == list(dirlab.SIZE)
    assert case["phases"][0]["spacing"] == [1.1, 1.2, 2.5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "dirlab"), "expected one of dirlab-4dct"),
        (("--size", "256x256"), "--size: expected three whole numbers"),
        (("--size", "25.5x256x94"), "--size: expected three whole numbers"),
        (("--spacing", "1x1x-2"), "--spacing: expected three numbers of mm"),
        (("--option", "size=256x256"), "--option size: expected three whole numbers"),
        (("--option", "spacing=big"), "--option spacing: expected three numbers of mm"),
        (("--pattern", "{name}.nii"), "found {name}"),
        (("--colour", "red"), "No such option"),
    ],
)
def test_bad_options_are_one_line(
    table: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("data", "check", table.parent, *options) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.count("\n") == 1


def test_nothing_that_is_known_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("text")
    for verb in (("check",), ("convert", "-o", tmp_path / "out")):
        assert call("data", verb[0], tmp_path, *verb[1:], "--json") == 2
        shown = capsys.readouterr()
        assert "docs/datasets.md" in json.loads(shown.out)["error"]
    assert not (tmp_path / "out").exists()


def test_convert_goes_on_after_a_bad_case_and_is_read_back(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plain"
    assert call("data", "convert", table, "-o", out) == 2
    shown = capsys.readouterr()
    lines = shown.out.strip().splitlines()
    assert lines[0].startswith("problem half: ")
    assert "gone.nii.gz" in lines[0]
    assert lines[-1] == f"3 cases, 2 written, 0 kept, 1 failed: {out}"
    assert shown.err == ""
    assert sorted(path.name for path in out.iterdir()) == ["dataset.csv", "good", "other"]
    assert call("data", "convert", table, "-o", out, "--cases", "good, other", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert [case["state"] for case in again["cases"]] == ["kept", "kept"]

    reports = {}
    for root in (table, out):
        call("data", "check", root, "--json")
        cases = json.loads(capsys.readouterr().out)["cases"]
        reports[root] = {case["id"]: case for case in cases}
    for name in ("good", "other"):
        first, second = reports[table][name], reports[out][name]
        for key in ("landmarks", "published", "in_lungs", "problems", "warnings", "pair"):
            assert first[key] == second[key], key
        assert first["lde_before"] == pytest.approx(second["lde_before"])


def test_convert_names_the_files_that_could_not_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ct"
    root.mkdir()
    dicom_4d.philips(root, lambda p, k: {"ImageComments": f"{p}%"}, (0, 50))
    (root / "9.dcm").write_bytes(b"")
    assert call("data", "convert", root, "-o", tmp_path / "plain") == 2
    shown = capsys.readouterr().out.replace("\n", " ")
    assert "9.dcm: expected a DICOM slice, found an empty file" in shown
    assert "1 case, 1 written" in shown


def test_converted_pairs_are_a_file_that_register_reads(table: Path, tmp_path: Path) -> None:
    call("data", "convert", table, "-o", tmp_path / "plain", "--cases", "good", "--phases", "pair")
    fixed, moving = read_landmark_pairs(tmp_path / "plain" / "good" / "landmarks.csv")
    np.testing.assert_allclose(fixed.points, own.in_lungs(30, 1), atol=1e-6)
    np.testing.assert_allclose(moving.points, own.in_lungs(30, 2), atol=1e-6)


def test_help_of_data_does_without_torch() -> None:
    code = (
        "import sys; from lungmorph.cli import main\n"
        "try: main(['data', 'check', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0
    assert "--pattern" in done.stdout
