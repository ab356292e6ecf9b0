"""A table of one's own: pairs, scans, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lungmorph.datasets import Case, Dataset, open_dataset
from lungmorph.errors import InputError
from lungmorph.space import Grid
from replicas.dicom import new_series, write_series
from replicas.dicom_4d import phase_hu, siemens
from replicas.own import (
    CHEST,
    chest,
    in_lungs,
    lung_boxes,
    to_world,
    write,
    write_mask,
    write_pairs,
    write_points,
)


def table(folder: Path, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder / "cases.csv"


def opened(folder: Path, *lines: str) -> Dataset:
    return open_dataset(table(folder, *lines))


def only(dataset: Dataset) -> Case:
    (case,) = dataset.cases
    return case


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scans and a mask, in a folder with a space in its name."""
    place = tmp_path / "my scans"
    write(place / "a.nii.gz", chest(0))
    write(place / "b.mha", chest(1))
    write_mask(place / "a_mask.nii.gz")
    return place


def test_a_row_a_pair(folder: Path) -> None:
    fixed, moving = in_lungs(20, 1), in_lungs(20, 2)
    write_pairs(folder / "marks" / "p.csv", fixed, moving)
    case = only(
        opened(
            folder,
            "id,fixed,moving,patient,group,split,fixed_mask,landmarks,fixed_phase,moving_phase,published_before,comment",
            'p 1,a.nii.gz,b.mha,Jo,"thick, old",Train,a_mask.nii.gz,marks/p.csv,50%,T00,6.94,second visit',
        )
    )
    assert (case.id, case.patient, case.group, case.split) == ("p 1", "Jo", "thick, old", "train")
    assert (case.fixed, case.moving, case.published_before_mm) == ("fixed", "moving", 6.94)
    assert case.problems == ()
    assert case.notes == ("second visit",)
    assert case.complete
    a, b = case.scans
    assert (a.percent, b.percent) == (50, 0)
    assert a.grid.same_as(CHEST, 1e-4)
    np.testing.assert_array_equal(a.load().data.numpy(), chest(0))
    np.testing.assert_array_equal(b.load().data.numpy(), chest(1))
    assert a.lungs is not None
    assert b.lungs is None
    np.testing.assert_array_equal(a.lungs().data.numpy(), lung_boxes())
    pair = case.landmarks("fixed", "moving")
    assert pair is not None
    np.testing.assert_allclose(pair[0].points, fixed, atol=1e-6)
    np.testing.assert_allclose(pair[1].points, moving, atol=1e-6)
    assert (pair[0].frame, pair[1].frame) == ("fixed", "moving")


def test_points_in_two_files_of_any_format(folder: Path) -> None:
    # 3D Slicer speaks RAS, an index list counts the voxels of its image, here from 1
    index = np.array([[1, 1, 1], [40, 30, 28], [7, 3, 20]])
    world = to_world(index - 1.0)
    rows = "".join(
        f"id{n},{-x:.6f},{-y:.6f},{z:.6f},0,0,0,1,1,1,0,,,\n" for n, (x, y, z) in enumerate(world)
    )
    columns = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
    (folder / "a.fcsv").write_text(
        f"# Markups fiducial file version = 4.11\n# CoordinateSystem = RAS\n{columns}{rows}"
    )
    (folder / "b.txt").write_text("\n".join(" ".join(map(str, row)) for row in index))
    head = "id,fixed,moving,fixed_landmarks,moving_landmarks"
    case = only(opened(folder, f"{head},first_index", "p,a.nii.gz,b.mha,a.fcsv,b.txt,1"))
    pair = case.landmarks("fixed", "moving")
    assert case.problems == ()
    assert pair is not None
    np.testing.assert_allclose(pair[0].points, world, atol=1e-4)
    np.testing.assert_allclose(pair[1].points, world, atol=1e-4)
    untold = only(opened(folder, head, "p,a.nii.gz,b.mha,a.fcsv,b.txt"))
    assert "b.txt: expected to be told where counting starts" in untold.problems[0]


