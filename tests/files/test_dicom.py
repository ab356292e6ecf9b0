import json
import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataelem import DataElement
from pydicom.uid import BasicTextSRStorage, RLELossless

from lungmorph.errors import InputError
from lungmorph.files import list_series, read_image
from replicas.dicom import new_series, write_series, write_slice

SPACING = (0.7, 0.9, 2.5)
ORIGIN = (-120.5, -90.25, 33.0)


def hu(depth: int = 6) -> np.ndarray:
    return np.random.default_rng(1).integers(-1000, 1200, (depth, 7, 8)).astype(np.int16)


def test_series_in_any_order_on_an_oblique_grid(tmp_path, oblique):
    folder = write_series(tmp_path, hu(), spacing=SPACING, origin=ORIGIN, direction=oblique)
    read = read_image(folder)
    np.testing.assert_array_equal(read.data.numpy(), hu())
    np.testing.assert_allclose(read.grid.spacing, SPACING, atol=1e-6)
    expected = np.asarray(ORIGIN) + oblique @ (np.asarray(SPACING) * (7, 6, 5))
    np.testing.assert_allclose(read.grid.to_world((7, 6, 5)), expected, atol=1e-6)


def test_agrees_with_the_series_reader_of_simpleitk(tmp_path):
    folder = write_series(tmp_path, hu(), spacing=SPACING, origin=ORIGIN)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    read = read_image(folder)
    np.testing.assert_array_equal(read.data.numpy(), sitk.GetArrayFromImage(image))
    for index in [(0, 0, 0), (7, 6, 5)]:
        np.testing.assert_allclose(
            read.grid.to_world(index), image.TransformIndexToPhysicalPoint(index), atol=1e-6
        )


def test_subfolders_and_other_files_are_no_trouble(tmp_path):
    series = new_series()
    write_series(tmp_path / "a" / "b", hu(), series=series)
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty").write_bytes(b"")
    report = write_slice(
        tmp_path / "report", hu()[0], series=new_series(Modality="SR"), position=(0, 0, 0)
    )
    data = pydicom.dcmread(report)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    del data.Rows, data.Columns, data.PixelData
    data.save_as(report)
    np.testing.assert_array_equal(read_image(tmp_path).data.numpy(), hu())


def test_rescaled_slice_by_slice(tmp_path):
    series = new_series()
    stored = np.random.default_rng(2).integers(0, 3000, (4, 5, 6)).astype(np.int16)
    slopes, intercepts = (1.0, 0.5, 2.0, 1.25), (-1024.0, -1000.0, -500.5, 0.0)
    for k in range(4):
        write_slice(
            tmp_path / f"{k}.dcm",
            stored[k],
            series=series,
            position=(0, 0, 3.0 * k),
            slope=slopes[k],
            intercept=intercepts[k],
        )
    expected = stored * np.reshape(slopes, (4, 1, 1)) + np.reshape(intercepts, (4, 1, 1))
    np.testing.assert_allclose(read_image(tmp_path).data.numpy(), expected, rtol=1e-6)


def test_compressed_slices(tmp_path):
    large = np.random.default_rng(4).integers(-1000, 1200, (3, 64, 48)).astype(np.int16)
    write_series(tmp_path, large, spacing=SPACING)
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        data.compress(RLELossless)
        data.save_as(path)
    np.testing.assert_array_equal(read_image(tmp_path).data.numpy(), large)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_slice_that_is_shown_inverted_has_the_same_hu(tmp_path, compressed):
    values = np.random.default_rng(4).integers(-1000, 1200, (3, 64, 48)).astype(np.int16)
    write_series(tmp_path, values, spacing=SPACING)
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        data.PhotometricInterpretation = "MONOCHROME1"
        if compressed:
            data.compress(RLELossless)
        data.save_as(path)
    np.testing.assert_array_equal(read_image(tmp_path).data.numpy(), values)


