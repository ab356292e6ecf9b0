"""The reader of both POPI / CREATIS sets against replicas: frames, phases, masks, and what can be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lungmorph.datasets.case import Case
from lungmorph.datasets.popi import recognises
from lungmorph.datasets.readers import open_dataset
from lungmorph.errors import InputError
from replicas.metaimage import write_mhd
from replicas.popi import (
    AIR,
    BODY,
    LUNGS,
    PHASES,
    SHAPE,
    SPACING,
    points,
    scan_values,
    tissue,
    write_2007,
    write_2011,
    write_pts,
)

OBLIQUE = Rotation.from_euler("xyz", [5, -10, 20], degrees=True).as_matrix()
ORIGIN = (-120.0, 33.5, -410.0)
#: Where the replicas of 2011 begin.
CORNER = np.array([-250.0, -175.5, 10.0])


def only(root, **options) -> Case:
    (case,) = open_dataset(root, **options).cases
    return case


# ------------------------------------------------------------------ the POPI-model of 2007


def test_ten_phases_in_their_order(tmp_path):
    case = only(write_2007(tmp_path))
    assert (case.id, case.group, case.problems) == ("POPI", "POPI-model", ())
    assert [scan.name for scan in case.scans] == [f"T{p:02d}" for p in PHASES]
    assert [scan.percent for scan in case.scans] == list(PHASES)
    assert (case.fixed, case.moving) == ("T10", "T60")
    assert (case.published_before_mm, case.published_decimals) == (6.1, 1)
    for phase, scan in zip(PHASES, case.scans, strict=True):
        assert (scan.grid.shape, scan.grid.spacing) == (SHAPE, SPACING)
        np.testing.assert_array_equal(scan.load().data.numpy(), scan_values(phase))


@pytest.mark.parametrize(("origin", "axes"), [((0, 0, 0), None), (ORIGIN, OBLIQUE)])
def test_landmarks_of_2007_count_from_the_first_voxel(tmp_path, origin, axes):
    case = only(write_2007(tmp_path, origin=origin, axes=axes))
    assert case.problems == ()
    (marked,) = case.landmark_sets
    assert len(marked) == 40  # the 41st is the artefact
    assert any("artefact" in note for note in case.notes)
    turn = np.eye(3) if axes is None else axes
    for phase in PHASES:
        by_hand = points(phase, 41)[:40] @ turn.T + origin
        np.testing.assert_allclose(marked.points[f"T{phase:02d}"].points, by_hand, atol=1e-6)
    fixed, moving = case.landmarks("T10", "T60")
    before = np.linalg.norm(fixed.points - moving.points, axis=1)
    np.testing.assert_allclose(before, 50 * np.linalg.norm([0.02, 0.01, 0.05]), atol=2e-4)


def test_forty_points_are_forty(tmp_path):
    assert len(only(write_2007(tmp_path, count=40)).landmark_sets[0]) == 40


@pytest.mark.parametrize("labels", [{AIR: 1, BODY: 0, LUNGS: 2}, {AIR: 1, BODY: 2, LUNGS: 0}])
def test_the_lungs_are_the_label_that_looks_like_lung(tmp_path, labels):
    """The owner's page and the readers of the files give them different numbers."""
    case = only(write_2007(tmp_path, labels=labels))
    for phase in (10, 60):
        scan = case.scan(f"T{phase:02d}")
        lungs = scan.lungs()
        assert lungs.grid == scan.grid
        np.testing.assert_array_equal(lungs.data.numpy(), tissue(phase) == LUNGS)


def test_labels_without_lung_are_refused(tmp_path):
    write_2007(tmp_path)
    body = np.zeros(SHAPE, np.uint8)
    write_mhd(tmp_path / "4DMask" / "10-air-body-lungs.mhd", body, SPACING)
    with pytest.raises(InputError, match=r"10-air-body-lungs.mhd: expected one label of lung"):
        only(tmp_path).scan("T10").lungs()


def repacked(tmp_path, origin):
    """Landmark files under the names that they have in copies of the set."""
    write_2007(tmp_path, origin=origin)
    for phase in PHASES:
        old = tmp_path / "4DLandmarks" / f"{phase:02d}-Landmarks.pts"
        old.rename(old.with_name(f"case{phase:02d}.txt"))
    return tmp_path


