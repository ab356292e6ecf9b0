"""What ``check`` finds: figures against numpy, and every defect where it belongs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lungmorph.datasets import Case, Dataset, LandmarkSet, open_dataset
from lungmorph.datasets.check import CaseReport, as_dict, check
from lungmorph.errors import InputError
from lungmorph.space import Landmarks, Volume
from replicas.own import CHEST, chest, in_lungs, lung_boxes, to_world, write, write_mask


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A good pair with 40 landmarks, its own mask on one side."""
    root = tmp_path_factory.mktemp("good")
    write(root / "fixed.nii.gz", chest(0))
    write(root / "moving.nii.gz", chest(1))
    write_mask(root / "fixed_mask.nii.gz")
    (found,) = open_dataset(root, "folder").cases
    points = {
        "fixed": Landmarks(in_lungs(40, 1), "fixed"),
        "moving": Landmarks(in_lungs(40, 2), "moving"),
    }
    return replace(found, landmark_sets=(LandmarkSet("expert", points),))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("LUNGMORPH_CACHE", str(kept))


def looked_at(case: Case, quick: bool = False) -> CaseReport:
    (report,) = check(Dataset("folder", "pairs", Path("root"), (case,)), quick=quick)
    return report


def with_points(case: Case, fixed: np.ndarray, moving: np.ndarray) -> Case:
    points = {"fixed": Landmarks(fixed, "fixed"), "moving": Landmarks(moving, "moving")}
    return replace(case, landmark_sets=(LandmarkSet("expert", points),))


def test_the_figures_of_a_good_case(case: Case) -> None:
    distance = np.linalg.norm(in_lungs(40, 1) - in_lungs(40, 2), axis=1)
    case = replace(case, published_before_mm=round(float(distance.mean()), 2))
    report = looked_at(case)
    assert report.problems == report.warnings == ()
    assert report.landmarks == 40
    assert report.before is not None
    assert report.before.mean == pytest.approx(distance.mean(), abs=1e-4)
    assert report.before.sd == pytest.approx(distance.std(), abs=1e-4)
    assert report.in_lungs is not None
    assert report.in_lungs > 0.95
    said = as_dict(Dataset("folder", "pairs", Path("root"), (case,)), [report])
    assert json.loads(json.dumps(said)) == said
    phase = said["cases"][0]["phases"][0]  # type: ignore[index]
    assert phase["size"] == [40, 30, 28]
    assert phase["spacing"] == pytest.approx([6, 6, 6.5])
    assert phase["percent"] is None