def test_a_row_a_scan(folder: Path) -> None:
    marks = {name: in_lungs(9, seed) for seed, name in enumerate(("T00", "T20", "T50"))}
    for name, points in marks.items():
        write_points(folder / f"{name}.csv", points)
        write_points(folder / f"{name}_auto.csv", points[:4])
    write_mask(folder / "tumour.nii.gz", chest(0) > 60)
    write(folder / "c.nii.gz", chest(0))
    case = only(
        opened(
            folder,
            "id;phase;image;mask;landmarks:Expert Set;keypoints:auto;structure:GTV 1;patient",
            "c;0;a.nii.gz;a_mask.nii.gz;T00.csv;T00_auto.csv;;Jo",
            "c;20;b.mha;;T20.csv;T20_auto.csv;;",
            "c;50;c.nii.gz;;T50.csv;;tumour.nii.gz;Jo",
        )
    )
    assert case.problems == ()
    assert [scan.name for scan in case.scans] == ["T00", "T20", "T50"]
    assert [scan.percent for scan in case.scans] == [0, 20, 50]
    assert (case.fixed, case.moving, case.patient) == ("T00", "T50", "Jo")
    expert, auto = case.landmark_sets
    assert (expert.name, expert.expert, len(expert)) == ("Expert Set", True, 9)
    assert (auto.name, auto.expert, set(auto.points)) == ("auto", False, {"T00", "T20"})
    pair = case.landmarks("T20", "T50")
    assert pair is not None
    np.testing.assert_allclose(pair[1].points, marks["T50"], atol=1e-6)
    assert list(case.scans[2].structures) == ["GTV 1"]
    np.testing.assert_array_equal(case.scans[2].structures["GTV 1"]().data.numpy(), chest(0) > 60)


def test_roles_say_which_pair(folder: Path) -> None:
    lines = ("id,scan,image,role", "c,first,a.nii.gz,moving", "c,second,b.mha,fixed")
    case = only(opened(folder, *lines))
    assert (case.fixed, case.moving, case.problems) == ("second", "first", ())
    case = only(opened(folder, "id,scan,image", "c,first,a.nii.gz", "c,second,b.mha"))
    assert not case.complete
    assert "which scan of c is fixed and which is moving" in case.problems[0]
    case = only(opened(folder, lines[0], "c,first,a.nii.gz,fixed", "c,second,b.mha,fixed"))
    assert "line 3: expected one scan fixed and one moving, found fixed twice" in case.problems[0]


def test_a_dicom_folder_of_two_series(tmp_path: Path) -> None:
    for number, words in enumerate(("T=0%", "T=50%")):
        series = new_series(SeriesNumber=number, SeriesDescription=words)
        hu = np.full((5, 6, 7), number, np.int16)
        write_series(tmp_path / "dicom", hu, spacing=(2, 2, 3), series=series)
    case = only(
        opened(
            tmp_path,
            "id,fixed,moving,fixed_series,moving_series",
            "c,dicom,dicom,T=50%,T=0%",
        )
    )
    assert case.problems == ()
    assert [float(scan.load().data.mean()) for scan in case.scans] == [1, 0]
    bare = only(opened(tmp_path, "id,fixed,moving", "c,dicom,dicom"))
    assert "expected one series, found 2" in bare.problems[0]


