import gzip
import os
import shutil
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from lungmorph.datasets import open_dataset
from lungmorph.datasets.dirlab_4dct import recognises
from lungmorph.datasets.dirlab_hu import stored_offset
from lungmorph.datasets.dirlab_write import write_case
from lungmorph.errors import InputError
from lungmorph.measures import landmark_error
from lungmorph.space import Grid, Landmarks, Volume
from replicas.dirlab import (
    ARCHIVE_1,
    ARCHIVE_6_TO_10,
    PHASES,
    SIZE,
    SPACING,
    VARIANTS,
    chest,
    write_4dct,
    write_image,
    write_points,
)

DATA = Path(os.environ.get("LUNGMORPH_DATA", Path(__file__).parents[3] / "shared" / "data"))
CHESTS = DATA / "chest_ct"

#: Size of a phase image in bytes, cases 1 to 10, from the directories of the ten archives.
ARCHIVE_BYTES = (
    12_320_768, 14_680_064, 13_631_488, 12_976_128, 13_893_632,
    67_108_864, 71_303_168, 67_108_864, 67_108_864, 62_914_560,
)  # fmt: skip


def opened(root, **options):
    return open_dataset(root, size=SIZE, spacing=SPACING, **options)


def world(ijk):
    return np.asarray(ijk) * np.asarray(SPACING)


# ------------------------------------------------------------------ truth


@pytest.mark.parametrize("variant", VARIANTS)
def test_reads_back_the_truth(tmp_path, variant):
    made = write_4dct(tmp_path, 8, VARIANTS[variant])
    dataset = opened(tmp_path)
    assert dataset.kind == "dirlab-4dct"
    assert dataset.problems == ()
    (case,) = dataset.cases
    assert (case.id, case.fixed, case.moving, case.problems) == ("case8", "T00", "T50", ())
    assert [(scan.name, scan.percent) for scan in case.scans] == [
        (phase, 10.0 * n) for n, phase in enumerate(PHASES)
    ]
    for scan in case.scans:
        volume = scan.load()
        assert volume.grid == scan.grid == Grid(SIZE, SPACING)
        np.testing.assert_array_equal(volume.data.numpy(), made.hu[scan.name])
    extremes, sampled = case.landmark_sets
    assert (extremes.name, sampled.name) == ("ExtremePhases", "Sampled4D")
    assert set(extremes.points) == {"T00", "T50"}
    assert set(sampled.points) == set(PHASES[:6])
    for found, truth in ((extremes, made.extremes), (sampled, made.sampled)):
        for phase, points in found.points.items():
            assert points.frame == phase
            np.testing.assert_allclose(points.points, world(truth[phase]), atol=1e-9)


def test_by_hand(tmp_path):
    """Bytes and lines put down by hand: voxel (3, 5, 2) of the file is 14 slices above the lowest."""
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    image = made.files["image", "T00"]
    at = 2 * ((2 - 1) * 20 * 24 + (5 - 1) * 24 + (3 - 1))
    data = bytearray(image.read_bytes())
    data[at : at + 2] = struct.pack("<h", 1024 + 321)
    image.write_bytes(data)
    made.files["extremes", "T00"].write_text("3 5 2\n10 5 2\n")
    made.files["extremes", "T50"].write_text("3 5 4\n12 5 2\n")
    (case,) = opened(tmp_path).cases
    fixed, moving = case.landmarks("T00", "T50")
    np.testing.assert_allclose(fixed.points, [[3.0, 5.0, 35.0], [13.5, 5.0, 35.0]])
    np.testing.assert_allclose(moving.points, [[3.0, 5.0, 30.0], [16.5, 5.0, 35.0]])
    # 2 slices of 2.5 mm and 2 columns of 1.5 mm
    error = landmark_error(Landmarks(fixed.points, "moving"), moving)
    assert error.continuous.mean == pytest.approx(4.0)
    volume = case.scan("T00").load()
    assert volume.data[14, 4, 2] == 321.0
    np.testing.assert_allclose(volume.grid.to_world((2, 4, 14)), fixed.points[0])


