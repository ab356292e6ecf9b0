import base64
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from lungmorph.errors import InputError
from lungmorph.files import is_of_itk, read_transform, write_transform
from lungmorph.space import Affine, Composite, DisplacementField, Grid

IMAGES = [".nii", ".nii.gz", ".mha", ".nrrd"]
LINEAR = Affine.from_parts([[1.1, 0.1, 0], [0, 0.9, 0.05], [0, 0.2, 1]], (5, -7, 32.5))

#: HDF5 (gzip, base64) with two TranslationTransform_double_3_3 of 1, 2, 3 mm and no composite, as itk::TransformFileWriter makes it.
TWO_TRANSFORMS = (
    "H4sIAAAAAAACA+v0cHHj5ZLiYubgYICB/1AwQQHCN4CKd7XZvfP3cAliUph4iycbGVcwCSFrhAEuJgZGBgY2UQYgxeUZ4h2WWlSc"
    "mZ93GGoeVALoAqjEeUaIhIAAA8MyVgjbigEh9pkFwlaAO/Vc+s5lYCcxMjAyAmWZgGLMIgyMkoyMDAIgXQwgK0CAg4EV6BpmJg6g"
    "S1kYGaC+FYAZdIBhyIMYJs1acsJCQGL4hcUeb1YecsJCYRiGxc87s76RExYGwzAs3kTMWuHv7OHNJgLyM6d/MLTkec4MkReau/ch"
    "OUUcD8g4RoMH0EILyjfMkILaa0G+k282zv4AdrIgyEw2/2C/xNzU20xQiyRBgnwhRYl5xWn5RbnuRfmlBcJQV8RkndYjxzMSIDN5"
    "4WaGVBakFrNB7ZMDyQnD5QISi4CuKQEGYoAEopyuZ4ew9WF+YIMxWlqO2cPTIjAOmBiBACoHoyFpkwFv2nRAT5sbhl5avH3TdSI4"
    "YpVBfpSAh6lbZkVqCiJgYySh2fiFyjQilAvLQpRzKCyqI8IRoMAV4ECw3Z39fRiRQhY9ckyhNBOauCEs8tDEfaA0C5p4BZSGJlUG"
    "eSgN9lZOYgkwT8J9GJ+SX5qUkxpvHG8MT0nEqocBA36GUTAKRsEoGAWjYBSMglEwCkbBKBgFo2AUYBkPYELjM6PxWaD9cBgf1JdH"
    "H9xhRhsXAA3uCCrYQ8ffHRhMuBlM/gMlwYM7XJDBnQAFiFoJmKOG4OCO4ddJN9DDAl0NMWEBG5pjGMJhEdojaUqlccjf0AFV3OOQ"
    "7DIQFaBxyHU4xyH9JL5PpMY4ZAY0qQ7lcchLGf+4qJFtK4ZBttXjuiYymm0R2Xa0QhwFZIAP9lCGA4TicEBuJ7DhUQcAMqWSf5Ag"
    "AAA="
)


def field(axes: np.ndarray, seed: int = 0) -> DisplacementField:
    grid = Grid((7, 9, 6), (3.5, 2.0, 5.0), (-20, 11, -130), tuple(map(tuple, axes)))
    values = np.random.default_rng(seed).normal(0, 6, (3, *grid.shape)).astype(np.float32)
    return DisplacementField(torch.from_numpy(values), grid)


def inside(grid: Grid, count: int = 60) -> np.ndarray:
    rng = np.random.default_rng(3)
    return grid.to_world(rng.uniform(0.01, np.asarray(grid.size) - 1.01, (count, 3)))


def by_itk(transform: sitk.Transform, points: np.ndarray) -> np.ndarray:
    return np.array([transform.TransformPoint(p) for p in points.tolist()])


def itk_field(path: Path) -> sitk.DisplacementFieldTransform:
    return sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))


@pytest.mark.parametrize("suffix", [".h5", ".tfm", ".txt", ".mat"])
def test_affine(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_transform(LINEAR, path)
    points = inside(field(np.eye(3)).grid)
    np.testing.assert_allclose(by_itk(sitk.ReadTransform(str(path)), points), LINEAR.apply(points))
    read = read_transform(path)
    assert isinstance(read, Affine)
    np.testing.assert_allclose(read.matrix, LINEAR.matrix, atol=1e-9)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".h5", ".tfm", ".mat", *IMAGES])
