"""The grid of an image whose voxels nobody reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from geometry import OBLIQUE, sitk_grid
from lungmorph.errors import InputError
from lungmorph.files import read_grid
from lungmorph.space import Grid
from replicas.dicom import write_series


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".mhd", ".nrrd"])
def test_the_grid_of_every_format_is_the_one_that_itk_wrote(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk_grid(OBLIQUE), str(path))
    assert read_grid(path).same_as(OBLIQUE, 1e-3)


def test_a_dicom_folder_gives_its_grid_from_the_positions_of_its_slices(tmp_path: Path) -> None:
    axes = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # sagittal
    hu = np.zeros((4, 5, 6), dtype=np.int16)
    write_series(tmp_path / "s", hu, spacing=(0.8, 0.9, 2.5), origin=(-9, 20, 30), direction=axes)
    expected = Grid((6, 5, 4), (0.8, 0.9, 2.5), (-9, 20, 30), axes)
    assert read_grid(tmp_path / "s").same_as(expected)
    assert read_grid(next((tmp_path / "s").iterdir())).same_as(expected)


def test_a_suffix_that_itk_does_not_know_for_its_capitals_is_said(tmp_path: Path) -> None:
    sitk.WriteImage(sitk_grid(OBLIQUE), str(tmp_path / "scan.mha"))
    path = (tmp_path / "scan.mha").rename(tmp_path / "SCAN.MHA")
    with pytest.raises(InputError, match=r"SCAN.MHA: .*rename it to .mha"):
        read_grid(path)


def test_voxels_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    noise = sitk.GetImageFromArray(
        np.random.default_rng(0).integers(-999, 999, (40, 40, 40)).astype(np.int16)
    )
    sitk.WriteImage(noise, str(path))
    path.write_bytes(path.read_bytes()[:60_000])
    assert read_grid(path).size == (40, 40, 40)


def _meta(path: Path, **change: str) -> Path:
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "DimSize": "3 3 3",
        "ElementSpacing": "1 1 1",
        "ElementType": "MET_SHORT",
        **change,
    }
    lines = [f"{name} = {value}" for name, value in fields.items()]
    path.write_text("\n".join([*lines, "ElementDataFile = scan.raw\n"]))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ElementSpacing": "1 -1 1"}, "positive spacing"),
        ({"ElementSpacing": "1 1 500"}, "between 0.05 and 50 mm"),
        ({"TransformMatrix": "1 0.3 0 0 1 0 0 0 1"}, "orthonormal"),
        ({"TransformMatrix": "-1 0 0 0 1 0 0 0 1"}, "right-handed"),
        ({"DimSize": "3 9 1"}, "at least 2 voxels"),
        ({"ElementNumberOfChannels": "3"}, "one value a voxel"),
        ({"NDims": "-3"}, r"a number of axes \(NDims\), found -3"),
        ({"Offset": "nan 20 30"}, r"3 numbers in mm \(Offset\), found nan 20 30"),
        ({"Offset": "1 2"}, r"3 numbers in mm \(Offset\), found 1 2"),
        ({"Position": "left 0 0"}, r"3 numbers in mm \(Position\), found left 0 0"),
    ],
)
def test_a_bad_header_is_refused(tmp_path: Path, change: dict[str, str], said: str) -> None:
    (tmp_path / "scan.raw").write_bytes(bytes(162))
    with pytest.raises(InputError, match=said):
        read_grid(_meta(tmp_path / "scan.mhd", **change))


def test_a_header_that_begins_with_a_comment_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "scan.raw").write_bytes(bytes(162))
    path = _meta(tmp_path / "scan.mhd", ElementSpacing="1 1 -1")
    path.write_text("Comment = of a phantom\n" + path.read_text())
    with pytest.raises(InputError, match="positive spacing"):
        read_grid(path)


def test_a_header_without_its_data_file_names_that_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scan\.raw: expected the voxels of scan\.mhd"):
        read_grid(_meta(tmp_path / "scan.mhd"))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_data_file_that_is_too_short_is_seen_in_its_size(
    tmp_path: Path, compressed: bool
) -> None:
    image = sitk.Image([9, 8, 7], sitk.sitkInt16)
    sitk.WriteImage(image, str(tmp_path / "scan.mhd"), compressed)
    assert read_grid(tmp_path / "scan.mhd").size == (9, 8, 7)
    if compressed:  # of these the size says nothing
        return
    (tmp_path / "scan.raw").write_bytes(bytes(2 * 9 * 8 * 7 - 1))
    said = (
        r"scan.raw: expected 1008 bytes \(9x8x7 voxels of MET_SHORT\), found 1007; it is truncated"
    )
    with pytest.raises(InputError, match=said):
        read_grid(tmp_path / "scan.mhd")


@pytest.mark.parametrize(
    ("name", "said"), [("none.nii.gz", "nothing there"), ("notes.doc", "the suffix '.doc'")]
)
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "notes.doc").write_text("text")
    with pytest.raises(InputError, match=said):
        read_grid(tmp_path / name)


def test_four_dimensions_are_refused(tmp_path: Path) -> None:
    image = sitk.Image([4, 4, 4], sitk.sitkInt16)
    sitk.WriteImage(sitk.JoinSeries([image, image]), str(tmp_path / "time.nii.gz"))
    with pytest.raises(InputError, match="2 phases or time points"):
        read_grid(tmp_path / "time.nii.gz")