def test_head_is_up_and_the_spine_behind(tmp_path):
    write_4dct(tmp_path, 1, ARCHIVE_1)
    (case,) = opened(tmp_path).cases
    volume = case.scan("T00").load()
    assert volume.grid.direction == ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    def middle_of(mask):
        return volume.grid.to_world(mask.nonzero().double().mean(dim=0).flip(0))

    lungs = middle_of((volume.data < -700) & (volume.data > -900))
    spine = middle_of(volume.data > 400)
    center = volume.grid.center
    assert lungs[2] > center[2] + 2  # z grows to the head
    assert spine[1] > center[1] + 5  # y grows to the back


def test_the_ten_published_cases_open_at_once(tmp_path):
    rng = np.random.default_rng(0)
    for number, count in enumerate(ARCHIVE_BYTES, 1):
        names = ARCHIVE_1 if number < 6 else ARCHIVE_6_TO_10
        for phase in PHASES:
            path = tmp_path / names.image.format(n=number, t=phase)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(count)  # no bytes on the disk
        for phase in ("T00", "T50"):
            points = rng.integers(0, 90, (300, 3))
            write_points(tmp_path / names.extremes.format(n=number, t=phase), points, 90)
    started = time.perf_counter()
    dataset = open_dataset(tmp_path)
    assert time.perf_counter() - started < 2.0
    assert [case.id for case in dataset.cases] == [f"case{n}" for n in range(1, 11)]
    assert all(case.problems == () and len(case.scans) == 10 for case in dataset.cases)
    grids = [case.scans[0].grid for case in dataset.cases]
    assert [grid.spacing[0] for grid in grids] == [0.97, 1.16, 1.15, 1.13, 1.10] + [0.97] * 5
    assert [case.published_before_mm for case in dataset.cases] == [
        3.89, 4.34, 6.94, 9.83, 7.48, 10.89, 11.03, 14.99, 7.92, 7.30,
    ]  # fmt: skip
    assert any("4.01 +- 2.91 mm" in note for note in dataset.cases[0].notes)


# ------------------------------------------------------------------ where things may lie


def test_root_may_be_one_package(tmp_path):
    write_4dct(tmp_path, 1, ARCHIVE_1)
    write_4dct(tmp_path, 10, ARCHIVE_6_TO_10)
    write_4dct(tmp_path, 2, VARIANTS["cases 2 to 5"])
    assert [case.id for case in opened(tmp_path).cases] == ["case1", "case2", "case10"]
    (case,) = opened(tmp_path / "Case10Pack").cases
    assert (case.id, case.problems) == ("case10", ())


def test_strange_files_beside_do_no_harm(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    images = made.files["image", "T00"].parent
    for name in ("case1_T00_s.mhd", "case1_T00_s.hdr", "._case1_T00_s.img", "case1_T00_mask.img"):
        (images / name).write_bytes(b"?")
    for hidden in ("__MACOSX", ".Trash-1000"):
        shadow = tmp_path / hidden / "Case1Pack" / "Images"
        shadow.mkdir(parents=True)
        (shadow / "case1_T00_s.img").write_bytes(b"?")
    (tmp_path / "Case1Pack" / "ExtremePhases" / "Case1_300_T00_world_elx.txt").write_text("point\n")
    (case,) = opened(tmp_path).cases
    assert case.problems == ()
    assert len(case.scans) == 10


def test_recognised_by_names(tmp_path):
    assert not recognises(tmp_path)
    (tmp_path / "copd1_iBHCT.img").write_bytes(b"")
    (tmp_path / "scan_T00.img").write_bytes(b"")
    (tmp_path / "Case1_300_T00_xyz.txt").write_text("1 1 1\n")
    assert not recognises(tmp_path)
    write_4dct(tmp_path / "deep" / "er", 1, ARCHIVE_1)
    assert recognises(tmp_path)
    assert recognises(tmp_path / "deep" / "er" / "Case1Pack")
    assert not recognises(tmp_path / "scan_T00.img")


def test_archives_are_to_be_unpacked(tmp_path):
    (tmp_path / "Case3Pack.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(
        InputError, match=r"Case3Pack\.zip: expected .* found an archive; unpack it"
    ):
        open_dataset(tmp_path)
    write_4dct(tmp_path, 1, ARCHIVE_1)
    (line,) = opened(tmp_path).problems
    assert "Case3Pack.zip" in line


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match=r"case1_T00_s\.img, found none"):
        open_dataset(tmp_path, kind="dirlab-4dct")