def test_displacement_field_on_an_oblique_grid(tmp_path, oblique, suffix):
    ours = field(oblique)
    path = tmp_path / f"a{suffix}"
    write_transform(ours, path)
    points = inside(ours.grid)
    theirs = itk_field(path) if suffix in IMAGES else sitk.ReadTransform(str(path))
    np.testing.assert_allclose(by_itk(theirs, points), ours.apply(points), atol=1e-4)
    read = read_transform(path)
    assert isinstance(read, DisplacementField)
    assert torch.equal(read.data, ours.data)
    np.testing.assert_allclose(read.apply(points), ours.apply(points), atol=1e-4)


@pytest.mark.parametrize("suffix", IMAGES)
def test_file_and_image_agree(tmp_path, oblique, suffix):
    ours = field(oblique)
    write_transform(ours, tmp_path / "a.h5")
    write_transform(ours, tmp_path / f"a{suffix}")
    points = inside(ours.grid)
    np.testing.assert_allclose(
        read_transform(tmp_path / "a.h5").apply(points),
        read_transform(tmp_path / f"a{suffix}").apply(points),
        atol=1e-4,
    )


def test_affine_as_an_image_needs_a_grid(tmp_path):
    grid = field(np.eye(3)).grid
    with pytest.raises(InputError, match="a grid to sample it on"):
        write_transform(LINEAR, tmp_path / "a.nii.gz")
    write_transform(LINEAR, tmp_path / "a.nii.gz", grid=grid)
    points = inside(grid)
    np.testing.assert_allclose(
        by_itk(itk_field(tmp_path / "a.nii.gz"), points), LINEAR.apply(points), atol=1e-4
    )


@pytest.mark.parametrize("suffix", [".h5", ".tfm"])
def test_composite_keeps_its_order(tmp_path, oblique, suffix):
    ours = field(oblique)
    second = Affine.from_parts(np.diag([1.2, 0.8, 1.0]), (3, 0, -9))
    nested = Composite([ours, Composite([LINEAR, second])])
    path = tmp_path / f"c{suffix}"
    write_transform(nested, path)
    points = inside(ours.grid)
    expected = second.apply(LINEAR.apply(ours.apply(points)))
    assert np.abs(expected - ours.apply(LINEAR.apply(second.apply(points)))).max() > 1
    np.testing.assert_allclose(by_itk(sitk.ReadTransform(str(path)), points), expected, atol=1e-4)
    np.testing.assert_allclose(read_transform(path).apply(points), expected, atol=1e-4)


def linear_transforms() -> list[sitk.Transform]:
    turn = sitk.VersorTransform((0.1, 0.7, 0.2), 0.4).GetVersor()
    euler = sitk.Euler3DTransform((1, 2, 3), 0.1, -0.2, 0.3, (4, 5, 6))
    rigid = sitk.VersorRigid3DTransform((0.1, 0.7, 0.2), 0.4, (4, 5, 6), (1, 2, 3))
    similar = sitk.Similarity3DTransform(1.2, turn, (1, 2, 3), (4, 5, 6))
    affine = sitk.AffineTransform(3)
    affine.SetMatrix((1, 0.2, 0, 0, 0.8, 0, 0.1, 0, 1.1))
    affine.SetCenter((9, -8, 7))
    affine.SetTranslation((1, 2, 3))
    scale = sitk.ScaleTransform(3, (1.1, 0.9, 1.3))
    scale.SetCenter((10, 0, -5))
    versor = sitk.VersorTransform((0.1, 0.7, 0.2), 0.4)
    skew = sitk.ScaleSkewVersor3DTransform(
        (1.1, 0.9, 1.2), (0.1, 0, 0.05, 0, 0, 0), turn, (1, 2, 3)
    )
    scale_versor = sitk.ScaleVersor3DTransform((1.1, 0.9, 1.2), turn, (1, 2, 3))
    shift = sitk.TranslationTransform(3, (1.5, -2, 30))
    return [euler, rigid, similar, affine, scale, versor, skew, scale_versor, shift]


@pytest.mark.parametrize("made", linear_transforms(), ids=lambda t: t.GetName())
@pytest.mark.parametrize("suffix", [".h5", ".tfm"])
def test_every_linear_transform_of_itk(tmp_path, made, suffix):
    path = tmp_path / f"t{suffix}"
    sitk.WriteTransform(made, str(path))
    points = inside(field(np.eye(3)).grid)
    read = read_transform(path)
    assert isinstance(read, Affine)
    np.testing.assert_allclose(read.apply(points), by_itk(made, points), atol=1e-9)


