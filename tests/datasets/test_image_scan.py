"""Scans of one's own in DICOM: what lies beside them is noted, and structure sets are masks of their slices."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from lungmorph.datasets import open_dataset
from lungmorph.datasets.check import check
from lungmorph.errors import InputError
from lungmorph.files import read_mask
from lungmorph.space import Grid
from replicas.dicom_4d import ORIGIN, SIZE, SPACING, phase_hu, series, study, write_scan
from replicas.own import write
from replicas.rtstruct import write_structures

BOX = {(i, j) for i in (1, 2, 3) for j in (1, 2)}


def scan(folder: Path, number: int, shared: dict[str, Any]) -> list[str]:
    """A series; the UIDs of its slices, from the feet up."""
    write_scan(folder, phase_hu(number), series(shared, SeriesNumber=number))
    read = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
    return [str(d.SOPInstanceUID) for d in sorted(read, key=lambda d: int(d.InstanceNumber))]


def box(k: int, uid: str | None = None) -> tuple[np.ndarray, str | None]:
    """A rectangle round the voxels BOX of slice k."""
    corners = np.array([(0.5, 0.5, k), (3.5, 0.5, k), (3.5, 2.5, k), (0.5, 2.5, k)])
    return np.asarray(ORIGIN) + corners * SPACING, uid


def table(root: Path, **cells: str) -> Path:
    cells = {"id": "p", "fixed": "a", "moving": "b", **cells}
    path = root / "cases.csv"
    path.write_text(",".join(cells) + "\n" + ",".join(cells.values()) + "\n")
    return path


def voxels(mask: Any) -> set[tuple[int, ...]]:
    return {tuple(int(v) for v in index[::-1]) for index in np.argwhere(mask.data.numpy())}


def test_a_structure_set_is_the_mask_of_the_scan_it_was_drawn_on(tmp_path: Path) -> None:
    shared = study()
    own, other = scan(tmp_path / "a", 1, shared), scan(tmp_path / "b", 2, shared)
    lungs = [box(1, own[1]), box(2, own[2]), box(3, other[3])]  # the last is of the other scan
    write_structures(tmp_path / "RS.dcm", {"Lungs": lungs, "GTV": [box(1, own[1])]}, shared)
    write_structures(tmp_path / "RS2.dcm", {"Lung_L": [box(2)]}, shared)
    (case,) = open_dataset(table(tmp_path, fixed_mask="RS.dcm", moving_mask="RS2.dcm")).cases
    fixed, moving = case.scans
    assert fixed.lungs is not None
    assert moving.lungs is None
    assert voxels(fixed.lungs()) == {(*ij, k) for ij in BOX for k in (1, 2)}
    assert any("lungs of phase fixed: Lungs of" in note for note in fixed.notes)
    (line,) = case.problems
    assert "RS2.dcm: expected contours of both lungs, found Lung_L" in line
    path = tmp_path / "scans.csv"
    path.write_text("id,scan,role,image,structure:GTV\np,x,fixed,a,RS.dcm\np,y,moving,b,\n")
    (case,) = open_dataset(path).cases
    assert case.problems == ()
    assert voxels(case.scan("x").structures["GTV"]()) == {(*ij, 1) for ij in BOX}


def test_a_structure_set_of_other_slices_is_refused(tmp_path: Path) -> None:
    shared = study()
    own = scan(tmp_path / "a", 1, shared)
    scan(tmp_path / "b", 2, shared)
    write_structures(tmp_path / "RS.dcm", {"Lungs": [box(1, own[1])]}, shared)
    grid = Grid(SIZE[::-1], SPACING, ORIGIN)
    write(tmp_path / "c.nii.gz", phase_hu(3), grid)
    for moving, said in (
        ("b", "found one that was drawn on other slices"),
        ("c.nii.gz", "beside a scan that is not in DICOM; give the DICOM slices"),
    ):
        (case,) = open_dataset(table(tmp_path, moving=moving, moving_mask="RS.dcm")).cases
        (line,) = case.problems
        assert "RS.dcm" in line
        assert said in line
    with pytest.raises(InputError, match=r"RS.dcm: .*found a structure set.*; name it as a mask"):
        read_mask(tmp_path / "RS.dcm", grid)


def test_what_lies_beside_a_scan_is_noted_and_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = study()
    scan(tmp_path / "a", 1, shared)
    scan(tmp_path / "b", 2, shared)
    tags = series(shared, SeriesNumber=9, SeriesDescription="dose", Modality="RTDOSE")
    write_scan(tmp_path / "a" / "dose", phase_hu(9), tags)
    write_structures(tmp_path / "b" / "RS.dcm", {"Lungs": [box(1)]}, shared)
    with caplog.at_level(logging.WARNING):
        (case,) = open_dataset(table(tmp_path)).cases
        np.testing.assert_array_equal(case.scan("fixed").load().data.numpy(), phase_hu(1))
        (report,) = check(open_dataset(tmp_path / "cases.csv"), quick=True)
    dose, drawn = report.as_dict()["notes"]
    assert "left aside: number 9 'dose'" in dose
    assert (
        drawn
        == f"{tmp_path / 'b' / 'RS.dcm'}: a structure set, used only where a table names it as a mask"
    )
    assert caplog.messages == []


def test_a_phase_of_a_4d_ct_says_by_what_it_is_known(tmp_path: Path) -> None:
    shared = study()
    for percent in (0, 50):
        own = series(shared, SeriesNumber=percent + 1, SeriesDescription=f"4D {percent}%")
        write_scan(tmp_path / "4d" / str(percent), phase_hu(percent), own)
    cells = {"fixed": "4d", "moving": "4d", "fixed_phase": "0", "moving_phase": "50"}
    dataset = open_dataset(table(tmp_path, **cells))
    (report,) = check(dataset, quick=True)
    assert report.problems == ()
    assert "phases from SeriesDescription" in report.notes