# ------------------------------------------------------------------ what the values mean


@pytest.mark.parametrize("offset", [1024, 0])
def test_both_scales_and_padding(tmp_path, offset):
    made = write_4dct(tmp_path, 1, ARCHIVE_1, offset=offset)
    hu = made.hu["T00"].copy()
    truth = hu.copy()
    hu[:, :4] = -2000 - offset
    truth[:, :4] = -1024
    write_image(made.files["image", "T00"], hu, offset)
    (case,) = opened(tmp_path).cases
    np.testing.assert_array_equal(case.scan("T00").load().data.numpy(), truth)
    assert any("HU + 1024" in note for note in case.notes)


def test_swapped_bytes_are_named(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    write_image(made.files["image", "T50"], made.hu["T50"], dtype=">i2")
    (case,) = opened(tmp_path).cases
    with pytest.raises(InputError, match=r"case1_T50_s\.img: expected .*big endian"):
        case.scan("T50").load()
    assert case.scan("T00").load().data.shape == (16, 20, 24)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((16, 20, 24)),
        np.full((16, 20, 24), -2000),
        np.random.default_rng(0).integers(-32768, 32767, (16, 20, 24)),
        chest() + 5000,
        # HU + 1024 with padding that would pass for the air of HU
        np.where(chest() < -950, -1024, chest() + 1024),
    ],
    ids=["zeros", "padding", "noise", "other offset", "two scales"],
)
def test_neither_scale_is_refused(tmp_path, wrong):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    write_image(made.files["image", "T00"], wrong, offset=0)
    (case,) = opened(tmp_path).cases
    with pytest.raises(InputError, match=r"case1_T00_s\.img: expected CT as HU"):
        case.scan("T00").load()


def test_the_scale_is_told_from_little_lung(tmp_path):
    """A field of view close around the body: hardly any air outside, a tenth of lung."""
    hu = np.random.default_rng(0).normal(40, 40, (30, 30, 30))
    hu[:, :10, :9] = -870
    stored = np.rint(hu).astype(np.int16)
    assert stored_offset(stored, tmp_path) == 0
    assert stored_offset((stored + 1024).astype(np.int16), tmp_path) == 1024


