"""``lungmorph evaluate`` as a user calls it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.pairs import SHIFT, calls, write_rival, write_table
from tests.replicas import dirlab, learn2reg
from tests.replicas.nifti import lps

from lungmorph.cli import main
from lungmorph.files import write_image, write_landmark_pairs
from lungmorph.simulate import SimulatedPair

FILES = [
    "evaluation.json",
    "figures",
    "logs",
    "records",
    "report.md",
    "results.csv",
    "results.json",
]


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", *(str(argument) for argument in arguments)])
    return int(left.value.code or 0)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNGMORPH_CACHE", str(tmp_path_factory.getbasetemp() / "cli-cache"))


def results(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return found


def test_all_of_it(
    tmp_path: Path, stand_in: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = write_table(tmp_path / "data", "a b"), tmp_path / "out"
    rival = write_rival(tmp_path / "mine.py", constants="SETTINGS = 'none at all'")
    given = (table, "-o", out, "--preset", "fast", "--preset", "default", "--rival", rival)
    assert call(*given, "--threads", "1") == 0
    shown = capsys.readouterr()
    assert stand_in["presets"] == ["fast", "default"]
    assert (stand_in["masks"], stand_in["levels"], stand_in["device"]) == ("auto", None, "cpu")
    lines = [line for line in shown.err.splitlines() if "done" in line]
    assert len(lines) == 6
    assert lines[0].startswith("1/6 a, Lungmorph-fast: done ")
    assert lines[0].endswith(f" s, {np.linalg.norm(SHIFT):.2f} -> 0.00 mm")
    for part in ("Cases", "All cases", "Compared, case by case", "report.md", "results.csv"):
        assert part in shown.out
    assert sorted(path.name for path in out.iterdir()) == FILES
    report = (out / "report.md").read_text()
    assert "- mine: none at all" in report
    assert "1 threads a registration" in report
    with (out / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["case"], row["method"]) for row in rows] == [
        *(("a", name) for name in ("lungmorph-fast", "lungmorph-default", "mine")),
        *(("b", name) for name in ("lungmorph-fast", "lungmorph-default", "mine")),
    ]
    for row in rows:
        assert float(row["lde_mm"]) == pytest.approx(0, abs=1e-3)
        assert float(row["lde_before_mm"]) == pytest.approx(np.linalg.norm(SHIFT), abs=1e-3)
    assert {path.suffix for path in (out / "figures").iterdir()} == {".png"}
    # again, with one preset fewer: nothing is run
    assert call(table, "-o", out, "--preset", "fast", "--rival", rival, "--threads", "1") == 0
    assert calls(rival) == 2
    assert results(out)["summary"]["methods"] == ["lungmorph-fast", "mine"]


def test_as_json_it_prints_json_alone(
    tmp_path: Path, stand_in: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    table, out = write_table(tmp_path / "data", "a b"), tmp_path / "out"
    assert call(table, "-o", out, "--group", "deep", "--json") == 0
    shown = capfd.readouterr()
    found = json.loads(shown.out)
    assert shown.err == ""
    assert found == results(out)
    assert [record["case"] for record in found["records"]] == ["b"]
    assert found["dataset"]["root"] == str(table)
    assert found["machine"]["cores"] >= 1


def test_what_fails_is_named_at_the_end(
    tmp_path: Path, stand_in: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {"moving": "gone/nothing.nii.gz"}
    table = write_table(tmp_path / "data", "a gone c", gone=gone)
    absent = write_rival(
        tmp_path / "absent.py", constants="DISTRIBUTION = 'no-such'\nREQUIRES = ('no_such',)"
    )
    broken = write_rival(tmp_path / "broken.py", body="raise RuntimeError('no luck')")
    tools = ("--rival", absent, "--rival", broken)
    assert call(table, "-o", tmp_path / "out", *tools) == 2
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert lines[0].startswith("problem: gone: ")
    assert "nothing.nii.gz" in lines[0]
    ends = [line for line in lines if line.startswith(("failed", "skipped"))]
    assert ends[0].startswith("failed: a, broken: exit code 1: RuntimeError: no luck; see ")
    assert ends[1].startswith("failed: c, broken: ")
    assert ends[2].startswith("failed: gone, Lungmorph-default, broken: ")
    assert ends[3] == "skipped: absent: no_such is not installed (pip install no-such)"
    assert lines[-4:] == ends
    done = [r for r in results(tmp_path / "out")["records"] if r["status"] == "done"]
    assert [record["case"] for record in done] == ["a", "c"]
    # a rival that fails is named, and is no fault of the data or of LungMorph
    assert call(table, "-o", tmp_path / "out", *tools, "--cases", "a, c") == 0
    assert "failed: a, broken" in capsys.readouterr().err


def test_compared_with_another_run(
    tmp_path: Path, stand_in: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "data", "a b")
    stand_in["shift"] = np.add(SHIFT, [0.0, 3.0, -4.0])
    assert call(table, "-o", tmp_path / "first") == 0
    stand_in["shift"] = SHIFT
    assert call(table, "-o", tmp_path / "second", "--compare", tmp_path / "first") == 0
    (compared,) = results(tmp_path / "second")["comparisons"]
    found = compared["quantities"]["lde_mm"]
    assert (found["mean_a"], found["mean_b"]) == pytest.approx((0.0, 5.0), abs=1e-3)
    assert (found["wins_a"], found["wins_b"], found["n"]) == (2, 0, 2)
    assert str(tmp_path / "first") in compared["b"]
    assert "Compared, case by case" in capsys.readouterr().out


def test_a_run_that_cannot_be_compared_is_refused_before_anything_is_registered(
    tmp_path: Path, stand_in: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "data", "a b")
    first, second = tmp_path / "first", tmp_path / "second"
    assert call(table, "-o", first, "--cases", "a") == 0
    assert call(table, "-o", second, "--cases", "b", "--compare", first) == 2
    said = capsys.readouterr().err
    assert f"{first}: expected finished cases of this run (b), found a" in said
    for record in (first / "records").rglob("*.json"):
        text = record.read_text().replace("lungmorph-default", "one")
        record.with_stem("one").write_text(text)
        record.with_stem("two").write_text(text.replace('"one"', '"two"'))
        record.unlink()
    assert call(table, "-o", second, "--compare", first) == 2
    said = capsys.readouterr().err
    assert f"{first}: expected an evaluation of lungmorph-default too" in said
    assert not second.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--cases", "a,z"), "--cases: expected of: a, found 'z'"),
        (("--group", "steep"), "--group: expected of: quiet, found 'steep'"),
        (("--split", "train"), "--split: expected of: test, found 'train'"),
        (("--rival", "demons"), "rival: expected one of greedy"),
        (("--preset", "best"), "Invalid value for '--preset'"),
        (("--levels", "7"), "levels: expected 0 to 3, found 7"),
        (("--model", "nobody"), "nobody"),
        (("--device", "abacus"), "abacus"),
        (("--compare", "nowhere"), "nowhere: expected the folder of an evaluation"),
        (("--submission", "s"), "--submission: expected a dataset of Learn2Reg"),
        (("--option", "colour"), "--option: expected NAME=VALUE"),
        (("--option", "colour=red"), "colour"),
        (("--kind", "empire"), "expected one of dirlab-4dct"),
    ],
)
def test_bad_options_are_one_line_and_nothing_is_made(
    tmp_path: Path, given: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "data", "a")
    assert call(table, "-o", tmp_path / "out", *given) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, stand_in: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = write_table(tmp_path / "data", "a"), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("text")
    assert call(table, "-o", out) == 2
    assert "a folder with other things (no evaluation.json)" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
    assert call(table, "-o", tmp_path / "good") == 0
    other = write_table(tmp_path / "other", "a")
    assert call(other, "-o", tmp_path / "good") == 2
    assert "choose another folder" in capsys.readouterr().err


# ------------------------------------------------------------------ datasets as they are given out


def test_dirlab_4dct(
    tmp_path: Path, stand_in: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    spacing = np.array([10.0, 11.0, 12.0])
    shift = np.array([4.0, -7.0, 12.0])
    truth = {
        number: dirlab.write_4dct(tmp_path / "4DCT", number, dirlab.ARCHIVE_6_TO_10)
        for number in (6, 10)
    }
    stand_in["shift"] = shift
    size = "x".join(map(str, dirlab.SIZE))
    given = ("--size", size, "--spacing", "10x11x12")
    assert call(tmp_path / "4DCT", "-o", tmp_path / "out", *given) == 0
    records = results(tmp_path / "out")["records"]
    assert [record["case"] for record in records] == ["case6", "case10"]
    means = {}
    for number, record in zip((6, 10), records, strict=True):
        fixed, moving = (truth[number].extremes[phase] * spacing for phase in ("T00", "T50"))
        marks = record["judged"]["landmarks"]
        assert (marks["count"], record["masks"]) == (30, "automatic")
        for when, at in (("before", fixed), ("after", fixed + shift)):
            errors = np.linalg.norm(at - moving, axis=1)
            found = marks[when]["continuous"]
            assert found["mean"] == pytest.approx(errors.mean(), abs=1e-3)
            assert found["median"] == pytest.approx(np.median(errors), abs=1e-3)
            assert found["p95"] == pytest.approx(np.percentile(errors, 95), abs=1e-3)
            nearest = (np.rint(at / spacing) - moving / spacing) * spacing
            snapped = np.linalg.norm(nearest, axis=1).mean()
            assert marks[when]["snapped"]["mean"] == pytest.approx(snapped, abs=1e-3)
        means[number] = np.linalg.norm(fixed + shift - moving, axis=1).mean()
    # beside the published figures of the same two cases
    report = (tmp_path / "out" / "report.md").read_text()
    (row,) = (r for r in report.splitlines() if r.startswith("| Lungmorph-default | continuous"))
    assert f"| {means[6]:.2f} | {means[10]:.2f} |" in row
    assert "10.89" in report  # DIR-Lab's own figure before registration, case 6
    assert "DIR-Lab 4DCT" in capsys.readouterr().out


def test_learn2reg_with_its_submission(
    tmp_path: Path, stand_in: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    root = learn2reg.write_release(
        tmp_path / "LungCT", {1: "Tr", 2: "Ts"}, registration_val=[learn2reg.pair(1)]
    )
    stand_in["shift"] = np.zeros(3)
    given = ("--json", "--submission", tmp_path / "fields", "--cases", _first_case(root))
    assert call(root, "-o", tmp_path / "out", *given) == 0
    (record,) = json.loads(capsys.readouterr().out)["records"]
    fixed, moving = (lps(learn2reg.GRID, learn2reg.points(10 + n)) for n in (0, 1))
    errors = np.linalg.norm(fixed - moving, axis=1)
    marks = record["judged"]["landmarks"]
    for when in ("before", "after"):
        assert marks[when]["continuous"]["mean"] == pytest.approx(errors.mean(), abs=1e-3)
    field = tmp_path / "fields" / "lungmorph-default" / record["submitted"]
    assert field.name == "disp_0001_0001.nii.gz"
    assert field.is_file()


def _first_case(root: Path) -> str:
    from lungmorph.datasets import open_dataset

    return open_dataset(root).cases[0].id


def test_lungmorph_itself_on_a_simulated_breath(
    tmp_path: Path, small_pair: SimulatedPair, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(small_pair.fixed, tmp_path / "fixed.nii.gz")
    write_image(small_pair.moving, tmp_path / "moving.nii.gz")
    fixed, moving = small_pair.fixed_landmarks, small_pair.moving_landmarks
    write_landmark_pairs(fixed, moving, tmp_path / "landmarks.csv")
    table = tmp_path / "cases.csv"
    table.write_text("id,fixed,moving,landmarks\none,fixed.nii.gz,moving.nii.gz,landmarks.csv\n")
    given = ("--preset", "fast", "--levels", "0", "--threads", "1")
    assert call(table, "-o", tmp_path / "out", *given) == 0
    (record,) = results(tmp_path / "out")["records"]
    before = np.linalg.norm(fixed.points - moving.points, axis=1).mean()
    marks = record["judged"]["landmarks"]
    assert marks["before"]["continuous"]["mean"] == pytest.approx(before, abs=1e-3)
    assert marks["after"]["continuous"]["mean"] < 0.9 * before
    assert (record["masks"], record["settings"]["levels"]) == ("automatic", 0)
    assert {"read", "prealign"} <= set(record["steps"])
    assert sum(record["steps"].values()) < record["seconds"]
    assert record["peak_mb"] > 100
    assert "LungMorph fast" in capsys.readouterr().out


def test_help_does_without_torch() -> None:
    code = (
        "import sys; from lungmorph.cli import main\n"
        "try: main(['evaluate', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0
    assert "--submission" in done.stdout