def test_composite_of_itk(tmp_path, oblique):
    write_transform(field(oblique), tmp_path / "f.mha")
    inner = sitk.CompositeTransform(linear_transforms()[3:5])
    inner.AddTransform(itk_field(tmp_path / "f.mha"))
    sitk.WriteTransform(inner, str(tmp_path / "c.h5"))
    points = inside(field(oblique).grid)
    np.testing.assert_allclose(
        read_transform(tmp_path / "c.h5").apply(points), by_itk(inner, points), atol=1e-4
    )


@pytest.mark.parametrize("order", [2, 3])
def test_bspline_is_sampled_finely(tmp_path, oblique, order):
    spline = sitk.BSplineTransform(3, order)
    spline.SetTransformDomainOrigin((-20, 11, -130))
    spline.SetTransformDomainPhysicalDimensions((50, 40, 60))
    spline.SetTransformDomainMeshSize((4, 3, 5))
    spline.SetTransformDomainDirection(oblique.ravel().tolist())
    rng = np.random.default_rng(0)
    spline.SetParameters(rng.normal(0, 5, len(spline.GetParameters())).tolist())
    sitk.WriteTransform(spline, str(tmp_path / "b.h5"))
    fraction = np.concatenate([rng.uniform(0, 1, (300, 3)), [[1, 1, 1], [0, 0, 0], [1, 0.5, 0]]])
    fraction = fraction * (1 - 2e-5) + 1e-5  # ITK itself leaves the outermost points alone
    points = np.array([-20, 11, -130]) + (fraction * (50, 40, 60)) @ oblique.T
    moved = by_itk(spline, points)
    assert np.abs(moved - points).max() > 3
    np.testing.assert_allclose(read_transform(tmp_path / "b.h5").apply(points), moved, atol=0.03)