@pytest.mark.skipif(not CHESTS.is_dir(), reason=f"no CTs at {CHESTS}; set LUNGMORPH_DATA")
def test_the_scale_of_real_scans(tmp_path):
    for path in sorted(CHESTS.glob("**/*.nii.gz")):
        hu = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(np.int16)
        padded = hu.copy()
        padded[:, : hu.shape[1] // 4] = -3024
        for offset in (0, 1024):
            assert stored_offset(hu + np.int16(offset), path) == offset
            assert stored_offset(padded + np.int16(offset), path) == offset
            with pytest.raises(InputError, match="big endian"):
                stored_offset((hu + np.int16(offset)).byteswap(), path)


# ------------------------------------------------------------------ what may be wrong


def test_missing_phases(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    other = write_4dct(tmp_path, 2, VARIANTS["cases 2 to 5"])
    made.files["image", "T30"].unlink()
    made.files["image", "T80"].unlink()
    other.files["image", "T50"].unlink()
    first, second = opened(tmp_path).cases
    assert first.complete
    (line,) = first.problems
    assert line.startswith(str(tmp_path / "Case1Pack"))
    assert line.endswith(": expected images of T30, T80, found none")
    assert len(first.scans) == 8
    assert not second.complete
    with pytest.raises(InputError, match="images of T50, found none"):
        second.scan("T50")


def test_missing_landmarks(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    made.files["extremes", "T50"].unlink()
    made.files["sampled", "T20"].unlink()
    made.files["sampled", "T50"].unlink()
    (case,) = opened(tmp_path).cases
    place = "found none; copy the file to its place beside"
    extremes, sampled = (made.files[kind, "T00"] for kind in ("extremes", "sampled"))
    assert [line.split("expected ")[1] for line in case.problems] == [
        f"landmarks ExtremePhases of T50, {place} {extremes}",
        f"landmarks Sampled4D of T20, T50, {place} {sampled}",
    ]
    (sampled,) = case.landmark_sets
    assert set(sampled.points) == {"T00", "T10", "T30", "T40"}
    assert case.landmarks("T00", "T50") is None
    assert len(case.landmarks("T00", "T40")[0]) == 9


def test_the_published_distance_is_that_of_the_extreme_phases_alone(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    (whole,) = open_dataset(tmp_path).cases
    assert whole.published_before_mm == 3.89
    made.files["extremes", "T50"].unlink()
    (case,) = open_dataset(tmp_path).cases
    assert case.landmark_sets[0].name == "Sampled4D"
    assert case.landmarks("T00", "T50") is not None
    assert case.published_before_mm is None
    assert any("those of Sampled4D stand for the pair" in note for note in case.notes)


def test_no_sampled_landmarks_is_no_defect(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    shutil.rmtree(made.files["sampled", "T00"].parent)
    (case,) = opened(tmp_path).cases
    assert case.problems == ()
    assert "no landmarks Sampled4D" in case.notes


def test_count_mismatch(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    for kind, phase in (("extremes", "T50"), ("sampled", "T30")):
        write_points(made.files[kind, phase], np.zeros((7, 3), int), SIZE[2])
    (case,) = opened(tmp_path).cases
    assert [line.split("/")[-1] for line in case.problems] == [
        "Case1_300_T50_xyz.txt: expected 30 landmarks, as in T00, found 7",
        "case1_4D-75_T30.txt: expected 9 landmarks, as in T00, found 7",
    ]
    (sampled,) = case.landmark_sets
    assert set(sampled.points) == set(PHASES[:6]) - {"T30"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2 3\n4 5\n", "line 2: expected three indices i j k, found 2 cells"),
        ("index\n300\n1 2 3\n", "line 1: expected three indices i j k, found 1 cells"),
        ("1 2 3\n4 x 6\n", "line 2: expected a number, found 'x'"),
        ("1 2 3\n4 nan 6\n", "line 2: expected a number, found 'nan'"),
        ("", "expected points, found none"),
        ("1 2 3\n24 20 16\n25 20 16\n", "1 outside, the first of them [25.0, 20.0, 16.0]"),
        ("0 2 3\n", "1 outside, the first of them [0.0, 2.0, 3.0]"),
        ("1 2 17\n", "1 outside, the first of them [1.0, 2.0, 17.0]"),
    ],
)
def test_bad_lines(tmp_path, text, said):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    made.files["extremes", "T50"].write_text(text)
    (case,) = opened(tmp_path).cases
    (line,) = case.problems
    assert "Case1_300_T50_xyz.txt" in line
    assert said in line
    assert "\n" not in line
    assert [marked.name for marked in case.landmark_sets] == ["Sampled4D"]
    assert case.complete


def test_wrong_bytes(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    data = made.files["image", "T10"].read_bytes()
    made.files["image", "T10"].write_bytes(data[:-2])
    made.files["image", "T20"].write_bytes(gzip.compress(data))
    made.files["image", "T30"].write_bytes(data + data)
    made.files["image", "T40"].write_bytes(b"<html>please log in</html>")
    with made.files["image", "T60"].open("wb") as file:
        file.truncate(ARCHIVE_BYTES[2])
    with made.files["image", "T70"].open("wb") as file:
        file.truncate(ARCHIVE_BYTES[5])
    packed = made.files["image", "T90"]
    packed.unlink()
    packed.with_name("case1_T90_s.img.gz").write_bytes(gzip.compress(data))
    (case,) = opened(tmp_path).cases
    assert [scan.name for scan in case.scans] == ["T00", "T50", "T80"]
    said = [line.split("/")[-1] for line in case.problems]
    needed = "expected 15360 bytes (24x20x16 voxels of 16 bits)"
    assert said[0].startswith(f"case1_T10_s.img: {needed}, found 15358; is the file whole?")
    assert said[1].endswith(": a gzip file; unpack it")
    assert "found 30720, twice as many: 32 bits" in said[2]
    assert "a web page" in said[3]
    assert "found 13631488, the size of case3; is it in the right folder?" in said[4]
    assert "the size of case6 or case8 or case9" in said[5]
    assert said[6].startswith("case1_T90_s.img.gz: ")
    assert said[6].endswith("a gzip file; unpack it")


def test_cut_short_after_opening(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    (case,) = opened(tmp_path).cases
    made.files["image", "T00"].write_bytes(b"")
    with pytest.raises(InputError, match="found 0"):
        case.scan("T00").load()
    made.files["image", "T00"].unlink()
    with pytest.raises(InputError, match="No such file"):
        case.scan("T00").load()


def test_doubled_files_are_not_chosen_from(tmp_path):
    made = write_4dct(tmp_path, 1, ARCHIVE_1)
    image = made.files["image", "T00"]
    shutil.copy(image, image.with_name("case1_T00-ssm.img"))
    (case,) = opened(tmp_path).cases
    (line,) = case.problems
    assert "case1_T00-ssm.img: expected one such file, found another in" in line
    assert not case.complete
    shutil.copytree(tmp_path / "Case1Pack", tmp_path / "copy" / "Case1Pack")
    (case,) = opened(tmp_path).cases
    (line,) = case.problems
    assert line.endswith("and 17 more such files; leave one of them")
    assert case.scans == ()


def test_unknown_case_needs_its_size(tmp_path):
    write_4dct(tmp_path, 11, ARCHIVE_6_TO_10)
    (case,) = open_dataset(tmp_path).cases
    (line,) = case.problems
    assert "expected case1 to case10, found case11; give its size and spacing" in line
    (case,) = opened(tmp_path).cases
    assert case.complete
    assert case.problems == ()


def test_given_geometry_is_not_compared_with_the_published(tmp_path):
    write_4dct(tmp_path, 1, ARCHIVE_1)
    (case,) = opened(tmp_path).cases
    assert case.published_before_mm is None
    (published,) = open_dataset(tmp_path).cases
    assert published.published_before_mm == 3.89
    assert len([line for line in published.problems if "256x256x94" in line]) >= 10


@pytest.mark.parametrize(
    "options",
    [
        {"size": SIZE},
        {"spacing": SPACING},
        {"size": (24, 20), "spacing": SPACING},
        {"size": (24.5, 20, 16), "spacing": SPACING},
        {"size": SIZE, "spacing": (1.5, -1, 2.5)},
        {"size": "abc", "spacing": SPACING},
    ],
)
def test_bad_options(tmp_path, options):
    write_4dct(tmp_path, 1, ARCHIVE_1)
    with pytest.raises(InputError, match="options of dirlab-4dct: expected"):
        open_dataset(tmp_path, **options)


# ------------------------------------------------------------------ writing


def ten_phases(grid):
    return [Volume(_tensor(chest(n)), grid) for n in range(10)]


def _tensor(hu):
    off = np.where(np.indices(hu.shape).sum(axis=0) % 2, 0.3, -0.3)
    return torch.from_numpy((hu + off).astype(np.float32))


@pytest.mark.parametrize("number", [1, 3, 8, 12])
def test_write_case(tmp_path, number):
    grid = Grid(SIZE, SPACING, (-40.0, 12.5, -310.0))
    voxels = np.array([[2, 4, 14], [23, 0, 15], [0, 19, 0]])
    # the last two on the very edge of the image, where rounding would leave it
    near = voxels + np.array([[0.3, -0.4, 0.2], [0.5, 0, 0.5], [0, 0.5, -0.5]])
    points = Landmarks(grid.to_world(near))
    sampled = [Landmarks(grid.to_world(voxels[:2] * [1, 1, 0] + [0, 0, n])) for n in range(6)]
    folder = write_case(tmp_path / "made", number, ten_phases(grid), (points, points), sampled)
    assert folder.parent == tmp_path / "made"
    image, text = {
        1: ("Case1Pack/Images/case1_T30_s.img", "ExtremePhases/Case1_300_T50_xyz.txt"),
        3: ("Case3Pack/Images/case3_T30-ssm.img", "ExtremePhases/Case3_300_T50_xyz.txt"),
        8: ("Case8Deploy/Images/case8_T30.img", "extremePhases/case8_dirLab300_T50_xyz.txt"),
        12: ("Case12Pack/Images/case12_T30.img", "extremePhases/case12_dirLab300_T50_xyz.txt"),
    }[number]
    stored = np.frombuffer((tmp_path / "made" / image).read_bytes(), "<i2").reshape(16, 20, 24)
    np.testing.assert_array_equal(stored[::-1], chest(3) + 1024)
    assert (folder / text).read_text() == "3\t5\t2\n24\t1\t1\n1\t20\t16\n"
    name = f"case{number}_4D-75_T50.txt"
    assert (folder / "Sampled4D" / name).read_text() == "3\t5\t11\n24\t1\t11\n"
    assert len(list(folder.rglob("*.img"))) == 10

    (case,) = opened(tmp_path / "made").cases
    assert case.problems == ()
    np.testing.assert_array_equal(case.scan("T90").load().data.numpy(), chest(9))
    read = case.landmark_sets[0].points["T00"].points
    np.testing.assert_allclose(read, grid.to_world(voxels) - grid.origin, atol=1e-9)


def test_write_case_refuses(tmp_path):
    grid = Grid(SIZE, SPACING)
    phases = ten_phases(grid)
    points = Landmarks([[3.0, 5.0, 35.0]])
    two = Landmarks([[3.0, 5.0, 35.0]] * 2)
    with pytest.raises(ValueError, match="10 phases, not 9"):
        write_case(tmp_path, 1, phases[:9], (points, points))
    with pytest.raises(ValueError, match="differ in number"):
        write_case(tmp_path, 1, phases, (points, two))
    other = Volume(phases[0].data, Grid(SIZE, (1.5, 1.25, 3.0)))
    with pytest.raises(ValueError, match="one grid"):
        write_case(tmp_path, 1, [*phases[:9], other], (points, points))
    with pytest.raises(InputError, match=r"Case1_300_T50_xyz\.txt: expected landmarks inside"):
        write_case(tmp_path, 1, phases, (points, Landmarks([[3.0, 5.0, 39.0]])))
    turned = Grid(SIZE, SPACING, direction=((-1, 0, 0), (0, 1, 0), (0, 0, -1)))
    with pytest.raises(InputError, match="axes"):
        write_case(tmp_path, 1, [Volume(p.data, turned) for p in phases], (points, points))
    assert list(tmp_path.iterdir()) == []
    write_case(tmp_path, 1, phases, (points, points))
    with pytest.raises(InputError, match="Case1Pack"):
        write_case(tmp_path, 1, phases, (points, points))
