"""The EMPIRE10 reader against a replica in its exact layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lungmorph.datasets.empire10 import recognises
from lungmorph.datasets.readers import open_dataset
from lungmorph.errors import InputError
from replicas.empire10 import SHAPES, SPACINGS, mask_values, scan_values, write_empire10
from replicas.metaimage import write_mhd


def test_pairs_with_their_masks(tmp_path):
    write_empire10(tmp_path, (1, 2, 10))
    dataset = open_dataset(tmp_path)
    assert (dataset.kind, dataset.problems) == ("empire10", ())
    assert [case.id for case in dataset.cases] == ["01", "02", "10"]
    case = dataset.cases[1]
    assert (case.fixed, case.moving, case.patient) == ("Fixed", "Moving", "02")
    assert case.problems == case.landmark_sets == ()
    for name in ("Fixed", "Moving"):
        scan = case.scan(name)
        assert scan.grid.shape == SHAPES[name]
        assert scan.grid.spacing == SPACINGS[name]
        assert scan.grid.origin == (0, 0, 0)
        np.testing.assert_array_equal(scan.load().data.numpy(), scan_values(2, name))
        assert scan.load().grid == scan.grid
        np.testing.assert_array_equal(scan.lungs().data.numpy(), mask_values(2, name) > 0)
        assert scan.lungs().grid == scan.grid


def test_both_archives_below_one_folder(tmp_path):
    """Pairs of the first archives unpack below Online/, the others do not."""
    write_empire10(tmp_path / "01to06" / "Online", (1, 2))
    write_empire10(tmp_path / "21to30", (21,))
    dataset = open_dataset(tmp_path)
    assert [case.id for case in dataset.cases] == ["01", "02", "21"]
    write_empire10(tmp_path, (21,))
    (line,) = open_dataset(tmp_path).problems
    assert "21to30/scans: expected every pair once, found pair 21 once more" in line


def test_archives_may_lie_deeper_and_behind_a_link(tmp_path):
    """They are not a folder of pairs then, whose masks would count as scans."""
    write_empire10(tmp_path / "disk" / "data" / "EMPIRE10" / "Online", (1, 2))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "here" / "again").symlink_to(tmp_path / "here", target_is_directory=True)
    dataset = open_dataset(tmp_path / "here")
    assert (dataset.kind, dataset.problems) == ("empire10", ())
    assert [case.id for case in dataset.cases] == ["01", "02"]


LANDMARKS = {
    "Fixed": np.array([[1.4, 2.5, 3.75], [7.0, 6.4, 1.25], [0.0, 0.0, 0.0]]),
    "Moving": np.array([[1.8, 3.1, 3.0], [7.2, 5.4, 4.5], [0.9, 0.0, 0.0]]),
}
BEFORE = [np.sqrt(0.16 + 0.36 + 0.5625), np.sqrt(0.04 + 1.0 + 10.5625), 0.9]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("beside", [True, False])
def test_landmarks_of_ones_own(tmp_path, together, beside):
    write_empire10(tmp_path / "data", (1, 2))
    folder = tmp_path / ("data/landmarks" if beside else "mine")
    folder.mkdir()
    if together:
        rows = np.hstack([LANDMARKS["Fixed"], LANDMARKS["Moving"]])
        header = ",".join(f"{f}_{a}" for f in ("fixed", "moving") for a in "xyz")
        np.savetxt(folder / "02.csv", rows, delimiter=",", header=header, comments="")
    else:
        for name, mm in LANDMARKS.items():
            np.savetxt(folder / f"02_{name}.csv", mm, delimiter=",", header="x,y,z", comments="")
    options = {} if beside else {"landmarks": folder}
    first, second = open_dataset(tmp_path / "data", "empire10", **options).cases
    assert first.landmark_sets == ()
    fixed, moving = second.landmarks("Fixed", "Moving")
    np.testing.assert_allclose(
        np.linalg.norm(fixed.points - moving.points, axis=1), BEFORE, atol=1e-9
    )
    assert second.landmark_sets[0].expert


def damage(root: Path, what: str) -> str:
    scans, masks = root / "scans", root / "lungMasks"
    if what == "raw missing":
        (scans / "01_Moving.raw").unlink()
        return "scans/01_Moving.raw: expected the voxels of 01_Moving.mhd, found nothing there"
    if what == "header missing":
        (scans / "01_Moving.mhd").unlink()
        return "scans/01_Moving.mhd: expected an image file"
    if what == "header damaged":
        text = (scans / "01_Moving.mhd").read_text()
        (scans / "01_Moving.mhd").write_text(text.replace("0.9 0.6 1.5", "0.9 0 1.5"))
        return "scans/01_Moving.mhd: expected a"
    if what == "mask missing":
        (masks / "01_Moving.mhd").unlink()
        return "lungMasks/01_Moving.mhd: expected an image file"
    if what == "mask elsewhere":
        write_mhd(masks / "01_Moving.mhd", mask_values(1, "Moving"), SPACINGS["Moving"], (5, 0, 0))
        return "lungMasks/01_Moving.mhd: expected the geometry of its image"
    (root / "landmarks").mkdir()
    if what == "landmarks outside":
        (root / "landmarks" / "01.csv").write_text(
            "fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\n1,1,1,1,1,1\n2,2,2,90,2,2\n"
        )
        return "landmarks/01.csv: expected points of Moving inside"
    if what == "count":
        (root / "landmarks" / "01_Fixed.csv").write_text("x,y,z\n1,1,1\n2,2,2\n")
        (root / "landmarks" / "01_Moving.csv").write_text("x,y,z\n1,1,1\n")
        return "01_Moving.csv: expected 2 points"
    raise AssertionError(what)


@pytest.mark.parametrize(
    ("what", "complete"),
    [
        ("raw missing", False),
        ("header missing", False),
        ("header damaged", False),
        ("mask missing", True),
        ("mask elsewhere", True),
        ("landmarks outside", True),
        ("count", True),
    ],
)
def test_a_defect_is_one_line_of_its_case(tmp_path, what, complete):
    write_empire10(tmp_path, (1, 2))
    said = damage(tmp_path, what)
    first, second = open_dataset(tmp_path).cases
    (line,) = first.problems
    assert said in line
    assert first.complete == complete
    assert first.landmark_sets == ()
    assert second.problems == ()
    assert second.complete


def test_no_masks_at_all_is_said_once(tmp_path):
    write_empire10(tmp_path, (1, 2))
    for path in (tmp_path / "lungMasks").iterdir():
        path.unlink()
    (tmp_path / "lungMasks").rmdir()
    dataset = open_dataset(tmp_path)
    (line,) = dataset.problems
    assert "lungMasks: expected a folder of lung masks" in line
    assert all(case.scan("Fixed").lungs is None for case in dataset.cases)


def test_what_is_not_empire10(tmp_path):
    assert not recognises(tmp_path)
    write_mhd(tmp_path / "scans" / "patient_Fixed.mhd", scan_values(1, "Fixed"), (1, 1, 1))
    assert not recognises(tmp_path)
    write_empire10(tmp_path, (1,))
    assert recognises(tmp_path)
    with pytest.raises(InputError, match="a folder of landmarks"):
        open_dataset(tmp_path, landmarks=tmp_path / "none")