@pytest.mark.parametrize("suffix", [".tfm", ".txt"])
def test_a_text_file_cut_anywhere_is_refused(tmp_path, suffix):
    """ITK reads it as the identity."""
    rigid, affine = linear_transforms()[0], linear_transforms()[3]
    spline = sitk.BSplineTransform(3)
    spline.SetTransformDomainMeshSize((2, 2, 2))
    spline.SetTransformDomainPhysicalDimensions((40, 50, 60))
    whole = {
        "rigid": rigid,
        "affine": affine,
        "spline": spline,
        "composite": sitk.CompositeTransform([rigid, affine]),
    }
    for name, made in whole.items():
        path = tmp_path / f"{name}{suffix}"
        sitk.WriteTransform(made, str(path))
        read_transform(path)
        text = path.read_text()
        last = text.rindex("FixedParameters:")
        # a composite that ends before its last part looks whole, and so may a number of the last line
        first = text.rindex("\nTransform:") + 11 if name == "composite" else last // 10
        for end in range(first, last, max(1, (last - first) // 40)):
            path.write_text(text[:end])
            with pytest.raises(InputError):
                read_transform(path)
        path.write_text(text[: last + len("FixedParameters: 0")])
        with pytest.raises(InputError, match="truncated"):
            read_transform(path)


def test_a_spline_with_a_coefficient_that_is_no_number(tmp_path):
    spline = sitk.BSplineTransform(3)
    spline.SetTransformDomainMeshSize((2, 2, 2))
    spline.SetTransformDomainPhysicalDimensions((40, 50, 60))
    values = np.zeros(len(spline.GetParameters()))
    values[100] = np.nan
    spline.SetParameters(values.tolist())
    sitk.WriteTransform(spline, str(tmp_path / "b.h5"))
    with pytest.raises(InputError, match=r"b\.h5: expected finite coefficients"):
        read_transform(tmp_path / "b.h5")


def test_layouts_of_nifti(tmp_path, oblique):
    """(x, y, z, 1, 3) as ITK writes it, with another intent, and (x, y, z, 3)."""
    ours = field(oblique)
    write_transform(ours, tmp_path / "a.nii")
    raw = (tmp_path / "a.nii").read_bytes()
    assert struct.unpack_from("<6h", raw, 40) == (5, 7, 9, 6, 1, 3)
    assert struct.unpack_from("<h", raw, 68) == (1007,)
    for name, dim, intent in [
        ("five", (5, 7, 9, 6, 1, 3, 1, 1), 0),
        ("four", (4, 7, 9, 6, 3, 1, 1, 1), 0),
    ]:
        changed = bytearray(raw)
        struct.pack_into("<8h", changed, 40, *dim)
        struct.pack_into("<h", changed, 68, intent)
        (tmp_path / f"{name}.nii").write_bytes(changed)
        read = read_transform(tmp_path / f"{name}.nii")
        assert torch.equal(read.data, ours.data)
        assert read.grid.same_as(ours.grid)


def test_a_slope_that_is_no_number_scales_nothing(tmp_path):
    """As nibabel writes it."""
    write_transform(field(np.eye(3)), tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<2f", raw, 112, np.nan, np.nan)
    (tmp_path / "a.nii").write_bytes(raw)
    assert torch.equal(read_transform(tmp_path / "a.nii").data, field(np.eye(3)).data)


@pytest.mark.parametrize("kind", [0, 1])
def test_fields_of_niftyreg_are_positions_or_displacements_in_ras(tmp_path, oblique, kind):
    ours = field(oblique)
    places = np.moveaxis(ours.data.numpy(), 0, -1).astype(np.float64)
    if kind == 0:
        size = ours.grid.size
        index = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), axis=-1)
        steps = np.asarray(ours.grid.direction) * np.asarray(ours.grid.spacing)
        places = places + np.moveaxis(index @ steps.T + ours.grid.origin, (0, 1, 2), (2, 1, 0))
    write_transform(ours, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    numbers = np.moveaxis(places * [-1, -1, 1], -1, 0).astype("<f4").tobytes()
    raw[-len(numbers) :] = numbers
    struct.pack_into("<f", raw, 56, kind)
    raw[328:338] = b"NREG_TRANS"
    (tmp_path / "a.nii").write_bytes(raw)
    read = read_transform(tmp_path / "a.nii")
    np.testing.assert_allclose(read.data.numpy(), ours.data.numpy(), atol=1e-4)


def test_a_type_that_simpleitk_wraps_is_read_if_it_is_linear(tmp_path):
    """Of old ANTs. SimpleITK takes it for a composite, whose only part is itself again."""
    numbers = "1 0.2 0 0 0.8 0 0.1 0 1.1 1 2 3"
    (tmp_path / "a.tfm").write_text(
        text_of("MatrixOffsetTransformBase_double_3_3", numbers, "9 -8 7")
    )
    read = read_transform(tmp_path / "a.tfm")
    linear, centre = np.array([[1, 0.2, 0], [0, 0.8, 0], [0.1, 0, 1.1]]), np.array([9, -8, 7])
    points = inside(field(np.eye(3)).grid)
    np.testing.assert_allclose(
        read.apply(points), (points - centre) @ linear.T + centre + [1, 2, 3], atol=1e-9
    )


def test_displacement_intent_is_ras(tmp_path, oblique):
    """ITK turns the vectors of intent 1006 (DISPVECT) from RAS into LPS, those of 1007 not."""
    ours = field(oblique)
    write_transform(ours, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<h", raw, 68, 1006)
    (tmp_path / "ras.nii").write_bytes(raw)
    turned = ours.data * torch.tensor([-1.0, -1, 1])[:, None, None, None]
    read = read_transform(tmp_path / "ras.nii")
    torch.testing.assert_close(read.data, turned)
    # of four axes, which ITK does not take for vectors
    struct.pack_into("<8h", raw, 40, 4, 7, 9, 6, 3, 1, 1, 1)
    (tmp_path / "four.nii").write_bytes(raw)
    with pytest.raises(InputError, match="along the fifth axis"):
        read_transform(tmp_path / "four.nii")
    points = inside(ours.grid)
    np.testing.assert_allclose(
        read.apply(points), by_itk(itk_field(tmp_path / "ras.nii"), points), atol=1e-4
    )


def saved(path: Path, made: sitk.Image | sitk.Transform) -> Path:
    if isinstance(made, sitk.Image):
        sitk.WriteImage(made, str(path))
    else:
        sitk.WriteTransform(made, str(path))
    return path


def intent(path: Path, code: int, name: bytes = b"", kind: float = 0.0) -> Path:
    write_transform(field(np.eye(3)), path)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<f", raw, 56, kind)
    struct.pack_into("<h", raw, 68, code)
    raw[328 : 328 + len(name)] = name
    path.write_bytes(raw)
    return path


def whole_numbers(path: Path) -> Path:
    """Vectors of scaled int16, on which ITK crashes."""
    write_transform(field(np.eye(3)), path)
    raw = bytearray(path.read_bytes()[: 352 + 2 * 3 * 7 * 9 * 6])
    struct.pack_into("<2h", raw, 70, 4, 16)
    struct.pack_into("<2f", raw, 112, 0.01, 0.0)
    path.write_bytes(raw)
    return path


def scaled(path: Path) -> Path:
    """Vectors that are to be doubled, of which ITK doubles some."""
    write_transform(field(np.eye(3)), path)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<2f", raw, 112, 2.0, 0.0)
    path.write_bytes(raw)
    return path


def text_of(kind: str, parameters: str = "1 2 3", fixed: str = "0 0 0") -> str:
    head = "#Insight Transform File V1.0\n#Transform 0\n"
    return f"{head}Transform: {kind}\nParameters: {parameters}\nFixedParameters: {fixed}\n"


def in_ras(path: Path) -> Path:
    """An NRRD that says RAS: ITK turns its frame, and not its vectors."""
    raw = path.read_bytes()
    assert b"space: left-posterior-superior" in raw
    path.write_bytes(raw.replace(b"left-posterior-superior", b"right-anterior-superior"))
    return path


def bad_transforms(folder: Path) -> dict[str, tuple[Path, str]]:
    vectors = np.zeros((4, 5, 6, 3), np.float32)
    holed = vectors.copy()
    holed[1, 2, 3, 0] = np.nan
    marked = vectors.copy()
    marked[3, 2, 1, 1] = -1e30
    as_vectors = {"isVector": True}
    write_transform(field(np.eye(3)), folder / "whole.h5")
    cut = (folder / "whole.h5").read_bytes()
    (folder / "cut.h5").write_bytes(cut[: len(cut) // 2])
    (folder / "cut.tfm").write_text("#Insight Transform File V1.0\n#Transform 0\nTransform: Aff")
    (folder / "elastix.txt").write_text('// a comment\n(Transform "EulerTransform")\n')
    (folder / "plastimatch.txt").write_text("MGH_GPUIT_BSP <experimental>\nimg_origin = 0 0 0\n")
    (folder / "matrix.txt").write_text("1 0 0 0\n0 1 0 0\n0 0 1 5.5\n0 0 0 1\n")
    (folder / "foreign.txt").write_text("not a transform\n")
    (folder / "slicer.tfm").write_text(text_of("InverseDisplacementFieldTransform_double_3_3"))
    scalable = text_of("ScalableAffineTransform_double_3_3", "1 0 0 0 1 0 0 0 1 1 2 3")
    (folder / "scalable.tfm").write_text(scalable)
    two = text_of("TranslationTransform_double_3_3", "1 2 3", "")
    (folder / "two.tfm").write_text(two + "\n".join(two.splitlines()[1:]) + "\n")
    one = saved(folder / "one.mat", sitk.AffineTransform(3)).read_bytes()
    (folder / "two.mat").write_bytes(one + one)
    (folder / "two.h5").write_bytes(gzip.decompress(base64.b64decode(TWO_TRANSFORMS)))
    (folder / "bare.npz").write_bytes(b"")
    (folder / "a.xfm").write_text("")
    left = sitk.GetImageFromArray(vectors, **as_vectors)
    left.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, -1))
    return {
        "missing": (folder / "none.h5", "nothing there"),
        "suffix": (folder / "a.xfm", "'.xfm'"),
        "cut h5": (folder / "cut.h5", "ITK transform file"),
        "cut tfm": (folder / "cut.tfm", "ITK transform file"),
        "elastix": (folder / "elastix.txt", "WriteITKCompositeTransform"),
        "plastimatch": (folder / "plastimatch.txt", "vf_out"),
        "matrix": (folder / "matrix.txt", "neither its frame nor its direction"),
        "foreign": (folder / "foreign.txt", "foreign one"),
        "inverse": (
            folder / "slicer.tfm",
            "InverseDisplacementFieldTransform that SimpleITK does not",
        ),
        "other type": (folder / "scalable.tfm", "save it as a displacement field"),
        "two in text": (folder / "two.tfm", "2 transforms side by side"),
        "two in mat": (folder / "two.mat", "2 transforms side by side"),
        "two in h5": (folder / "two.h5", "2 transforms side by side"),
        "array": (folder / "bare.npz", "where its voxels lie"),
        "scaled": (scaled(folder / "sc.nii"), "scl_slope 2"),
        "folder": (folder, "a folder"),
        "whole numbers": (whole_numbers(folder / "i.nii"), "whole numbers of 16 bits"),
        "2d": (saved(folder / "2d.tfm", sitk.Euler2DTransform()), "2D"),
        "scalar": (
            saved(folder / "s.nii.gz", sitk.Image(4, 5, 6, sitk.sitkFloat32)),
            "a scalar image",
        ),
        "rgb": (
            saved(folder / "r.mha", sitk.GetImageFromArray(vectors.astype(np.uint8), **as_vectors)),
            "displacement image",
        ),
        "two": (
            saved(folder / "t.nrrd", sitk.GetImageFromArray(vectors[..., :2], **as_vectors)),
            "2 components",
        ),
        "ras": (
            in_ras(saved(folder / "ras.nrrd", sitk.GetImageFromArray(vectors, **as_vectors))),
            "right-anterior",
        ),
        "nan": (saved(folder / "n.mha", sitk.GetImageFromArray(holed, **as_vectors)), "NaN"),
        "nan nifti": (
            saved(folder / "n.nii.gz", sitk.GetImageFromArray(holed, **as_vectors)),
            "NaN",
        ),
        "nan field": (
            saved(
                folder / "n.h5",
                sitk.DisplacementFieldTransform(
                    sitk.GetImageFromArray(holed.astype(np.float64), **as_vectors)
                ),
            ),
            "NaN",
        ),
        "too long": (
            saved(folder / "long.mha", sitk.GetImageFromArray(marked, **as_vectors)),
            "up to 1e+30 mm (1 of 360 numbers",
        ),
        "too far": (
            saved(folder / "far.tfm", sitk.TranslationTransform(3, (0, 0, 3e7))),
            "at most 10000 mm, found up to 3e+07",
        ),
        "left-handed": (saved(folder / "l.mha", left), "right-handed"),
        "niftyreg": (intent(folder / "nr.nii", 1007, b"NREG_TRANS", 5), "reg_transform"),
        "fsl": (intent(folder / "fsl.nii", 2006), "FSL"),
        "spm": (intent(folder / "y_ct.nii", 1007, b"Mapping"), "SPM"),
        "singular": (saved(folder / "sg.tfm", sitk.ScaleTransform(3, (1, 0, 1))), "invertible"),
    }


NAMES = [
    *(
        "missing",
        "suffix",
        "cut h5",
        "cut tfm",
        "elastix",
        "2d",
        "scalar",
        "rgb",
        "ras",
        "two",
        "nan",
    ),
    *(
        "inverse",
        "other type",
        "two in text",
        "two in mat",
        "two in h5",
        "array",
        "scaled",
        "too long",
        "too far",
    ),
    *("plastimatch", "matrix", "foreign", "folder", "whole numbers"),
    *("nan nifti", "nan field", "left-handed", "niftyreg", "fsl", "spm", "singular"),
]


@pytest.mark.parametrize("name", NAMES)
def test_bad_transform_is_one_line(tmp_path, capfd, name):
    cases = bad_transforms(tmp_path)
    assert sorted(cases) == sorted(NAMES)
    path, told = cases[name]
    capfd.readouterr()
    with pytest.raises(InputError) as caught:
        read_transform(path)
    assert told in str(caught.value)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_which_transforms_itk_reads_as_they_are(tmp_path):
    for name in ("a.h5", "a.tfm", "a.txt", "a.nii.gz", "a.mha"):
        write_transform(field(np.eye(3)), tmp_path / name)
        assert is_of_itk(tmp_path / name), name
    (tmp_path / "TransformParameters.0.txt").write_text('(Transform "EulerTransform")\n')
    (tmp_path / "REG.1.2").write_bytes(bytes(128) + b"DICM")
    intent(tmp_path / "nr.nii", 1007, b"NREG_TRANS", 1)
    for name in ("TransformParameters.0.txt", "REG.1.2", "nr.nii"):
        assert not is_of_itk(tmp_path / name), name


@pytest.mark.parametrize("name", ["a.png", "a.mat", "none/a.h5"])
def test_writing_refuses(tmp_path, name):
    with pytest.raises(InputError):
        write_transform(Composite([LINEAR, LINEAR]), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