def test_lungs_that_are_smaller_at_inhale_are_a_warning(case: Case) -> None:
    lungs = case.scan("fixed").lungs
    assert lungs is not None
    full = lungs()
    half = full.data.clone()
    half[: len(half) // 2] = False
    small = Volume(half, full.grid)
    for inhale, exhale, warned in ((full, small, False), (small, full, True)):
        scans = tuple(
            replace(case.scan(name), percent=percent, lungs=lambda mask=mask: mask)
            for name, percent, mask in (("fixed", 0.0, inhale), ("moving", 50.0, exhale))
        )
        report = looked_at(replace(case, scans=scans, landmark_sets=()))
        assert any("another order" in line for line in report.warnings) == warned


def test_another_error_than_the_published_one_is_a_warning(case: Case) -> None:
    points = in_lungs(10)
    case = with_points(case, points, points + np.array([3.0, 0, 4.0]))
    for published, warned in ((5.015, False), (4.985, False), (5.025, True), (4.97, True)):
        report = looked_at(replace(case, published_before_mm=published), quick=True)
        assert bool(report.warnings) == warned, published
        assert report.problems == ()
    assert report.warnings == (
        "landmark error before registration 5.00 mm, published 4.97: "
        "wrong frame, or not the original data",
    )


def test_a_published_error_of_one_decimal_stands_for_all_that_round_to_it(case: Case) -> None:
    points = in_lungs(10)
    for real, warned in ((5.04, False), (4.96, False), (5.09, True)):
        moved = with_points(case, points, points + np.array([real, 0, 0]))
        report = looked_at(
            replace(moved, published_before_mm=5.0, published_decimals=1), quick=True
        )
        assert bool(report.warnings) == warned, real
    assert "error before registration 5.09 mm, published 5.0:" in report.warnings[0]


def test_points_in_slices_counted_from_the_wrong_end_are_a_problem(case: Case) -> None:
    # both sides wrong: the landmark error is the same, only the lungs can tell
    def turned(points: np.ndarray) -> np.ndarray:
        index = CHEST.to_index(points)
        index[:, 2] = CHEST.size[2] - 1 - index[:, 2]
        return to_world(index)

    wrong = with_points(case, turned(in_lungs(40, 1)), turned(in_lungs(40, 2)))
    report = looked_at(wrong)
    before = looked_at(case, quick=True).before
    assert report.before is not None
    assert before is not None
    assert report.before.mean == pytest.approx(before.mean)
    assert len(report.problems) == 2
    assert "landmarks of fixed: expected points inside the lungs, found" in report.problems[0]
    assert looked_at(wrong, quick=True).problems == ()


@pytest.mark.parametrize(("count", "problem"), [(1, False), (30, True)])
def test_points_outside_the_image(case: Case, count: int, problem: bool) -> None:
    points = in_lungs(40)
    points[:count] += [0, 0, 900.0]
    report = looked_at(with_points(case, points, in_lungs(40)), quick=True)
    (line,) = report.problems if problem else report.warnings
    assert "landmarks expert of fixed: expected points inside the image" in line
    assert "fixed.nii.gz, found" in line
    assert f"found {count} of 40 outside" in line
    assert bool(report.warnings) != problem


def test_values_that_are_no_hu_and_files_that_are_damaged(tmp_path: Path) -> None:
    write(tmp_path / "a" / "fixed.nii.gz", (chest() + 1024).clip(0, 1500) // 6)
    write(tmp_path / "a" / "moving.nii.gz", chest())
    write(tmp_path / "b" / "fixed.nii.gz", chest())
    whole = write(tmp_path / "b" / "moving.nii.gz", chest()).read_bytes()
    (tmp_path / "b" / "moving.nii.gz").write_bytes(whole[:-9000])
    write_mask(tmp_path / "b" / "fixed_mask.nii.gz", np.zeros_like(lung_boxes()))
    dataset = open_dataset(tmp_path, "folder")
    a, b = check(dataset)
    assert "8-bit picture" in a.problems[0]
    assert "fixed.nii.gz" in a.problems[0]
    assert any("fixed_mask.nii.gz: expected a mask, found no voxel" in line for line in b.problems)
    assert any("moving.nii.gz: expected a whole file" in line for line in b.problems)
    assert [report.problems for report in check(dataset, quick=True)] == [(), ()]


def test_a_file_that_spoils_image_and_mask_is_one_line(case: Case) -> None:
    def broken() -> Volume:
        raise InputError("scan.mhd", expected="a readable image", found="half of it")

    scan = replace(case.scan("fixed"), load=broken, lungs=broken)
    report = looked_at(replace(case, scans=(scan, case.scan("moving"))))
    assert report.problems == ("scan.mhd: expected a readable image, found half of it",)


def test_lungs_that_are_not_found_are_no_defect_of_the_data(tmp_path: Path) -> None:
    hu = chest()
    hu[lung_boxes()] = 40
    write(tmp_path / "fixed.nii.gz", hu)
    write(tmp_path / "moving.nii.gz", chest())
    (report,) = check(open_dataset(tmp_path, "folder"))
    assert report.problems == ()
    (line,) = report.warnings
    assert "fixed.nii.gz: expected a CT that shows lung" in line


def test_a_case_that_lacks_a_scan_says_so(case: Case) -> None:
    report = looked_at(replace(case, scans=case.scans[:1]), quick=True)
    assert report.problems == ("expected the scans fixed and moving, found fixed",)
    known = replace(
        case, scans=case.scans[:1], problems=("moving.nii.gz: expected that, found this",)
    )
    assert looked_at(known, quick=True).problems == known.problems


def test_quick_reads_no_voxel_and_progress_tells_every_scan(case: Case) -> None:
    def refuse() -> None:
        raise AssertionError("a voxel was read")

    blind = replace(case, scans=tuple(replace(s, load=refuse, lungs=refuse) for s in case.scans))
    assert looked_at(blind, quick=True).problems == ()
    told: list[tuple[str, float]] = []
    check(
        Dataset("folder", "pairs", Path("root"), (case,)), progress=lambda *step: told.append(step)
    )
    assert [(what.split()[-1], share) for what, share in told] == [("fixed", 0.0), ("moving", 0.5)]
