"""A folder of pairs: which scan is which, from names or from a pattern; what is unclear is not guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lungmorph.datasets import Dataset, open_dataset
from lungmorph.errors import InputError
from lungmorph.files import write_landmarks
from lungmorph.space import Grid, Landmarks
from replicas.dicom import new_series, write_series
from replicas.own import CHEST, chest, in_lungs, write, write_mask, write_pairs, write_points

SMALL = Grid((4, 5, 6), (2.0, 2.0, 3.0), (7.0, 8.0, 9.0))


def images(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        write(root / name, np.full(SMALL.shape, number, np.int16), SMALL)
    return root


def pairs(dataset: Dataset) -> dict[str, tuple[str, str]]:
    """By case, the names of the files of fixed and moving scan."""
    return {
        case.id: (case.scan(case.fixed).source.name, case.scan(case.moving).source.name)
        for case in dataset.cases
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ("p2/moving.mha", "p2/fixed.mha", "p10/fixed.nii.gz", "p10/moving.nii.gz"),
            {"p2": ("fixed.mha", "moving.mha"), "p10": ("fixed.nii.gz", "moving.nii.gz")},
        ),
        (
            ("copd_1_exp.nii.gz", "copd_1_insp.nii.gz", "copd_2_INSP.nii", "copd_2_EXP.nii"),
            {
                "copd_1": ("copd_1_exp.nii.gz", "copd_1_insp.nii.gz"),
                "copd_2": ("copd_2_EXP.nii", "copd_2_INSP.nii"),
            },
        ),
        (
            ("a/b/case1-inhale.nrrd", "a/b/case1-exhale.nrrd"),
            {"case1": ("case1-exhale.nrrd", "case1-inhale.nrrd")},
        ),
        (
            ("x/follow-up.nii.gz", "x/baseline.nii.gz"),
            {"x": ("baseline.nii.gz", "follow-up.nii.gz")},
        ),
        (("y/inh.nii", "y/exh.nii"), {"y": ("exh.nii", "inh.nii")}),
        (
            ("q_T00.mhd", "q_T10.mhd", "q_T50.mhd", "q_T90.mhd"),
            {"q": ("q_T00.mhd", "q_T50.mhd")},
        ),
        # words for the same beside a phase
        (("v/T50_exhale.nii", "v/T00_inhale.nii"), {"v": ("T00_inhale.nii", "T50_exhale.nii")}),
        (
            ("u/baseline_T50.nii", "u/followup_T50.nii"),
            {"u": ("baseline_T50.nii", "followup_T50.nii")},
        ),
        # the same name in two folders: told apart by the folders
        (
            ("one/ct_exp.nii", "one/ct_insp.nii", "two/ct_exp.nii", "two/ct_insp.nii"),
            {"one_ct": ("ct_exp.nii", "ct_insp.nii"), "two_ct": ("ct_exp.nii", "ct_insp.nii")},
        ),
        # one side has a second word; there is still one reading
        (
            ("w/baseline_insp.nii", "w/followup_insp.nii"),
            {"w": ("baseline_insp.nii", "followup_insp.nii")},
        ),
    ],
)
def test_names_say_which_scan_is_which(
    tmp_path: Path, names: tuple[str, ...], expected: dict[str, tuple[str, str]]
) -> None:
    dataset = open_dataset(images(tmp_path, *names))
    assert dataset.kind == "folder"
    assert [case.problems for case in dataset.cases] == [()] * len(expected)
    assert pairs(dataset) == expected
    assert list(pairs(dataset)) == list(expected)
    for case in dataset.cases:  # nothing is assumed in silence
        assert case.notes == (f"from the names: {case.fixed} is fixed, {case.moving} is moving",)


def test_masks_and_landmarks_lie_beside_the_images(tmp_path: Path) -> None:
    fixed, moving = in_lungs(11, 1), in_lungs(11, 2)
    for name in ("fixed", "moving"):
        write(tmp_path / "c" / f"{name}.nii.gz", chest())
    write_mask(tmp_path / "c" / "fixed_lung_mask.nii.gz")
    write_mask(tmp_path / "c" / "moving_lungmask.mha")
    write_pairs(tmp_path / "c" / "landmarks.csv", fixed, moving)
    write_points(tmp_path / "c" / "fixed_landmarks.csv", fixed[:3])
    write_landmarks(Landmarks(moving[:3]), tmp_path / "c" / "moving_landmarks.mrk.json")
    (case,) = open_dataset(tmp_path).cases
    assert case.problems == ()
    assert all(scan.lungs is not None for scan in case.scans)
    pair = case.landmarks("fixed", "moving")
    assert pair is not None
    np.testing.assert_allclose(pair[1].points, moving, atol=1e-6)
    assert [len(marked) for marked in case.landmark_sets] == [11, 3]


def test_flat_folder_with_landmarks_of_every_case(tmp_path: Path) -> None:
    for case in ("one", "two"):
        write(tmp_path / f"{case}_T00.nii.gz", chest())
        write(tmp_path / f"{case}_T50.nii.gz", chest())
        write_pairs(tmp_path / f"{case}_landmarks.csv", in_lungs(len(case)), in_lungs(len(case)))
    # whose it would be is not known
    write_pairs(tmp_path / "landmarks.csv", in_lungs(7), in_lungs(7))
    for case in open_dataset(tmp_path).cases:
        assert [len(marked) for marked in case.landmark_sets] == [3]
        # pairs are fixed and moving, whatever these are called
        points = case.landmark_sets[0].points
        assert list(points) == [case.fixed, case.moving] == ["T00", "T50"]
        assert [scan.percent for scan in case.scans] == [0, 50]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("c/fixed.nii.gz", "c/fixed.mha", "c/moving.mha"), "one image fixed, found .*fixed.mha and .*fixed.nii.gz"),
        (
            ("c_baseline_exp.nii", "c_baseline_insp.nii", "c_followup_exp.nii", "c_followup_insp.nii"),
            r"c_baseline_exp.nii, .*c_baseline_insp.nii, .*c_followup_exp.nii, .*c_followup_insp.nii",
        ),
        (("c/fixed.nii", "c/moving.nii", "c/baseline.nii", "c/followup.nii"), "2 readings"),
        (("c/baseline_T00.nii", "c/baseline_T50.nii", "c/followup_T00.nii", "c/followup_T50.nii"), "4 readings"),
        (("c/fixed.nii", "c/baseline.nii"), "which scan is fixed and which is moving, found .*baseline"),
    ],
)  # fmt: skip
def test_what_is_unclear_is_listed(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_dataset(images(tmp_path, *names), "folder")


def test_an_unclear_case_beside_a_clear_one_is_its_problem(tmp_path: Path) -> None:
    images(tmp_path, "a/exp.nii", "a/insp.nii", "b/exp.nii", "notes/lobes.nii")
    dataset = open_dataset(tmp_path)
    a, b = dataset.cases
    assert (a.problems, a.complete) == ((), True)
    assert f"case b: expected two scans, found {tmp_path / 'b/exp.nii'} alone" in b.problems[0]
    assert not b.complete
    assert "1 image (notes/lobes.nii)" in dataset.notes[0]


def test_a_phase_of_the_pair_that_is_missing_is_named(tmp_path: Path) -> None:
    images(tmp_path, "a/T00.nii", "a/T50.nii", "b/T00.nii", "b/T10.nii")
    _, b = open_dataset(tmp_path).cases
    assert "case b: expected the phases T00 and T50, found no T50, only" in b.problems[0]
    assert not b.complete


def test_two_masks_of_one_image_are_not_guessed(tmp_path: Path) -> None:
    images(tmp_path, "exp.nii", "insp.nii", "exp_mask.nii", "exp_lungs.nii")
    (case,) = open_dataset(tmp_path).cases
    assert "expected one lung mask, found" in case.problems[0]
    assert case.scan("exp").lungs is None


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("imagesTr/p1_{}.nii.gz", "masksTr/p1_{}.nii.gz"),
        ("imagesTr/p1_{}_0000.nii.gz", "masksTr/p1_{}.nii.gz"),
        ("p1_{}.nii.gz", "lungMasks/p1_{}.mha"),
        ("scans/p1/{}.nii.gz", "lung_masks/p1/{}_lungs.nii.gz"),
        ("p1/images/{}.mha", "p1/Segmentations/{}.mha"),
        ("p1_{}.nii.gz", "p1_{}_lung_label.nii.gz"),
    ],
)
def test_masks_may_have_a_folder_of_their_own(tmp_path: Path, scan: str, mask: str) -> None:
    for name in ("exp", "insp"):
        write(tmp_path / scan.format(name), chest())
        write_mask(tmp_path / mask.format(name))
    dataset = open_dataset(tmp_path)
    (case,) = dataset.cases
    assert len(case.scans) == 2
    assert all(scan.lungs is not None and scan.lungs().data.any() for scan in case.scans)
    assert case.problems == dataset.notes == ()


@pytest.mark.parametrize(
    "label", ["labelsTr/p1_{}.nii.gz", "p1_{}_label.nii.gz", "label_maps/p1_{}_seg.nii.gz"]
)
def test_labels_are_no_scans_and_no_lungs(tmp_path: Path, label: str) -> None:
    for name in ("exp", "insp"):
        images(tmp_path, f"imagesTr/p1_{name}.nii.gz" if "/" in label else f"p1_{name}.nii.gz")
        images(tmp_path, label.format(name))
    dataset = open_dataset(tmp_path, "folder")
    (case,) = dataset.cases
    assert [scan.lungs for scan in case.scans] == [None, None]
    (note,) = dataset.notes
    assert f"they are the lungs of one image: 2 images ({label.format('exp')}," in note


def test_a_scan_in_a_folder_that_is_called_so_stays_one(tmp_path: Path) -> None:
    images(tmp_path, "labels/p1_exp.nii.gz", "labels/p1_insp.nii.gz")
    (case,) = open_dataset(tmp_path).cases
    assert len(case.scans) == 2


def test_a_pattern_names_case_patient_and_phase(tmp_path: Path) -> None:
    images(
        tmp_path,
        "Jo/before/ct_50.mha", "Jo/before/ct_0.mha", "Jo/after/ct_0.mha", "Jo/after/ct_50.mha",
        "Al/before/ct_0.mha", "Al/before/ct_50.mha", "Al/before/dose.mha",
    )  # fmt: skip
    dataset = open_dataset(tmp_path, pattern="{patient}/{id}/ct_{phase}.mha")
    assert [case.id for case in dataset.cases] == ["Al_before", "Jo_after", "Jo_before"]
    assert [case.patient for case in dataset.cases] == ["Al", "Jo", "Jo"]
    assert all((case.fixed, case.moving) == ("T00", "T50") for case in dataset.cases)
    assert "dose.mha" in dataset.notes[0]


def test_a_pattern_takes_as_much_as_it_can_for_the_case(tmp_path: Path) -> None:
    images(tmp_path, "sub/lung_7_fixed.nii", "sub/lung_7_moving.nii", "sub/lung_7_fixed_mask.nii")
    dataset = open_dataset(tmp_path, pattern="*/{id}_{scan}.nii")
    assert pairs(dataset) == {"lung_7": ("lung_7_fixed.nii", "lung_7_moving.nii")}
    assert dataset.cases[0].scan("fixed").lungs is not None


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{case}/{scan}.nii", r"found \{case\}"),
        ("{id}/{scans}.nii", r"is it \{scan\}\?"),
        ("{id}/ct.nii", r"expected \{scan\} or \{phase\} in it"),
        ("{id}/{scan}.mha", r"none of 2 \(a/exp.nii, a/insp.nii \.\.\.\)"),
    ],
)
def test_a_pattern_that_fits_nothing_is_refused(tmp_path: Path, pattern: str, said: str) -> None:
    images(tmp_path, "a/exp.nii", "a/insp.nii")
    with pytest.raises(InputError, match=said):
        open_dataset(tmp_path, pattern=pattern)


def test_scans_may_be_folders_of_slices(tmp_path: Path) -> None:
    for number, name in enumerate(("exhale", "inhale")):
        hu = np.full((4, 5, 6), 10 * number, np.int16)
        write_series(tmp_path / "p" / name, hu, series=new_series(SeriesNumber=number))
    (case,) = open_dataset(tmp_path, "folder").cases
    assert case.problems == ()
    assert [float(case.scan(s).load().data.mean()) for s in ("exhale", "inhale")] == [0, 10]


def test_folders_of_slices_as_exports_lay_them(tmp_path: Path) -> None:
    """Slices below the folder that is called like the scan, a note among them, landmarks beside that folder."""
    for number, name in enumerate(("baseline", "followup")):
        hu = np.full((4, 5, 6), 10 * number, np.int16)
        place = tmp_path / "p" / name / "DICOM" / "SE1"
        write_series(place, hu, series=new_series(SeriesNumber=number))
        (place / "000_README.txt").write_text("a note")
    write_pairs(tmp_path / "p" / "landmarks.csv", in_lungs(4), in_lungs(4))
    (case,) = open_dataset(tmp_path, "folder").cases
    assert case.problems == ()
    assert case.id == "p"
    assert [float(case.scan(s).load().data.mean()) for s in ("baseline", "followup")] == [0, 10]
    assert [len(marked) for marked in case.landmark_sets] == [4]


def test_a_file_that_is_broken_is_a_problem_of_its_case(tmp_path: Path) -> None:
    images(tmp_path, "a/exp.nii", "a/insp.nii", "b/exp.nii", "b/insp.nii")
    (tmp_path / "b" / "insp.nii").write_bytes(b"not an image")
    a, b = open_dataset(tmp_path).cases
    assert a.problems == ()
    assert "insp.nii: expected a NIfTI file" in b.problems[0]
    assert not b.complete


def test_chest_grid_of_masks_is_looked_at(tmp_path: Path) -> None:
    images(tmp_path, "exp.nii", "insp.nii")
    write_mask(tmp_path / "exp_mask.nii", grid=CHEST)
    (case,) = open_dataset(tmp_path).cases
    assert "exp_mask.nii: expected the geometry of its image" in case.problems[0]