def test_phases_of_a_4d_ct_in_a_dicom_folder(tmp_path: Path) -> None:
    siemens(tmp_path / "ct", (0, 30, 50))
    dataset = opened(
        tmp_path,
        "id,fixed,moving,fixed_phase,moving_phase",
        "right,ct,ct,50,0%",
        "wrong,ct,ct,50,10",
        "none,ct,ct,,0",
    )
    none, right, wrong = dataset.cases
    assert right.problems == ()
    for name, percent in (("fixed", 50), ("moving", 0)):
        scan = right.scan(name)
        assert scan.percent == percent
        np.testing.assert_array_equal(scan.load().data.numpy(), phase_hu(percent))
    assert "expected a phase '10', found" in wrong.problems[0]
    assert "ct: expected one" in none.problems[0]
    # a folder with the one scan of a phase is what it is
    write_series(tmp_path / "one", phase_hu(7), series=new_series())
    (plain,) = opened(tmp_path, "id,image,phase", "c,one,50").cases
    np.testing.assert_array_equal(plain.scans[0].load().data.numpy(), phase_hu(7))


def test_one_scan_twice_is_no_pair(folder: Path) -> None:
    siemens(folder / "ct", (0, 50))
    write_series(folder / "one", phase_hu(7), series=new_series())
    dataset = opened(
        folder,
        "id,fixed,moving,fixed_phase,moving_phase",
        "file,a.nii.gz,../my scans/a.nii.gz,,",
        "phase,ct,ct,50,50",
        "single,one,one,0,50",  # one scan, whatever phase is asked for
        "good,ct,ct,0,50",
    )
    file, good, phase, single = (case.problems for case in dataset.cases)
    assert good == ()
    for problems in (file, phase, single):
        (line,) = problems
        assert "expected different scans as fixed and moving, found " in line
        assert line.endswith("twice")
    lines = ("id,scan,image,role", "c,one,b.mha,fixed", "c,two,b.mha,moving")
    assert "different scans as one and two" in only(opened(folder, *lines)).problems[0]


