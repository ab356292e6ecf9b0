"""An evaluation from the cases to the records: what is found, kept, repeated, and survives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.pairs import SHIFT, calls, dataset, shifting, write_rival
from tests.replicas import learn2reg
from tests.replicas.nifti import lps, read_nifti

from lungmorph.datasets import open_dataset
from lungmorph.evaluation.methods import rival_methods
from lungmorph.evaluation.records import read_record, read_records, record_path
from lungmorph.evaluation.run import Options, Progress, evaluate

LENGTH = float(np.linalg.norm(SHIFT))


def test_figures_are_those_of_the_truth(tmp_path: Path) -> None:
    off = np.array([0.0, 3.0, -4.0])  # 5 mm
    picked = [shifting(SHIFT, "exact"), shifting(SHIFT + off, "off")]
    exact, off_by_5 = evaluate(dataset(tmp_path / "data", "a").cases, picked, tmp_path / "out")
    for record in (exact, off_by_5):
        marks = record["judged"]["landmarks"]
        assert (record["status"], record["message"], record["masks"]) == ("done", "", "dataset")
        assert marks["before"]["continuous"]["mean"] == pytest.approx(LENGTH, abs=1e-3)
        assert record["judged"]["folding"]["voxels"] == 0
        assert record["judged"]["inverse_consistency_mm"] is None  # there are landmarks
        assert record["seconds"] > 0
        assert record["peak_mb"] > 5
        assert record["steps"] == {"refine": 0.5}
    assert exact["judged"]["landmarks"]["after"]["continuous"]["max"] == pytest.approx(0, abs=1e-3)
    assert exact["judged"]["overlap"]["dice_after"] == 1.0
    assert exact["judged"]["similarity"]["ncc_after"] == pytest.approx(1.0, abs=1e-3)
    after = off_by_5["judged"]["landmarks"]["after"]["continuous"]
    assert (after["mean"], after["sd"]) == pytest.approx((5.0, 0.0), abs=1e-3)
    assert off_by_5["judged"]["landmarks"]["over_2mm_percent"] == 100.0
    assert off_by_5["judged"]["overlap"]["dice_after"] < 1.0


def test_backwards_where_there_are_no_landmarks(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", "a b", b={"landmarks": ""})
    marked, bare = evaluate(data.cases, [shifting(SHIFT)], tmp_path / "out")
    assert marked["judged"]["inverse_consistency_mm"] is None
    assert bare["judged"]["landmarks"] is None
    assert bare["judged"]["inverse_consistency_mm"]["mean"] == pytest.approx(0, abs=1e-3)
    (both,) = evaluate(data.cases[:1], [shifting(SHIFT)], tmp_path / "o", Options(backward=True))
    assert both["judged"]["inverse_consistency_mm"]["max"] == pytest.approx(0, abs=1e-3)
    assert both["judged"]["landmarks"] is not None


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    data, out = dataset(tmp_path / "data"), tmp_path / "out"
    rival = write_rival(tmp_path / "mine.py")
    first = evaluate(data.cases, rival_methods([rival]), out)
    assert ([r["status"] for r in first], calls(rival)) == (["done", "done"], 2)
    assert evaluate(data.cases, rival_methods([rival]), out) == first
    assert calls(rival) == 2

    # a case whose landmarks or image changed
    table = tmp_path / "data" / "b" / "landmarks.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    again = evaluate(open_dataset(data.root).cases, rival_methods([rival]), out)
    assert calls(rival) == 3
    assert again[0] == first[0]
    was, now = (r["judged"]["landmarks"]["count"] for r in (first[1], again[1]))
    assert now == was - 1
    image = tmp_path / "data" / "a" / "moving.nii.gz"
    image.write_bytes(image.read_bytes())  # another time
    evaluate(open_dataset(data.root).cases, rival_methods([rival]), out)
    assert calls(rival) == 4

    # other settings, and an adapter that changed
    evaluate(open_dataset(data.root).cases[:1], rival_methods([rival]), out, Options(threads=2))
    assert calls(rival) == 5
    write_rival(tmp_path / "mine.py", body="pair.threads")
    evaluate(open_dataset(data.root).cases[:1], rival_methods([rival]), out, Options(threads=2))
    assert calls(rival) == 6


def test_interrupted_and_gone_on_with(tmp_path: Path) -> None:
    data, out = dataset(tmp_path / "data"), tmp_path / "out"
    rival = write_rival(tmp_path / "mine.py")

    def stop(state: Progress) -> None:
        if state.case == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(data.cases, rival_methods([rival]), out, progress=stop)
    assert [record["case"] for record in read_records(out)] == ["a"]
    assert not (out / "work").exists()
    evaluate(data.cases, rival_methods([rival]), out)
    assert calls(rival) == 2

    # half a record, as a full disk or another program may leave it, is none
    record_path(out, "a", "mine").write_text('{"case": "a", "status"')
    assert [record["case"] for record in read_records(out)] == ["b"]
    evaluate(data.cases, rival_methods([rival]), out)
    assert calls(rival) == 3
    files = sorted(path.name for path in (out / "records").rglob("*"))
    assert files == ["a", "b", "mine.json", "mine.json"]  # and no parts of files


def test_one_bad_case_and_one_bad_method_do_not_stop_the_rest(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", "a gone c", gone={"moving": "gone/nothing.nii.gz"})
    out = tmp_path / "out"
    raising = write_rival(tmp_path / "raising.py", body="raise RuntimeError('no luck')")
    killed = write_rival(tmp_path / "killed.py", body="import os; os.kill(os.getpid(), 9)")
    lost = write_rival(tmp_path / "lost.py", body="return sitk.Image(3, 3, 3, sitk.sitkUInt8) / 0")
    absent = write_rival(
        tmp_path / "absent.py", constants="DISTRIBUTION = 'no-such'\nREQUIRES = ('no_such',)"
    )
    picked = [
        shifting(SHIFT, "good"),
        *rival_methods([raising, killed, lost, absent]),
    ]
    records = {(r["case"], r["method"]): r for r in evaluate(data.cases, picked, out)}
    assert len(records) == 15
    for case in ("a", "c"):
        assert records[case, "good"]["status"] == "done"
        failed = [records[case, name] for name in ("raising", "killed", "lost")]
        assert {record["status"] for record in failed} == {"failed"}
        assert {record["judged"] for record in failed} == {None}
        log = out / "logs" / case / "raising.txt"
        assert failed[0]["message"] == f"exit code 1: RuntimeError: no luck; see {log}"
        assert "Traceback" in log.read_text()
        assert failed[1]["message"].startswith("ended by signal 9 (out of memory?); see ")
    for name in ("good", "raising", "killed", "lost"):
        assert records["gone", name]["status"] == "failed"
        assert "nothing.nii.gz" in records["gone", name]["message"]
        assert "\n" not in records["gone", name]["message"]
    for case in ("a", "gone", "c"):
        assert records[case, "absent"]["status"] == "skipped"
        assert (
            records[case, "absent"]["message"] == "no_such is not installed (pip install no-such)"
        )
    assert calls(absent) == 0
    # a failure is no result: it is tried again, the good is not
    evaluate(data.cases[:1], picked, out)
    assert calls(raising) == 3


def test_a_rival_that_is_gone_leaves_what_it_did(tmp_path: Path) -> None:
    data, out = dataset(tmp_path / "data", "a"), tmp_path / "out"
    rival = write_rival(tmp_path / "mine.py")
    (first,) = evaluate(data.cases, rival_methods([rival]), out)
    (method,) = rival_methods([rival])
    gone = replace(method, versions={"mine": "none"}, missing="mine is not installed")
    (record,) = evaluate(data.cases, [gone], out)
    assert (record["status"], record["message"]) == ("skipped", "mine is not installed")
    assert read_record(out, "a", "mine") == first
    assert evaluate(data.cases, rival_methods([rival]), out) == [first]
    assert calls(rival) == 1


def test_a_transform_that_is_no_good_is_a_failure(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", "a")
    (record,) = evaluate(data.cases, [shifting([float("nan"), 0, 0])], tmp_path / "out")
    assert record["status"] == "failed"
    assert record["message"]


def test_times_are_medians_of_turns(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", "a")
    rival = write_rival(tmp_path / "mine.py")
    states: list[Progress] = []
    options = Options(repeats=3, keep=True)
    (record,) = evaluate(
        data.cases, rival_methods([rival]), tmp_path / "out", options, states.append
    )
    assert calls(rival) == len(record["all_seconds"]) == 3
    assert record["seconds"] == sorted(record["all_seconds"])[1]
    assert states[-1].finished == record == read_record(tmp_path / "out", "a", "mine")
    assert (states[-1].done, states[-1].total, states[-1].seconds_left) == (1, 1, 0.0)
    assert (tmp_path / "out" / "work" / "a" / "mine" / "displacement.mha").is_file()


def test_names_of_cases_may_be_anything(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", "a")
    (case,) = data.cases
    odd = type(case)(**{**vars(case), "id": "../x/1"})
    (record,) = evaluate([odd], [shifting(SHIFT)], tmp_path / "out")
    assert (record["case"], record["status"]) == ("../x/1", "done")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "out"]
    assert json.loads(record_path(tmp_path / "out", "../x/1", record["method"]).read_text())


def test_a_learn2reg_task_and_its_submission(tmp_path: Path) -> None:
    pairs = [learn2reg.pair(1), learn2reg.pair(2)]
    learn2reg.write_release(tmp_path / "LungCT", {1: "Tr", 2: "Tr"}, training_paired_images=pairs)
    data = open_dataset(tmp_path / "LungCT")
    shift = np.array([1.75, -2.5, 3.0])
    options = Options(submission=tmp_path / "submission")
    out = tmp_path / "out"
    records = evaluate(data.cases, [shifting(shift)], out, options)
    for subject, record in zip((1, 2), records, strict=True):
        fixed, moving = (
            lps(learn2reg.GRID, learn2reg.points(10 * subject + number)) for number in (0, 1)
        )
        marks = record["judged"]["landmarks"]
        for when, at in (("before", fixed), ("after", fixed + shift)):
            errors = np.linalg.norm(at - moving, axis=1)
            assert marks[when]["continuous"]["mean"] == pytest.approx(errors.mean(), abs=1e-3)
            assert marks[when]["continuous"]["max"] == pytest.approx(errors.max(), abs=1e-3)
        name = f"disp_{subject:04d}_{subject:04d}.nii.gz"
        assert record["submitted"] == name
        path = tmp_path / "submission" / "lungmorph-default" / name
        # RAS axes: one voxel back along i, two along j, two along k
        np.testing.assert_allclose(
            read_nifti(path), np.broadcast_to([-1, 2, 2], (*learn2reg.SIZE, 3)), atol=1e-4
        )
    # a field that was removed, or was not asked for then, is made
    path.unlink()
    evaluate(data.cases, [shifting(shift)], out, options)
    assert path.is_file()
