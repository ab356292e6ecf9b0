"""Parameter files as elastix writes them, and its formulas in plain numpy."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lungmorph.errors import InputError
from lungmorph.files import read_transform
from lungmorph.space import Affine

CENTRE = np.array([12.0, -30.0, 150.5])
TURN = Rotation.from_euler("xyz", [8, -15, 25], degrees=True).as_matrix()
SIZE, SPACING, FIRST = (7, 8, 9), np.array([14.0, 17.0, 21.0]), np.array([-40.0, -65.0, 60.0])
CONTROL = np.random.default_rng(2).normal(0, 5, (*SIZE, 3))
INSIDE = np.random.default_rng(3).uniform(1.05, np.array(SIZE) - 2.05, (50, 3))
POINTS = FIRST + (INSIDE * SPACING) @ TURN.T


def write(path: Path, kind: str, before: str = "NoInitialTransform", **fields) -> Path:
    rows = {
        "FixedImageDimension": 3,
        "HowToCombineTransforms": "Compose",
        "InitialTransformParameterFileName": before,
        "Transform": kind,
        "UseDirectionCosines": "true",
        **fields,
    }
    lines = ["// elastix", ""]
    for name, value in rows.items():
        told = (
            f'"{value}"'
            if isinstance(value, str)
            else " ".join(map(repr, np.ravel(value).tolist()))
        )
        lines.append(f"({name} {told})")
    path.write_text("\n".join(lines) + "\n")
    return path


def affine(path: Path, **fields) -> tuple[Path, np.ndarray]:
    matrix = np.array([[1.1, 0.1, 0, 4], [0, 0.9, 0.05, -3], [0, 0.2, 1, 12]])
    numbers = [*matrix[:, :3].ravel(), *matrix[:, 3]]
    made = write(path, "AffineTransform", TransformParameters=numbers, CenterOfRotationPoint=CENTRE, **fields)  # fmt: skip
    whole = np.eye(4)
    whole[:3, :3] = matrix[:, :3]
    whole[:3, 3] = CENTRE + matrix[:, 3] - matrix[:, :3] @ CENTRE
    return made, whole


def spline(path: Path, **fields) -> Path:
    return write(
        path,
        "BSplineTransform",
        BSplineTransformSplineOrder=3,
        GridSize=SIZE,
        GridIndex=(0, 0, 0),
        GridSpacing=SPACING,
        GridOrigin=FIRST,
        # column by column
        GridDirection=TURN.T,
        TransformParameters=np.concatenate([CONTROL[..., axis].ravel(order="F") for axis in range(3)]),
        **fields,
    )  # fmt: skip


def displaced(points: np.ndarray) -> np.ndarray:
    """Displacements of the cubic B-spline at points, mm."""
    at = (points - FIRST) @ TURN / SPACING
    low = np.floor(at).astype(int)
    u = at - low
    weights = np.stack(
        [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]
    )
    out = np.zeros_like(points)
    for a, b, c in np.ndindex(4, 4, 4):
        weight = weights[a, :, 0] * weights[b, :, 1] * weights[c, :, 2] / 216
        i, j, k = np.add(low, (a - 1, b - 1, c - 1)).T
        out += weight[:, None] * CONTROL[i, j, k]
    return out


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


@pytest.mark.parametrize(("zyx", "order"), [("false", "ZXY"), ("true", "ZYX")])
def test_euler_angles_in_the_order_that_it_says(tmp_path, zyx, order):
    angles = {"X": 0.1, "Y": -0.2, "Z": 0.3}
    path = write(
        tmp_path / "TransformParameters.0.txt",
        "EulerTransform",
        TransformParameters=(*angles.values(), 3, -4, 5),
        CenterOfRotationPoint=CENTRE,
        ComputeZYX=zyx,
    )
    turn = Rotation.from_euler(order, [angles[axis] for axis in order]).as_matrix()
    expected = (POINTS - CENTRE) @ turn.T + CENTRE + (3, -4, 5)
    np.testing.assert_allclose(read_transform(path).apply(POINTS), expected, atol=1e-9)


def test_a_chain_goes_through_the_first_file_first(tmp_path):
    """The files before are named by where elastix wrote them; the folder has moved since."""
    (tmp_path / "moved").mkdir()
    first, matrix = affine(tmp_path / "moved" / "TransformParameters.0.txt")
    last = spline(tmp_path / "moved" / "TransformParameters.1.txt", before=f"out/{first.name}")
    starts = moved(np.linalg.inv(matrix), POINTS)
    found = read_transform(last).apply(starts)
    np.testing.assert_allclose(found, POINTS + displaced(POINTS), atol=0.03)
    assert np.abs(displaced(POINTS)).max() > 3
    first.unlink()
    with pytest.raises(
        InputError, match=r"1\.txt: expected the transform before it.*copy it beside"
    ):
        read_transform(last)


def test_of_two_files_of_the_name_before_it_none_is_guessed(tmp_path, monkeypatch):
    folder = tmp_path / "moved"
    folder.mkdir()
    first, matrix = affine(folder / "0.txt")
    last, _ = affine(folder / "1.txt", before="0.txt")
    monkeypatch.chdir(tmp_path)
    expected = moved(matrix, moved(matrix, POINTS))
    np.testing.assert_allclose(read_transform(last).apply(POINTS), expected, atol=1e-9)
    (tmp_path / "0.txt").write_bytes(first.read_bytes())
    np.testing.assert_allclose(read_transform(last).apply(POINTS), expected, atol=1e-9)
    write(tmp_path / "0.txt", "TranslationTransform", TransformParameters=(1.0, 2.0, 3.0))
    with pytest.raises(InputError, match="start from another folder"):
        read_transform(last)


def test_added_to_a_linear_one(tmp_path):
    first, matrix = affine(tmp_path / "TransformParameters.0.txt")
    last = spline(tmp_path / "1.txt", before=str(first), HowToCombineTransforms="Add")
    expected = moved(matrix, POINTS) + displaced(POINTS)
    np.testing.assert_allclose(read_transform(last).apply(POINTS), expected, atol=0.03)
    second, _ = affine(tmp_path / "2.txt", before=str(first), HowToCombineTransforms="Add")
    read = read_transform(second)
    assert isinstance(read, Affine)
    np.testing.assert_allclose(read.apply(POINTS), 2 * moved(matrix, POINTS) - POINTS)
    third = spline(tmp_path / "3.txt", before=str(last), HowToCombineTransforms="Add")
    with pytest.raises(InputError, match="added to a deformation"):
        read_transform(third)


def test_what_cannot_be_read_says_how_to_export_it(tmp_path):
    bad = {
        "kind": (write(tmp_path / "a.txt", "SplineKernelTransform"), "found SplineKernelTransform"),
        "cut": (
            write(tmp_path / "b.txt", "AffineTransform", CenterOfRotationPoint=CENTRE, TransformParameters=(1.0, 0.0)),
            "with 12 numbers, found 2",
        ),
        "turned": (
            affine(tmp_path / "c.txt", UseDirectionCosines="false", Direction=TURN)[0],
            "ignores how its scan is turned",
        ),
        "circle": (affine(tmp_path / "d.txt", before=str(tmp_path / "d.txt"))[0], "comes after it"),
        "cyclic": (spline(tmp_path / "e.txt", UseCyclicTransform="true"), "a cyclic one"),
        "2d": (write(tmp_path / "f.txt", "EulerTransform", FixedImageDimension=2), "2D"),
    }  # fmt: skip
    for path, told in bad.values():
        with pytest.raises(InputError) as caught:
            read_transform(path)
        assert told in str(caught.value)
        assert "transformix -def all" in str(caught.value)
        assert path.name in str(caught.value)