def test_what_is_wrong_with_a_case_stays_with_it(folder: Path) -> None:
    write_pairs(folder / "good.csv", in_lungs(5), in_lungs(5))
    write_points(folder / "five.csv", in_lungs(5))
    write_points(folder / "four.csv", in_lungs(4))
    (folder / "words.csv").write_text("x,y,z\n1,2,left\n")
    write_mask(
        folder / "other_mask.nii.gz",
        grid=Grid(CHEST.size, CHEST.spacing, (1.0, 2, 3), CHEST.direction),
    )
    dataset = opened(
        folder,
        "id,fixed,moving,fixed_mask,landmarks,fixed_landmarks,moving_landmarks,split,fixed_phase,published_before",
        "case10,a.nii.gz,b.mha,,good.csv,,,,,",
        "case2,a.nii.gz,gone.nii.gz,,,,,,,",
        "case3,a.nii.gz,b.mha,,,five.csv,four.csv,,,",
        "case4,a.nii.gz,b.mha,other_mask.nii.gz,,,,,,",
        "case5,a.nii.gz,b.mha,,,five.csv,words.csv,,,",
        "case6,a.nii.gz,b.mha,,good.csv,five.csv,five.csv,,,",
        "case7,a.nii.gz,b.mha,,,five.csv,,,,",
        "case8,a.nii.gz,b.mha,,,,,trian,120,much",
        "case9,a.nii.gz,,,,,,,,",
    )
    said = {case.id: case.problems for case in dataset.cases}
    assert list(said) == [f"case{n}" for n in range(2, 11)]
    assert said["case10"] == ()
    assert (
        "gone.nii.gz: expected an image file or a DICOM folder, found nothing there"
        in said["case2"][0]
    )
    assert "four.csv: expected 5 points, as in" in said["case3"][0]
    assert "other_mask.nii.gz: expected the geometry of its image" in said["case4"][0]
    assert "words.csv, line 2: expected a number, found 'left'" in said["case5"][0]
    assert (
        "expected landmarks, or fixed_landmarks and moving_landmarks, found both"
        in said["case6"][0]
    )
    assert "five.csv: expected points of two scans" in said["case7"][0]
    assert [text.split("expected ")[1].split(",")[0] for text in said["case8"]] == [
        "a phase in percent", "a split of train", "a number"]  # fmt: skip
    assert "line 10: expected a file in the column moving" in said["case9"][0]
    whole = {case.id: case.complete for case in dataset.cases}
    assert [name for name, there in whole.items() if not there] == ["case2", "case9"]
    assert dataset.cases[2].scans[0].lungs is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("id,fixed,moving,fixd_mask", "a,b,c,d"), r"found 'fixd_mask'; is it fixed_mask\?"),
        (("id,fixed,moving,weight", "a,b,c,d"), "found 'weight'; there are id, patient"),
        (("id,fixed,moving,structure:GTV", "a,b,c,d"), "found 'structure:GTV'"),
        (("id,fixed,fixed,moving", "a,b,c,d"), "each column once, found fixed twice"),
        (("id,fixed", "a,b"), "found no moving"),
        (("name,fixed,moving", "a,b,c"), "found 'name'"),
        (("id,fixed,moving",), "a row a case"),
        (("id,fixed,moving", "a,b,c,d"), "line 2: expected 3 cells, as in the header, found 4"),
        (("id,fixed,moving", ",b,c"), "line 2: expected an id .*, found none"),
        (("id,fixed,moving", "../a,b,c"), "expected an id that can be part of a file name"),
        (("id,fixed,moving", "a,b,c", "a,d,e"), "line 3: expected an id of its own, found 'a', as in line 2"),
        (("id,image,phase", "a,b,0", "a,b,0"), "line 3: expected one scan 'T00' of the case a, found another in line 2"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_trusted_is_refused(
    tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        opened(tmp_path, *lines)


def test_commas_that_a_spreadsheet_leaves_behind_do_not_matter(folder: Path) -> None:
    assert only(opened(folder, "id,fixed,moving,,", "p,a.nii.gz,b.mha,,")).problems == ()


def test_paths_of_windows_and_tables_with_tabs(folder: Path) -> None:
    write(folder / "x" / "c.nii.gz", chest(2))
    written = table(folder, "id\tfixed\tmoving", "p\ta.nii.gz\tx\\c.nii.gz")
    written = written.rename(folder / "cases.tsv")
    case = only(open_dataset(written))
    assert case.problems == ()
    assert case.scan("moving").source == folder / "x" / "c.nii.gz"


def test_a_folder_with_a_table_is_read_by_it_and_no_voxel_is(folder: Path) -> None:
    table(folder, "id,fixed,moving", "p,a.nii.gz,b.mha").rename(folder / "dataset.csv")
    whole = (folder / "a.nii.gz").read_bytes()
    (folder / "a.nii.gz").write_bytes(whole[: len(whole) // 2])
    dataset = open_dataset(folder)
    assert dataset.kind == "table"
    assert only(dataset).problems == ()
    with pytest.raises(InputError, match="truncated or damaged"):
        only(dataset).scan("fixed").load()


def documented() -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    return [block.split("```")[0] for block in text.split("```csv\n")[1:]]


@pytest.mark.parametrize("text", documented())
def test_the_tables_of_the_documentation_are_read(tmp_path: Path, text: str) -> None:
    header, *rows = (line.split(",") for line in text.splitlines())
    for row in rows:
        for column, cell in zip(header, row, strict=True):
            if column in ("image", "fixed", "moving"):
                write(tmp_path / cell, chest())
            elif "mask" in column or column.startswith("structure"):
                _ = cell and write_mask(tmp_path / cell)
            elif column == "landmarks":
                _ = cell and write_pairs(tmp_path / cell, in_lungs(3), in_lungs(3))
            elif column.startswith(("landmarks:", "keypoints:")):
                _ = cell and write_points(tmp_path / cell, in_lungs(4))
    cases = opened(tmp_path, text).cases
    assert [case.problems for case in cases] == [()] * len(cases)
    assert all(case.complete for case in cases)
    assert cases[0].landmarks(cases[0].fixed, cases[0].moving) is not None