def test_other_names_say_nothing_of_the_frame_but_the_places_do(tmp_path):
    case = only(repacked(tmp_path, ORIGIN))
    assert case.problems == ()
    assert any("'first-voxel'" in note for note in case.notes)
    np.testing.assert_allclose(
        case.landmark_sets[0].points["T30"].points, points(30, 41)[:40] + ORIGIN, atol=1e-6
    )


def test_a_frame_that_is_not_clear_is_refused_and_can_be_told(tmp_path):
    shift = (-1.0, 1.0, 2.0)
    repacked(tmp_path, shift)
    case = only(tmp_path)
    assert case.landmark_sets == ()
    (line,) = case.problems
    assert "case00.txt: expected landmarks whose frame is clear" in line
    assert "points=first-voxel or points=world" in line
    for frame, moved in (("world", (0, 0, 0)), ("first-voxel", shift)):
        told = only(tmp_path, points=frame)
        assert told.problems == ()
        np.testing.assert_allclose(
            told.landmark_sets[0].points["T30"].points, points(30, 41)[:40] + moved, atol=1e-6
        )
    with pytest.raises(InputError, match="one of first-voxel, world"):
        only(tmp_path, points="ras")


# ------------------------------------------------------------------ the patients of 2011


def test_patients_of_2011(tmp_path):
    write_2011(tmp_path / "MedPhys11", "bl")
    write_2011(tmp_path / "MedPhys11", "mm2", marked=(0, 50))
    dataset = open_dataset(tmp_path)
    assert dataset.kind == "popi"
    assert [(c.id, c.fixed, c.moving) for c in dataset.cases] == [
        ("bl", "T60", "T00"),
        ("mm2", "T50", "T00"),
    ]
    for case, marked in zip(dataset.cases, (PHASES, (0, 50)), strict=True):
        assert case.problems == case.notes == ()
        assert case.group == "DIR validation data"
        assert len(case.scans) == 10
        assert all(scan.lungs is None for scan in case.scans)
        (found,) = case.landmark_sets
        assert sorted(found.points) == [f"T{p:02d}" for p in marked]
    np.testing.assert_array_equal(dataset.cases[0].scan("T70").load().data.numpy(), scan_values(70))
    assert [case.id for case in open_dataset(tmp_path / "MedPhys11" / "bl").cases] == ["bl"]


def test_landmarks_of_2011_are_in_the_world_of_the_header(tmp_path):
    case = only(write_2011(tmp_path, "gt"))
    for phase in (0, 50):
        mm = case.landmark_sets[0].points[f"T{phase:02d}"].points
        np.testing.assert_allclose(mm, points(phase, 12) + CORNER, atol=1e-6)
        index = case.scan("T00").grid.to_index(mm)
        np.testing.assert_allclose(index * SPACING, points(phase, 12), atol=1e-4)


def test_the_wrong_frame_is_noticed_and_named(tmp_path):
    write_2011(tmp_path, "gt")
    for phase in PHASES:
        write_pts(tmp_path / "gt" / "pts" / f"{phase:02d}.pts", points(phase, 12))
    case = only(tmp_path)
    assert case.landmark_sets == ()
    assert len(case.problems) == 10
    assert all("12 outside" in p and "points=first-voxel" in p for p in case.problems)
    assert only(tmp_path, points="first-voxel").problems == ()


def test_an_unknown_patient_is_read_with_a_note(tmp_path):
    case = only(write_2011(tmp_path, "patient9", marked=(0, 60)))
    assert (case.fixed, case.moving) == ("T60", "T00")
    (note,) = case.notes
    assert "60 % is taken for the end of exhale" in note


@pytest.mark.parametrize("header", ["", "#X Y Z\n", "12\n", "point\n12\n", "\n"])
def test_tops_of_point_files(tmp_path, header):
    write_2011(tmp_path, "ng")
    path = tmp_path / "ng" / "pts" / "00.pts"
    write_pts(path, points(0, 12) + CORNER, header)
    assert only(tmp_path).problems == ()


