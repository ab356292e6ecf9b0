import gzip
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lungmorph.errors import InputError
from lungmorph.files import read_image, read_mask, write_image
from lungmorph.files.nifti_forms import apart
from lungmorph.files.nifti_header import read_nifti_header
from lungmorph.space import Grid, Volume

SUFFIXES = [".nii", ".nii.gz", ".mha", ".nrrd"]


def ct(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 400, (5, 6, 7)).astype(np.int16)


def itk(values: np.ndarray, direction: np.ndarray | None = None, **kwargs: object) -> sitk.Image:
    image = sitk.GetImageFromArray(values, **kwargs)
    if image.GetDimension() == 3:
        image.SetSpacing((0.7, 1.1, 2.5))
        image.SetOrigin((-12.5, 30.25, -400.0))
        if direction is not None:
            image.SetDirection(direction.ravel().tolist())
    return image


def saved(path: Path, image: sitk.Image) -> Path:
    sitk.WriteImage(image, str(path))
    return path


def patched(path: Path, source: Path, *changes: tuple[int, str, tuple]) -> Path:
    """A copy of an uncompressed NIfTI with other header fields."""
    raw = bytearray(source.read_bytes())
    for offset, layout, values in changes:
        struct.pack_into(layout, raw, offset, *values)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".mhd", ".nhdr"])
