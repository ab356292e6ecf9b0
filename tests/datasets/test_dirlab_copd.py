import struct

import numpy as np
import pytest

from lungmorph.datasets import open_dataset
from lungmorph.datasets.dirlab_copd import recognises
from lungmorph.errors import InputError
from lungmorph.space import Grid
from replicas.dirlab import ARCHIVE_1, SIZE, SPACING, write_4dct, write_copd


def opened(root):
    return open_dataset(root, size=SIZE, spacing=SPACING)


@pytest.mark.parametrize("folder", ["copd{n}", "copd{n}/copd{n}", "", "COPD/training/copd0{n}"])
def test_reads_back_the_truth(tmp_path, folder):
    made = write_copd(tmp_path, 4, folder)
    dataset = opened(tmp_path)
    assert dataset.kind == "dirlab-copd"
    (case,) = dataset.cases
    assert (case.id, case.fixed, case.moving, case.problems) == ("copd4", "inhale", "exhale", ())
    assert [(scan.name, scan.percent) for scan in case.scans] == [
        ("inhale", None),
        ("exhale", None),
    ]
    for scan in case.scans:
        volume = scan.load()
        assert volume.grid == scan.grid == Grid(SIZE, SPACING)
        np.testing.assert_array_equal(volume.data.numpy(), made.hu[scan.name])
    (marked,) = case.landmark_sets
    for scan, ijk in made.extremes.items():
        assert marked.points[scan].frame == scan
        np.testing.assert_allclose(marked.points[scan].points, ijk * np.array(SPACING), atol=1e-9)


def test_by_hand(tmp_path):
    made = write_copd(tmp_path, 1, "copd{n}")
    image = made.files["image", "exhale"]
    data = bytearray(image.read_bytes())
    at = 2 * ((16 - 1) * 20 * 24 + (20 - 1) * 24 + (24 - 1))  # the last voxel: left, back, down
    data[at : at + 2] = struct.pack("<h", -2000)
    image.write_bytes(data)
    made.files["extremes", "inhale"].write_text("24\t20\t16\n1\t1\t1\n")
    made.files["extremes", "exhale"].write_text("22\t16\t16\n1\t1\t4\n")
    (case,) = opened(tmp_path).cases
    fixed, moving = case.landmarks("inhale", "exhale")
    np.testing.assert_allclose(fixed.points, [[34.5, 23.75, 0.0], [0.0, 0.0, 37.5]])
    distances = np.linalg.norm(fixed.points - moving.points, axis=1)
    np.testing.assert_allclose(distances, [np.hypot(3.0, 5.0), 7.5])
    assert case.scan("exhale").load().data[0, 19, 23] == -1024.0


def test_published_cases(tmp_path):
    slices = (121, 102, 126, 126, 131, 119, 112, 115, 116, 135)
    pixels = (0.625, 0.645, 0.652, 0.590, 0.647, 0.633, 0.625, 0.586, 0.664, 0.742)
    for number, depth in enumerate(slices, 1):
        for letter in "ie":
            with (tmp_path / f"copd{number}_{letter}BHCT.img").open("wb") as file:
                file.truncate(2 * 512 * 512 * depth)
    cases = open_dataset(tmp_path).cases
    assert [case.id for case in cases] == [f"copd{n}" for n in range(1, 11)]
    for case, depth, pixel in zip(cases, slices, pixels, strict=True):
        assert case.scans[0].grid == Grid((512, 512, depth), (pixel, pixel, 2.5))
        assert case.scans[1].grid == case.scans[0].grid
        (line,) = case.problems
        assert line.endswith("expected landmarks 300 of inhale, exhale, found none")
    # the mean that the literature begins with
    assert np.mean([case.published_before_mm for case in cases]) == pytest.approx(23.36, abs=0.005)


def test_problems_do_not_stop_the_others(tmp_path):
    broken = write_copd(tmp_path, 1, "copd{n}")
    write_copd(tmp_path, 2, "copd{n}")
    broken.files["image", "exhale"].unlink()
    broken.files["extremes", "exhale"].write_text("1 1 1\n")
    first, second = opened(tmp_path).cases
    assert first.problems[0].endswith("expected images of exhale, found none")
    assert first.problems[1].endswith("expected 1 landmarks, as in exhale, found 30")
    assert not first.complete
    assert second.problems == ()


def test_the_two_collections_are_told_apart(tmp_path):
    write_4dct(tmp_path / "a", 1, ARCHIVE_1)
    write_copd(tmp_path / "b", 1, "copd{n}")
    assert not recognises(tmp_path / "a")
    assert recognises(tmp_path / "b")
    assert opened(tmp_path / "a").kind == "dirlab-4dct"
    assert opened(tmp_path / "b").kind == "dirlab-copd"
    with pytest.raises(InputError, match=r"copd1_iBHCT\.img, found none"):
        open_dataset(tmp_path / "a", kind="dirlab-copd")