@pytest.mark.parametrize("change", ["fewer voxels", "more rows"])
def test_fewer_voxels_than_the_header_says(tmp_path, change):
    write_series(tmp_path, hu(), spacing=SPACING)
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        if change == "fewer voxels":
            data.PixelData = data.PixelData[:-20]
        else:
            data.Rows += 2
        data.save_as(path)
    with pytest.raises(InputError, match=r"expected \d+ bytes of voxels \(\d rows of 8\), found"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("dtype", "stored_padding", "tag"),
    [(np.int16, -2000, -2000), (np.uint16, 63536, 63536), (np.int16, -2000, 63536)],
)
def test_padding_becomes_air(tmp_path, dtype, stored_padding, tag):

    series = new_series()
    stored = np.full((3, 4, 5), 1100, dtype)
    stored[:, 0, :2] = stored_padding
    for k in range(3):
        path = write_slice(
            tmp_path / f"{k}.dcm", stored[k], series=series, position=(0, 0, 2.0 * k)
        )
        data = pydicom.dcmread(path)
        # 63536 in a signed image is what some scanners write
        data.add(DataElement("PixelPaddingValue", "SS" if tag < 0 else "US", tag))
        data.save_as(path)
    values = read_image(tmp_path).data.numpy()
    assert (values[:, 0, :2] == -1024).all()
    assert (values[:, 1:] == 76).all()


def test_several_series_are_listed_and_chosen(tmp_path):
    inhale = new_series(SeriesNumber=3, SeriesDescription="inhale B50")
    exhale = new_series(SeriesNumber=4, SeriesDescription="exhale B50")
    write_series(tmp_path / "x", hu(), series=inhale)
    write_series(tmp_path / "x", hu() + 1, series=exhale)
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "x")
    line = str(caught.value)
    for word in ("inhale B50", "exhale B50", "6 slices of 8x7", "--series", "number 3"):
        assert word in line
    assert inhale["SeriesInstanceUID"][-12:] in line
    for wanted in (
        exhale["SeriesInstanceUID"],
        exhale["SeriesInstanceUID"][-12:],
        "4",
        "exhale b50",
        "exhale",
    ):
        np.testing.assert_array_equal(read_image(tmp_path / "x", wanted).data.numpy(), hu() + 1)
    with pytest.raises(InputError, match="2: "):
        read_image(tmp_path / "x", "B50")
    for none in ("nothing like it", ""):
        with pytest.raises(InputError, match="only"):
            read_image(tmp_path / "x", none)
    # one file says which series is meant
    np.testing.assert_array_equal(read_image(tmp_path / "x" / "4_0002.dcm").data.numpy(), hu() + 1)
    listed = list_series(tmp_path / "x")
    assert [(s.number, s.description, len(s.files), s.size) for s in listed] == [
        (3, "inhale B50", 6, (8, 7)),
        (4, "exhale B50", 6, (8, 7)),
    ]
    assert list_series(tmp_path / "x" / "..")[0].modality == "CT"


def test_slices_without_whole_numbers_say_so(tmp_path):
    write_series(tmp_path, hu(), spacing=SPACING)
    path = next(tmp_path.glob("*.dcm"))
    change(path, PixelData=None)
    with pytest.raises(InputError, match="expected a slice with PixelData, found none"):
        read_image(tmp_path)
    change(path, FloatPixelData=hu()[0].astype("<f4").tobytes())
    with pytest.raises(InputError, match="found FloatPixelData; export"):
        read_image(tmp_path)


def test_what_is_no_ct_volume_is_left_aside_with_a_warning(tmp_path, caplog):
    """A folder as planning systems export it: scout, dose report and RT dose beside the scan."""
    study = {"spacing": SPACING, "origin": ORIGIN}
    folder = write_series(tmp_path, hu(), **study, series=new_series(SeriesNumber=2))
    scout = {
        "position": (0, 0, 400),
        "orientation": (1, 0, 0, 0, 0, -1),
        "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
    }
    beside = {
        "scout": scout,
        "dose report": {"position": (0, 0, 0), "ImagePositionPatient": None},
        "rt dose": {"position": (0, 0, 0), "Modality": "RTDOSE"},
        "bolus": {"position": (0, 0, 120)},
    }
    for words, tags in beside.items():
        own = new_series(SeriesDescription=words)
        write_slice(folder / f"{words}.dcm", hu()[0], series=own, **tags)
    np.testing.assert_array_equal(read_image(folder).data.numpy(), hu())
    (line,) = caplog.messages
    assert line.startswith(f"{folder}: read number 2 'chest'")
    assert all(words in line for words in beside)
    # a scout in the series of the scan
    series = new_series(SeriesNumber=7)
    write_series(tmp_path / "one", hu(), **study, series=series)
    write_slice(tmp_path / "one" / "scout.dcm", hu()[0], series=series, **scout)
    np.testing.assert_array_equal(read_image(tmp_path / "one").data.numpy(), hu())
    assert "left aside: localizers among its slices, 1" in caplog.messages[-1]
    # a second scan, even one with a broken slice, is still asked about
    write_series(tmp_path, hu(), **study, series=new_series(SeriesNumber=5))
    change(next(tmp_path.glob("5_*.dcm")), ImagePositionPatient=None)
    with pytest.raises(InputError, match="expected one series, found 7"):
        read_image(folder)