def test_reads_what_simpleitk_wrote(tmp_path, oblique, suffix):
    image = itk(ct(), oblique)
    read = read_image(saved(tmp_path / f"a{suffix}", image))
    assert read.data.dtype == torch.float32
    np.testing.assert_array_equal(read.data.numpy(), ct())
    for index in [(0, 0, 0), (6, 5, 4), (3, 0, 2)]:
        np.testing.assert_allclose(
            read.grid.to_world(index), image.TransformIndexToPhysicalPoint(index), atol=1e-4
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_simpleitk_reads_what_we_wrote(tmp_path, oblique, suffix):
    grid = Grid((7, 6, 5), (0.7, 1.1, 2.5), (-12.5, 30.25, -400), tuple(map(tuple, oblique)))
    values = torch.from_numpy(ct().astype(np.float32) + 0.25)
    write_image(Volume(values, grid), tmp_path / f"a{suffix}")
    write_image(Volume(values > 0, grid), tmp_path / f"m{suffix}")
    back = sitk.ReadImage(str(tmp_path / f"a{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), values.numpy())
    np.testing.assert_allclose(
        back.TransformIndexToPhysicalPoint((6, 5, 4)), grid.to_world((6, 5, 4)), atol=1e-4
    )
    mask = sitk.ReadImage(str(tmp_path / f"m{suffix}"))
    assert mask.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), values.numpy() > 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a{suffix}", f"m{suffix}"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    size=st.tuples(*[st.integers(2, 9)] * 3),
    spacing=st.tuples(*[st.floats(0.06, 45)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    seed=st.integers(0, 2**31),
    suffix=st.sampled_from(SUFFIXES),
)
def test_round_trip_of_any_geometry(tmp_path, size, spacing, origin, seed, suffix):
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    grid = Grid(size, spacing, origin, tuple(map(tuple, axes)))
    volume = Volume(torch.from_numpy(rng.normal(0, 500, grid.shape).astype(np.float32)), grid)
    write_image(volume, tmp_path / f"r{suffix}")
    back = read_image(tmp_path / f"r{suffix}")
    assert torch.equal(back.data, volume.data)
    assert back.grid.same_as(grid, 2e-3)  # NIfTI keeps its geometry in float32


def test_a_nii_beside_a_nii_gz_is_another_image(tmp_path):
    """niftilib would give the voxels of a.nii for a.nii.gz."""
    saved(tmp_path / "a.nii.gz", itk(ct(1)))
    saved(tmp_path / "a.nii", itk(ct(2)))
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").data.numpy(), ct(1))
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii").data.numpy(), ct(2))


def test_fourth_dimension_of_one_is_taken_away(tmp_path):
    for suffix in (".nii", ".nrrd", ".mha"):
        one = sitk.JoinSeries([itk(ct())])
        read = read_image(saved(tmp_path / f"a{suffix}", one))
        np.testing.assert_array_equal(read.data.numpy(), ct())
        np.testing.assert_allclose(read.grid.spacing, (0.7, 1.1, 2.5), rtol=1e-6)


def bad_images(folder: Path) -> dict[str, tuple[Path, str]]:
    good = saved(folder / "good.nii", itk(ct()))
    rgb = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    nan = ct().astype(np.float32)
    nan[2, 3, 4] = np.nan
    inf = ct().astype(np.float32)
    inf[0, 0, 0] = np.inf
    wide = itk(ct())
    wide.SetSpacing((0.7, 1.1, 60.0))
    fine = itk(ct())
    fine.SetSpacing((0.01, 1.1, 2.5))
    sheared = (0.7, 0.4, 0, 0, 0, 1.1, 0, 0, 0, 0, 2.5, 0)
    zero_mha = (saved(folder / "zero.mha", itk(ct())).read_bytes()).replace(
        b"= 0.69999999999999996", b"= 0.7"
    )
    (folder / "zero.mha").write_bytes(
        zero_mha.replace(b"ElementSpacing = 0.7", b"ElementSpacing = 0")
    )
    (folder / "negative.mha").write_bytes(
        zero_mha.replace(b"ElementSpacing = 0.7", b"ElementSpacing = -0.7")
    )
    (folder / "sheared.mha").write_bytes(
        zero_mha.replace(b"TransformMatrix = 1 0 0", b"TransformMatrix = 1 0.3 0")
    )
    (folder / "note.txt").write_text("hello")
    (folder / "garbage.nii").write_bytes(b"hello" * 200)
    (folder / "empty.nrrd").write_bytes(b"")
    (folder / "short.nii").write_bytes(good.read_bytes()[:-30])
    (folder / "squeezed.nii").write_bytes(gzip.compress(good.read_bytes()))
    (folder / "bare.mha").write_bytes(re.sub(rb"ElementSpacing.*\n", b"", zero_mha))
    nrrd = saved(folder / "good.nrrd", itk(ct())).read_bytes()
    steps = b"space directions: (0.69999999999999996,0,0) (0,1.1000000000000001,0) (0,0,2.5)"
    assert steps in nrrd
    (folder / "bare.nrrd").write_bytes(nrrd.replace(steps + b"\n", b""))
    (folder / "none.nrrd").write_bytes(nrrd.replace(b" (0,0,2.5)", b" none"))
    units = steps + b'\nspace units: "cm" "cm" "cm"'
    (folder / "cm.nrrd").write_bytes(nrrd.replace(steps, units))
    return {
        "missing": (folder / "none.nii.gz", "nothing there"),
        "suffix": (folder / "note.txt", "'.txt'"),
        "garbage": (folder / "garbage.nii", "without its header"),
        "empty": (folder / "empty.nrrd", "truncated"),
        "short": (folder / "short.nii", "truncated"),
        "2d": (saved(folder / "flat.nrrd", itk(ct()[0])), "2 dimensions"),
        "4d": (saved(folder / "4d.nii.gz", sitk.JoinSeries([itk(ct())] * 3)), "3 phases"),
        "4d mha": (saved(folder / "4d.mha", sitk.JoinSeries([itk(ct())] * 3)), "3 phases"),
        "rgb": (saved(folder / "rgb.nii", rgb), "colour"),
        "nan": (saved(folder / "nan.mha", itk(nan)), "1 voxels of NaN"),
        "nan nifti": (saved(folder / "nan.nii", itk(nan)), "1 of NaN"),
        "inf": (saved(folder / "inf.nii.gz", itk(inf)), "infinity"),
        "left": (saved(folder / "left.nrrd", itk(ct(), np.diag([1.0, 1, -1]))), "left-handed"),
        "left nifti": (saved(folder / "l.nii", itk(ct(), np.diag([1.0, -1, 1]))), "left-handed"),
        "sheared mha": (folder / "sheared.mha", "orthonormal"),
        "sheared sform": (
            patched(folder / "s.nii", good, (252, "<2h", (0, 1)), (280, "<12f", sheared)),
            "orthonormal",
        ),
        "sheared sform beside a qform": (
            patched(folder / "sq.nii", good, (254, "<h", (1,)), (280, "<12f", sheared)),
            "orthonormal",
        ),
        "sform of another spacing": (
            patched(folder / "p.nii", good, (80, "<f", (1.4,))),
            "expected one spacing",
        ),
        "zero pixdim": (patched(folder / "z.nii", good, (80, "<f", (0.0,))), "spacing"),
        "negative pixdim": (patched(folder / "n.nii", good, (84, "<f", (-1.1,))), "spacing"),
        "nan pixdim": (patched(folder / "nn.nii", good, (88, "<f", (np.nan,))), "spacing"),
        "zero spacing": (folder / "zero.mha", "spacing"),
        "negative spacing": (folder / "negative.mha", "spacing"),
        "huge spacing": (saved(folder / "wide.mha", wide), "between 0.05 and 50 mm"),
        "tiny spacing": (saved(folder / "fine.nii", fine), "between 0.05 and 50 mm"),
        "compressed nii": (folder / "squeezed.nii", "rename it to .nii.gz"),
        "no spacing mha": (folder / "bare.mha", "a spacing in mm (ElementSpacing), found none"),
        "no spacing nrrd": (folder / "bare.nrrd", "a spacing in mm along every axis, found none"),
        "no step nrrd": (folder / "none.nrrd", "a spacing in mm along every axis"),
        "cm nrrd": (folder / "cm.nrrd", "space units of mm"),
        "analyze": (patched(folder / "a.nii", good, (344, "<4s", (b"",))), "ANALYZE"),
        "nan qform": (
            patched(folder / "q.nii", good, (252, "<2h", (1, 0)), (268, "<f", (np.nan,))),
            "a quaternion and an offset of finite numbers",
        ),
        "zero offset": (
            patched(folder / "zo.nii", good, (108, "<f", (0.0,))),
            "(vox_offset from 348 on), found 0",
        ),
        "nan offset": (patched(folder / "o.nii", good, (108, "<f", (np.nan,))), "damaged"),
        "too large": (saved(folder / "large.nrrd", itk(ct() * 1e300)), "NaN or infinity"),
        "one slice": (saved(folder / "thin.mha", itk(ct()[:1])), "7x6x1"),
    }


NAMES = [
    *(
        "missing",
        "suffix",
        "garbage",
        "empty",
        "short",
        "2d",
        "4d",
        "4d mha",
        "rgb",
        "nan",
        "nan nifti",
        "inf",
    ),
    *("left", "left nifti", "sheared mha", "sheared sform", "sheared sform beside a qform"),
    *("sform of another spacing", "zero pixdim", "negative pixdim", "nan pixdim", "zero spacing"),
    *("negative spacing", "huge spacing", "tiny spacing", "one slice", "compressed nii"),
    *("no spacing mha", "no spacing nrrd", "no step nrrd", "cm nrrd", "analyze", "nan offset"),
    *("too large", "nan qform", "zero offset"),
]


@pytest.mark.parametrize("name", NAMES)
def test_bad_image_is_one_line(tmp_path, capfd, name):
    cases = bad_images(tmp_path)
    assert sorted(cases) == sorted(NAMES)
    path, told = cases[name]
    capfd.readouterr()
    with pytest.raises(InputError) as caught:
        read_image(path)
    line = str(caught.value)
    assert told in line
    assert path.name in line
    assert "\n" not in line
    assert capfd.readouterr() == ("", "")  # ITK keeps quiet


@pytest.mark.parametrize("suffix", [*SUFFIXES, "raw.mha", ".mhd"])
@pytest.mark.parametrize("kept", [0.4, 0.9])
def test_truncated_file(tmp_path, capfd, suffix, kept):
    """ITK itself reads a truncated NIfTI as if the rest were zero."""
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(itk(ct()), str(path), suffix not in (".nii", "raw.mha", ".mhd"))
    cut = path.with_suffix(".raw") if suffix == ".mhd" else path
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * kept)])
    capfd.readouterr()
    with pytest.raises(InputError, match=r"truncated|whole"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_damaged_gzip(tmp_path):
    path = saved(tmp_path / "a.nii.gz", itk(ct()))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged"):
        read_image(path)


def test_nifti_2_is_refused_by_name(tmp_path):
    (tmp_path / "two.nii").write_bytes(struct.pack("<i", 540) + bytes(540) + ct().tobytes())
    with pytest.raises(InputError, match="NIfTI-2"):
        read_image(tmp_path / "two.nii")


def test_mask(tmp_path):
    image = read_image(saved(tmp_path / "ct.mha", itk(ct())))
    labels = (ct() > 0).astype(np.uint8) * 3
    mask = read_mask(saved(tmp_path / "m.nii.gz", itk(labels)), like=image)
    assert mask.data.dtype == torch.bool
    np.testing.assert_array_equal(mask.data.numpy(), labels > 0)
    assert mask.grid is image.grid


def test_mask_of_another_geometry(tmp_path):
    image = read_image(saved(tmp_path / "ct.mha", itk(ct())))
    moved = itk((ct() > 0).astype(np.uint8))
    moved.SetOrigin((-12.5, 30.25, -399.0))
    with pytest.raises(InputError, match=r"-400.*-399"):
        read_mask(saved(tmp_path / "m.mha", moved), like=image)
    with pytest.raises(InputError, match="geometry"):
        read_mask(saved(tmp_path / "s.mha", itk((ct()[1:] > 0).astype(np.uint8))), like=image)


def test_empty_mask(tmp_path):
    with pytest.raises(InputError, match="no voxel above 0"):
        read_mask(saved(tmp_path / "m.mha", itk(np.zeros((4, 5, 6), np.uint8))))


def test_writing_refuses(tmp_path):
    volume = Volume(torch.zeros(2, 2, 2), Grid((2, 2, 2)))
    with pytest.raises(InputError, match=r"\.nii\.gz.*'\.png'"):
        write_image(volume, tmp_path / "a.png")
    with pytest.raises(InputError, match="create it first"):
        write_image(volume, tmp_path / "none" / "a.nii")
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(InputError, match="a folder"):
        write_image(volume, tmp_path / "folder.nii")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.nii"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    volume = Volume(torch.zeros(2, 2, 2), Grid((2, 2, 2)))
    path = tmp_path / "a.mha"
    path.write_text("before")

    def half_written(image, name, *rest):
        Path(name).write_text("half")
        raise RuntimeError("ITK ERROR: disk full")

    monkeypatch.setattr(sitk, "WriteImage", half_written)
    with pytest.raises(InputError, match="disk full"):
        write_image(volume, path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mha"]


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (2, 4)])
def test_two_places_of_one_nifti_are_told(tmp_path, caplog, codes):
    good = saved(tmp_path / "good.nii", itk(ct()))
    read_image(good)
    assert not caplog.records
    moved = (0.7, 0, 0, 12.5 + 3, 0, 1.1, 0, -30.25 + 4, 0, 0, 2.5, -400.0)
    other = patched(tmp_path / "two.nii", good, (252, "<2h", codes), (280, "<12f", moved))
    read_image(other)
    assert len(caplog.records) == 1
    assert f"{other}: its qform and its sform put it up to" in caplog.text