def spoil(folder, what: str) -> str:
    pts, mhd = folder / "pts" / "30.pts", folder / "mhd" / "30.mhd"
    mm = points(30, 12) + CORNER
    if what == "count":
        write_pts(pts, mm[:-1])
        return "30.pts: expected 12 points, as in the other phases, found 11"
    if what == "count of the file":
        write_pts(pts, mm, "13\n")
        return "30.pts: expected 13 points, as it says, found 12"
    if what == "index":
        write_pts(pts, mm, "index\n12\n")
        return "30.pts: expected points in mm, found voxel indices"
    if what == "outside":
        mm[4] = [900, 0, 0]
        write_pts(pts, mm)
        return "30.pts: expected points inside"
    if what == "words":
        write_pts(pts, mm, "x y z\n")
        return "30.pts, line 1: expected a number, found 'x'"
    if what == "bytes":
        pts.write_bytes(b"\xff\xfe\x00\x80" * 9)
        return "30.pts: expected a text file"
    if what == "raw missing":
        mhd.with_suffix(".raw").unlink()
        return "30.raw: expected the voxels of 30.mhd"
    if what == "header damaged":
        mhd.write_bytes(b"\x00" * 200)
        return "30.mhd: expected a readable image"
    if what == "phase missing":
        mhd.unlink()
        return "expected ten phases, found 9 (not T30)"
    raise AssertionError(what)


@pytest.mark.parametrize(
    "what",
    [
        "count",
        "count of the file",
        "index",
        "outside",
        "words",
        "bytes",
        "raw missing",
        "header damaged",
        "phase missing",
    ],
)
def test_a_defect_of_one_phase_is_one_line_and_leaves_the_others(tmp_path, what):
    write_2011(tmp_path, "bh")
    write_2011(tmp_path, "dx")
    said = spoil(tmp_path / "bh", what)
    first, second = open_dataset(tmp_path).cases
    (line,) = first.problems
    assert said in line
    assert first.complete
    assert first.landmarks("T50", "T00") is not None
    assert "T30" not in first.landmark_sets[0].points
    assert second.problems == ()


@pytest.mark.parametrize(("phase", "said"), [(0, "T00"), (50, "T50")])
def test_a_scan_of_the_pair_without_landmarks_is_named(tmp_path, phase, said):
    (write_2011(tmp_path, "dx") / "dx" / "pts" / f"{phase:02d}.pts").unlink()
    (line,) = only(tmp_path).problems
    assert line.endswith(f"dx: expected landmarks (.pts) of {said}, found none")
    (write_2007(tmp_path / "m") / "4DLandmarks" / "60-Landmarks.pts").unlink()
    (line,) = only(tmp_path / "m").problems
    assert line.endswith("m: expected landmarks (.pts) of T60, found none")


def test_the_file_that_differs_from_the_others_is_the_wrong_one(tmp_path):
    """Also where it is that of the fixed scan, and the artefact is left out of the others all the same."""
    root = write_2007(tmp_path)
    write_pts(root / "4DLandmarks" / "10-Landmarks.pts", points(10, 39))
    case = only(root)
    (line,) = case.problems
    assert "10-Landmarks.pts: expected 41 points, as in the other phases, found 39" in line
    assert len(case.landmark_sets[0]) == 40


def test_names_with_another_line_between(tmp_path):
    for path in write_2007(tmp_path).glob("4DCT-MetaImage/*"):
        path.rename(path.with_name(path.name.replace("-P", "_P")))
    for path in tmp_path.glob("4DCT-MetaImage/*.mhd"):
        path.write_text(path.read_text().replace("-P.raw", "_P.raw"))
    case = only(tmp_path)
    assert (len(case.scans), case.problems) == (10, ())


def test_no_landmarks_and_files_twice(tmp_path):
    write_2011(tmp_path, "bh", marked=())
    (line,) = only(tmp_path).problems
    assert "bh: expected landmarks (.pts), found none" in line
    root = write_2007(tmp_path / "model")
    write_mhd(root / "copy" / "30-P.mhd", scan_values(30), SPACING)
    (line,) = only(root).problems
    assert "copy/30-P.mhd: expected one file of this phase" in line


def test_other_folders_are_not_taken(tmp_path):
    assert not recognises(tmp_path)
    write_mhd(tmp_path / "mhd" / "scan.mhd", scan_values(0), SPACING)
    write_mhd(tmp_path / "00.mhd", scan_values(0), SPACING)
    assert not recognises(tmp_path)
    write_mhd(tmp_path / "mhd" / "00.mhd", scan_values(0), SPACING)
    assert recognises(tmp_path)