def change(path, **tags):

    data = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(path)


BAD = {
    "missing slices": "2 missing, between 38.00 and 45.50 mm",
    "doubled": "2 at 38.00 mm",
    "4d in one series": "3 at 33.00 mm",
    "uneven": "steps of 2.2 to 2.8 mm",
    "tilt": "gantry tilt",
    "orientation": "one orientation",
    "matrix": "matrix size",
    "pixel spacing": "one pixel spacing",
    "modality": "modality MR",
    "no position": "ImagePositionPatient",
    "colour": "3 (colour)",
    "multi-frame": "multi-frame",
    "one slice": "one slice",
    "truncated": "truncated",
    "broken header": "truncated",
    "header cut short": "truncated",
    "no series": "none in it",
    "sheared axes": "orthonormal",
    "absurd spacing": "between 0.05 and 50 mm",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_series_is_one_line(tmp_path, capfd, name):
    folder = tmp_path / "scan"
    series = new_series()
    how = {"spacing": SPACING, "origin": ORIGIN, "series": series, "shuffle": None}
    write_series(folder, hu(), **how)
    files = sorted(folder.iterdir())
    third = files[2]
    if name == "missing slices":
        files[3].unlink()
        files[4].unlink()
    elif name == "doubled":
        shutil.copy(third, folder / "again.dcm")
    elif name == "4d in one series":
        for phase in "ab":
            for file in files:
                shutil.copy(file, folder / f"{phase}{file.name}")
    elif name == "uneven":
        change(third, ImagePositionPatient=[ORIGIN[0], ORIGIN[1], ORIGIN[2] + 5.3])
    elif name == "tilt":
        for k, file in enumerate(files):
            change(file, ImagePositionPatient=[ORIGIN[0], ORIGIN[1] + 0.4 * k, ORIGIN[2] + 2.5 * k])
    elif name == "orientation":
        change(third, ImageOrientationPatient=[0.999391, 0.0349, 0, -0.0349, 0.999391, 0])
    elif name == "matrix":
        where = (ORIGIN[0], ORIGIN[1], ORIGIN[2] + 5)
        write_slice(third, hu()[0, :5], series=series, position=where, pixel_spacing=(0.9, 0.7))
    elif name == "pixel spacing":
        change(third, PixelSpacing=[0.9, 0.75])
    elif name == "modality":
        for file in files:
            change(file, Modality="MR")
    elif name == "no position":
        change(third, ImagePositionPatient=None)
    elif name == "colour":
        change(third, SamplesPerPixel=3)
    elif name == "multi-frame":
        change(third, NumberOfFrames=2)
    elif name == "one slice":
        for file in files[1:]:
            file.unlink()
    elif name == "truncated":
        third.write_bytes(third.read_bytes()[:-40])
    elif name == "broken header":
        raw = third.read_bytes()
        third.write_bytes(raw[:150])
    elif name == "header cut short":  # the last slice: no gap would give it away
        raw = files[-1].read_bytes()
        files[-1].write_bytes(raw[: raw.index(b"\x28\x00\x10\x00US")])
    elif name == "no series":
        for file in files:
            file.unlink()
        (folder / "info.json").write_text(json.dumps({}))
    elif name == "sheared axes":
        for file in files:
            change(file, ImageOrientationPatient=[1, 0, 0, 0.5, 0.8660254, 0])
    elif name == "absurd spacing":
        for file in files:
            change(file, PixelSpacing=[0, 0.7])
    capfd.readouterr()
    with pytest.raises(InputError) as caught:
        read_image(folder)
    assert BAD[name] in str(caught.value)
    assert "scan" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_positions_rounded_by_the_scanner_are_even(tmp_path):
    series = new_series()
    for k in range(9):
        write_slice(tmp_path / f"{k}", hu()[0], series=series, position=(0, 0, round(0.625 * k, 1)))
    assert read_image(tmp_path).grid.spacing[2] == pytest.approx(0.625)


def test_a_header_that_is_damaged_in_its_first_bytes_is_one_line(tmp_path):
    write_series(tmp_path, hu(), spacing=SPACING)
    path = sorted(tmp_path.iterdir())[2]
    raw = path.read_bytes()
    path.write_bytes(
        raw[:138] + b"\x05" + raw[139:]
    )  # the group length: five bytes of a number of four
    with pytest.raises(InputError, match=rf"{path.name}: expected a readable DICOM file"):
        read_image(tmp_path)