def test_a_quaternion_is_where_itk_sees_it(tmp_path):
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    path = saved(tmp_path / "turned.nii", itk(ct(), turn))
    grid = read_image(path).grid
    header = read_nifti_header(path)
    np.testing.assert_allclose(
        np.diag([-1, -1, 1]) @ header.qform, grid.index_to_world_matrix[:3], atol=1e-4
    )
    np.testing.assert_allclose(header.qform, header.sform, atol=1e-4)
    left = patched(tmp_path / "left.nii", path, (76, "<f", (-1.0,)))
    mirrored = read_nifti_header(left).qform
    assert apart(mirrored, header.qform, (7, 6, 5)) == pytest.approx(2 * 2.5 * 4, rel=1e-5)


def test_an_nrrd_without_space_is_told(tmp_path, caplog):
    path = saved(tmp_path / "a.nrrd", itk(ct()))
    read_image(path)
    assert not caplog.records
    said = b"space: left-posterior-superior"
    path.write_bytes(path.read_bytes().replace(said, b"space dimension: 3"))
    read_image(path)
    assert "does not say which way its axes run" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always text")
def test_a_name_that_is_no_text_is_refused(tmp_path):
    # SimpleITK ends the process: in one of its own
    folder = os.fsencode(tmp_path)
    os.rename(saved(tmp_path / "a.nii", itk(ct().astype(np.float32))), folder + b"/Lunge \xe4.nii")
    program = (
        "import os, pathlib, sys, torch\n"
        "from lungmorph.errors import InputError\n"
        "from lungmorph.files import output_folder, read_grid, read_image, read_transform, write_image\n"
        "from lungmorph.space import Grid, Volume\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "made = Volume(torch.zeros(2, 2, 2), Grid((2, 2, 2)))\n"
        "for use in (read_image, read_grid, read_transform, lambda p: write_image(made, p),\n"
        "            lambda p: output_folder(p.with_suffix('')).__enter__()):\n"
        "    try: use(path)\n"
        "    except InputError as error: assert 'a name in UTF-8' in str(error), error\n"
        "    else: raise SystemExit('taken')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, folder + b"/Lunge \xe4.nii"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")


