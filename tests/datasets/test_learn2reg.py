"""The Learn2Reg reader against replicas whose every voxel and point is known."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from lungmorph.datasets.case import Case, Dataset
from lungmorph.datasets.learn2reg import recognises
from lungmorph.datasets.nifti_lattice import read_lattice, read_on
from lungmorph.datasets.readers import open_dataset
from lungmorph.errors import InputError
from lungmorph.space import Volume
from replicas.learn2reg import (
    GRID,
    SPACING,
    image,
    mask_values,
    pair,
    points,
    scan_values,
    write_2020,
    write_points,
    write_release,
)
from replicas.nifti import affine, lps, write_nifti

OBLIQUE = Rotation.from_euler("xyz", [15, -20, 35], degrees=True).as_matrix()
ORIENTATIONS = {
    "RAS": np.diag([1, 1, 1]),
    "LAS": np.diag([-1, 1, 1]),
    "LPS": np.diag([-1, -1, 1]),
    "RAI": np.diag([1, 1, -1]),
    "RPS": np.diag([1, -1, 1]),
    "swapped": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
    "oblique": OBLIQUE,
    "oblique, left-handed": OBLIQUE @ np.diag([1, -1, 1]),
}
LEFT_HANDED = ("LAS", "RAI", "RPS", "swapped", "oblique, left-handed")


def by_id(dataset: Dataset) -> dict[str, Case]:
    return {case.id: case for case in dataset.cases}


def assert_in_place(volume: Volume, values: np.ndarray, matrix: np.ndarray) -> None:
    """Every voxel of the file has its value where the header says, whatever the order in memory."""
    index = np.argwhere(np.ones(values.shape, dtype=bool))
    at = volume.grid.to_index(lps(matrix, index))
    np.testing.assert_allclose(at, np.rint(at), atol=1e-4)
    i, j, k = np.rint(at).astype(int).T
    np.testing.assert_array_equal(volume.data.numpy()[k, j, i], values[tuple(index.T)])


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_any_orientation_keeps_every_voxel_in_its_place(tmp_path, name):
    matrix = affine(SPACING, (-40.0, 31.0, -310.0), ORIENTATIONS[name])
    values = scan_values(3)
    path = write_nifti(tmp_path / "a.nii.gz", values, matrix)
    lattice = read_lattice(path)
    assert (lattice.turned is not None) == (name in LEFT_HANDED)
    assert_in_place(read_on(path, lattice), values, matrix)
    index = points(4)
    np.testing.assert_allclose(lattice.to_world(index), lps(matrix, index), atol=1e-4)
    np.testing.assert_allclose(lattice.to_index(lps(matrix, index)), index, atol=1e-4)


# ------------------------------------------------------------------ releases since 2021


@pytest.fixture
def lungct(tmp_path) -> Path:
    return write_release(
        tmp_path / "LungCT",
        {1: "Tr", 2: "Tr", 10: "Tr", 21: "Ts"},
        landmarks=(1, 21),
        img_shift={"fixed": "exhale", "moving": "inhale"},
        training_paired_images=[pair(10), pair(1), pair(2)],
        registration_val=[pair(1)],
        registration_test=[pair(21, part="Ts"), pair(22, part="Ts")],
    )


def test_pairs_splits_and_names_come_from_the_dataset_file(lungct):
    dataset = open_dataset(lungct)
    assert (dataset.kind, dataset.problems) == ("learn2reg", ())
    assert [(case.id, case.split) for case in dataset.cases] == [
        ("LungCT_0001", "validation"),  # though it is listed for training as well
        ("LungCT_0002", "train"),
        ("LungCT_0010", "train"),
        ("LungCT_0021", "test"),
    ]
    for case in dataset.cases:
        assert (case.fixed, case.moving, case.group) == ("exhale", "inhale", "LungCT")
        assert case.patient == case.id
        assert case.complete
        assert case.problems == case.notes == ()
    (note,) = dataset.notes
    assert "1 test pairs" in note
    assert "LungCT_0022_0000.nii.gz" in note


def test_voxels_masks_and_points_are_the_truth(lungct):
    case = by_id(open_dataset(lungct))["LungCT_0001"]
    for name, number in (("exhale", 0), ("inhale", 1)):
        scan = case.scan(name)
        volume = scan.load()
        assert volume.grid == scan.grid
        assert volume.data.dtype == torch.float32
        assert_in_place(volume, scan_values(10 + number), GRID)
        assert scan.lungs is not None
        lungs = scan.lungs()
        assert lungs.data.dtype == torch.bool
        assert lungs.grid == scan.grid
        assert_in_place(lungs, mask_values(10 + number) > 0, GRID)
    landmarks, keypoints = case.landmark_sets
    assert (landmarks.name, landmarks.expert, len(landmarks)) == ("landmarks", True, 3)
    assert (keypoints.name, keypoints.expert, len(keypoints)) == ("keypoints", False, 5)
    for number, name in enumerate(("exhale", "inhale")):
        assert keypoints.points[name].frame == name
        np.testing.assert_allclose(
            keypoints.points[name].points, lps(GRID, points(10 + number)), atol=1e-4
        )


def test_the_error_before_is_that_of_the_challenge(lungct):
    """``norm((fixed - moving) * spacing)`` in voxels, where both images share their grid."""
    case = by_id(open_dataset(lungct))["LungCT_0002"]
    fixed, moving = case.landmarks(case.fixed, case.moving)
    before = np.linalg.norm(fixed.points - moving.points, axis=1)
    by_hand = np.linalg.norm((points(20) - points(21)) * SPACING, axis=1)
    np.testing.assert_allclose(before, by_hand, atol=1e-4)


def test_left_handed_files_are_read_and_the_case_says_so(tmp_path):
    matrix = affine(SPACING, (-40.0, 31.0, -310.0), np.diag([-1, 1, 1]))
    root = write_release(
        tmp_path / "NLST", {7: "Tr"}, task="NLST", grids=(matrix, matrix),
        training_paired_images=[pair(7, "NLST")],
    )  # fmt: skip
    (case,) = open_dataset(root).cases
    assert (case.id, case.fixed, case.moving) == ("NLST_0007", "fixed", "moving")
    assert len(case.notes) == 2
    assert all("left-handed" in note for note in case.notes)
    for number, name in enumerate(("fixed", "moving")):
        scan = case.scan(name)
        assert np.linalg.det(np.array(scan.grid.direction)) == pytest.approx(1)
        assert_in_place(scan.load(), scan_values(70 + number), matrix)
        assert_in_place(scan.lungs(), mask_values(70 + number) > 0, matrix)
        np.testing.assert_allclose(
            case.landmark_sets[0].points[name].points, lps(matrix, points(70 + number)), atol=1e-4
        )


def test_points_lie_in_the_grid_of_their_own_image(tmp_path):
    """Inhale coarser and elsewhere: its indices mean other millimetres, and the case says so."""
    inhale = affine((2.0, 1.5, 1.75), (30.0, -8.0, -250.0), OBLIQUE)
    root = write_release(
        tmp_path / "LungCT", {1: "Tr"}, grids=(GRID, inhale), training_paired_images=[pair(1)]
    )
    (case,) = open_dataset(root).cases
    fixed, moving = case.landmarks("fixed", "moving")
    np.testing.assert_allclose(fixed.points, lps(GRID, points(10)), atol=1e-4)
    np.testing.assert_allclose(moving.points, lps(inhale, points(11)), atol=1e-4)
    (note,) = case.notes
    assert "different grids" in note


def test_a_mask_belongs_to_its_image_voxel_by_voxel(lungct):
    """Masks with a header of their own (here the identity, and upside down) are common."""
    path = lungct / "masksTr" / "LungCT_0002_0001.nii.gz"
    write_nifti(path, mask_values(21), affine((1, 1, 1), axes=np.diag([1, 1, -1])))
    case = by_id(open_dataset(lungct))["LungCT_0002"]
    assert_in_place(case.scan("inhale").lungs(), mask_values(21) > 0, GRID)
    assert case.problems == ()
    (note,) = case.notes
    assert path.name in note
    assert "voxel by voxel" in note


def test_without_a_dataset_file_pairs_come_from_the_names(tmp_path):
    root = write_release(tmp_path / "LungCT", {1: "Tr", 2: "Tr", 21: "Ts"})
    (root / "LungCT_dataset.json").unlink()
    (root / "imagesTr" / "LungCT_0002_0000.nii.gz").unlink()
    dataset = open_dataset(root)
    assert [(case.id, case.split) for case in dataset.cases] == [
        ("LungCT_0001", "train"),
        ("LungCT_0021", "test"),
    ]
    assert "no list of pairs" in dataset.notes[0]


def test_two_tasks_below_one_folder(tmp_path):
    write_release(tmp_path / "LungCT", {1: "Tr"}, training_paired_images=[pair(1)])
    write_release(
        tmp_path / "NLST", {1: "Tr"}, task="NLST", training_paired_images=[pair(1, "NLST")]
    )
    assert [case.group for case in open_dataset(tmp_path).cases] == ["LungCT", "NLST"]
    shutil.copytree(tmp_path / "LungCT", tmp_path / "LungCT copy")
    with pytest.raises(InputError, match="LungCT_0001 in more than one folder"):
        open_dataset(tmp_path)


def test_images_may_be_unpacked_though_the_list_says_otherwise(lungct):
    for path in [*lungct.glob("imagesTr/*.gz"), *lungct.glob("masksTr/*.gz")]:
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    dataset = open_dataset(lungct)
    assert [(c.id, c.split, c.complete) for c in dataset.cases][:2] == [
        ("LungCT_0001", "validation", True),
        ("LungCT_0002", "train", True),
    ]
    for case in dataset.cases:
        assert case.problems == ()
        assert case.scan("exhale").lungs is not None
    (lungct / "keypointsTr" / "LungCT_0002_0001.csv").unlink()  # which the list names
    assert "LungCT_0002_0001.csv" in by_id(open_dataset(lungct))["LungCT_0002"].problems[0]


@pytest.mark.parametrize("below", ["LungCT", "Learn2Reg/2023/LungCT", "a/b/c"])
def test_a_task_may_lie_deeper_than_it_was_packed(tmp_path, below):
    write_release(tmp_path / "root" / below / "LungCT", {1: "Tr"}, training_paired_images=[pair(1)])
    dataset = open_dataset(tmp_path / "root")
    assert (dataset.kind, [case.id for case in dataset.cases]) == ("learn2reg", ["LungCT_0001"])
    write_2020(tmp_path / "old" / below, (3,))
    assert open_dataset(tmp_path / "old").kind == "learn2reg"


# ------------------------------------------------------------------ what can be wrong


def break_file(folder: Path, name: str) -> str:
    """Damage one file of case 2; returns what the line of the case has to say beside the file."""
    exhale, inhale = (f"LungCT_0002_000{n}" for n in range(2))
    if name == "image missing":
        (folder / "imagesTr" / f"{inhale}.nii.gz").unlink()
        return f"imagesTr/{inhale}.nii.gz: expected an image file, found nothing there"
    if name == "header damaged":
        path = folder / "imagesTr" / f"{exhale}.nii.gz"
        path.write_bytes(path.read_bytes()[:30])
        return f"imagesTr/{exhale}.nii.gz: expected a whole NIfTI file"
    if name == "mask missing":
        (folder / "masksTr" / f"{inhale}.nii.gz").unlink()
        return f"masksTr/{inhale}.nii.gz: expected an image file, found nothing there"
    if name == "mask of another size":
        write_nifti(folder / "masksTr" / f"{inhale}.nii.gz", mask_values(1, (12, 10, 13)), GRID)
        return "expected the size of its image, 12x10x14, found 12x10x13"
    keypoints = folder / "keypointsTr" / f"{inhale}.csv"
    if name == "points missing":
        keypoints.unlink()
        return f"keypointsTr/{inhale}.csv: expected a text file, found No such file"
    if name == "count":
        write_points(keypoints, points(21)[:4])
        return f"keypointsTr/{inhale}.csv: expected 5 points, as in "
    if name == "outside":
        write_points(keypoints, points(21) + np.array([0, 9, 0]))
        return "points of the inhale image outside, the first of them"
    if name == "cells":
        keypoints.write_text("1,2,3\n4,5\n")
        return f"keypointsTr/{inhale}.csv, line 2: expected 3 numbers, found 2 cells"
    if name == "words":
        keypoints.write_text("x,y,z\n1,2,3\n")
        return f"keypointsTr/{inhale}.csv, line 1: expected a number, found 'x'"
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "complete", "sets"),
    [
        ("image missing", False, 0),
        ("header damaged", False, 0),
        ("mask missing", True, 1),
        ("mask of another size", True, 1),
        ("points missing", True, 0),
        ("count", True, 0),
        ("outside", True, 0),
        ("cells", True, 0),
        ("words", True, 0),
    ],
)
def test_a_defect_is_one_line_of_its_case(lungct, name, complete, sets):
    said = break_file(lungct, name)
    dataset = open_dataset(lungct)
    cases = by_id(dataset)
    (line,) = cases["LungCT_0002"].problems
    assert said in line
    assert "\n" not in line
    assert cases["LungCT_0002"].complete == complete
    assert len(cases["LungCT_0002"].landmark_sets) == sets
    for other in ("LungCT_0001", "LungCT_0010"):
        assert cases[other].problems == ()


def test_truncated_voxels_are_seen_when_they_are_read(lungct):
    path = lungct / "imagesTr" / "LungCT_0002_0000.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])
    case = by_id(open_dataset(lungct))["LungCT_0002"]
    with pytest.raises(InputError, match=r"LungCT_0002_0000.*truncated"):
        case.scan("exhale").load()


@pytest.mark.parametrize("text", ["{'name': LungCT", '{"name": ' + "[" * 100_000])
def test_a_damaged_dataset_file_is_said_and_the_names_serve(lungct, text):
    (lungct / "LungCT_dataset.json").write_text(text)
    dataset = open_dataset(lungct)
    (line,) = dataset.problems
    assert "LungCT_dataset.json: expected a dataset file in JSON" in line
    assert len(dataset.cases) == 4


@pytest.mark.parametrize(
    "entry", [{"fixed": image(2, 0)}, {"fixed": "../x_0001_0000.nii.gz", "moving": image(2, 1)}, 7]
)
def test_an_entry_that_is_no_pair_is_said(lungct, entry):
    path = lungct / "LungCT_dataset.json"
    content = json.loads(path.read_text())
    content["training_paired_images"].insert(0, entry)
    path.write_text(json.dumps(content))
    dataset = open_dataset(lungct)
    (line,) = dataset.problems
    assert "LungCT_dataset.json: expected the" in line
    assert len(dataset.cases) == 4


def test_a_pair_of_one_image_is_said(lungct):
    path = lungct / "LungCT_dataset.json"
    content = json.loads(path.read_text())
    content["training_paired_images"].insert(0, {"fixed": image(2, 0), "moving": image(2, 0)})
    path.write_text(json.dumps(content))
    dataset = open_dataset(lungct)
    (line,) = dataset.problems
    assert "two images in a pair of training_paired_images, found imagesTr/LungCT_0002_0000" in line
    assert len(dataset.cases) == 4


def test_other_folders_are_not_taken(tmp_path):
    write_nifti(tmp_path / "imagesTr" / "lung_001_0000.nii.gz", scan_values(1), GRID)
    (tmp_path / "dataset.json").write_text("{}")
    assert not recognises(tmp_path)
    write_nifti(tmp_path / "scans" / "patient_exp.nii.gz", scan_values(1), GRID)
    assert not recognises(tmp_path)
    (tmp_path / "OASIS_dataset.json").write_text("{}")
    assert not recognises(tmp_path)
    with pytest.raises(InputError, match=r"a lung task .*found OASIS"):
        open_dataset(tmp_path, "learn2reg")


# ------------------------------------------------------------------ 2020


def test_the_release_of_2020(tmp_path):
    write_2020(tmp_path, (1, 2, 12))
    write_2020(tmp_path, (21,), part="test")
    (tmp_path / "pairs_val.csv").write_text("fixed,moving\n12,12\n")
    dataset = open_dataset(tmp_path)
    assert dataset.problems == ()
    assert [(case.id, case.split) for case in dataset.cases] == [
        ("case_001", "train"),
        ("case_002", "train"),
        ("case_012", "validation"),
        ("case_021", "test"),
    ]
    case = by_id(dataset)["case_002"]
    assert (case.fixed, case.moving, case.problems) == ("exhale", "inhale", ())
    assert_in_place(case.scan("exhale").load(), scan_values(20), GRID)  # in HU again
    assert_in_place(case.scan("inhale").lungs(), mask_values(21) > 0, GRID)
    (keypoints,) = case.landmark_sets
    assert not keypoints.expert
    np.testing.assert_allclose(keypoints.points["exhale"].points, lps(GRID, points(20)), atol=1e-4)
    np.testing.assert_allclose(keypoints.points["inhale"].points, lps(GRID, points(21)), atol=1e-4)
    assert recognises(tmp_path / "training")


def test_values_in_hu_stay_as_they_are(tmp_path):
    write_2020(tmp_path, (1,), above_hu=0)
    (case,) = open_dataset(tmp_path).cases
    assert_in_place(case.scan("exhale").load(), scan_values(10), GRID)


def test_defects_of_2020(tmp_path):
    write_2020(tmp_path, (1, 2, 3))
    (tmp_path / "training" / "scans" / "case_001_insp.nii.gz").unlink()
    write_points(tmp_path / "training" / "keypoints" / "case_002.csv", points(20))
    cases = by_id(open_dataset(tmp_path))
    (line,) = cases["case_001"].problems
    assert "scans/case_001_insp.nii.gz: expected an image file" in line
    (line,) = cases["case_002"].problems
    assert "case_002.csv, line 1: expected 6 numbers, found 3 cells" in line
    assert cases["case_003"].problems == ()


DATA = Path(os.environ.get("LUNGMORPH_DATA", Path(__file__).parents[3] / "shared" / "data"))
KEYPOINTS = DATA / "motion" / "learn2reg_lung_keypoints"


@pytest.mark.skipif(
    not KEYPOINTS.is_dir(), reason=f"no keypoints at {KEYPOINTS}; set LUNGMORPH_DATA"
)
def test_real_keypoint_files(tmp_path):
    """Twenty files of the real thing, with images of the right size in which there are no voxels."""
    spacing = np.array([1.75, 1.25, 1.75])
    files = sorted(KEYPOINTS.glob("case_*.csv"))
    for path in files:
        for state in ("exp", "insp"):
            scan = tmp_path / "scans" / f"{path.stem}_{state}.nii.gz"
            empty = np.broadcast_to(np.int16(0), (192, 192, 208))
            write_nifti(scan, empty, affine(tuple(spacing)), header_only=True)
        (tmp_path / "keypoints").mkdir(exist_ok=True)
        (tmp_path / "keypoints" / path.name).symlink_to(path)
    cases = open_dataset(tmp_path).cases
    assert [case.id for case in cases] == [path.stem for path in files]
    for case, path in zip(cases, files, strict=True):
        assert case.problems == ()
        rows = np.genfromtxt(path, delimiter=",")
        fixed, moving = case.landmarks("exhale", "inhale")
        before = np.linalg.norm(fixed.points - moving.points, axis=1)
        by_hand = np.linalg.norm((rows[:, :3] - rows[:, 3:]) * spacing, axis=1)
        np.testing.assert_allclose(before, by_hand, atol=1e-4)
        assert 829 <= len(fixed) <= 2413
        assert 3.5 < before.mean() < 22.5  # "4 to 22 mm" in the words of its README