_PACKED = "expected 12288 bytes (16x16x24 voxels of MET_SHORT) when unpacked"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda head, packed: (head, packed[:-100]), _PACKED),
        (lambda head, packed: (head, packed[:50] + bytes(40) + packed[90:]), _PACKED),
        (lambda head, packed: (re.sub(rb"CompressedDataSize.*\n", b"", head), packed), ""),
    ],
    ids=["truncated", "damaged", "size left out"],
)
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_damaged_compressed_meta_image(tmp_path, suffix, change, said):
    """ITK reads such files without a word, and leaves in the image what was in memory."""
    noise = np.random.default_rng(0).integers(-999, 999, (24, 16, 16)).astype(np.int16)
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path), True)
    assert np.array_equal(read_image(path).data.numpy(), noise)
    inside = suffix == ".mha"
    head, mark, rest = path.read_bytes().partition(b"ElementDataFile")
    line, newline, local = rest.partition(b"\n")
    packed = tmp_path / "scan.zraw"
    head, voxels = change(head, local if inside else packed.read_bytes())
    path.write_bytes(head + mark + line + newline + (voxels if inside else b""))
    if not inside:
        packed.write_bytes(voxels)
    if said or inside:
        with pytest.raises(
            InputError, match=re.escape(said or "(CompressedDataSize), found nothing")
        ):
            read_image(path)
    else:  # the whole of a file of its own: its size says it
        assert np.array_equal(read_image(path).data.numpy(), noise)
