"""A submission applied as the challenge applies it, against the transform that it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates, zoom
from scipy.spatial.transform import Rotation

from geometry import small_affine
from lungmorph.datasets.case import Case
from lungmorph.datasets.learn2reg_submission import write_submission
from lungmorph.datasets.readers import open_dataset
from lungmorph.errors import InputError
from lungmorph.space import Affine, Composite, DisplacementField, Grid, Transform
from replicas.learn2reg import GRID, pair, scan_values, write_2020, write_release
from replicas.nifti import affine, lps, read_nifti, write_nifti

SIZE = (24, 20, 28)
OBLIQUE = Rotation.from_euler("xyz", [10, -15, 30], degrees=True).as_matrix()
SPACING = (1.75, 1.25, 1.5)
CORNER = np.array([-20.0, 15.0, -300.0])
GRIDS = {
    "one grid": (affine(SPACING, CORNER),) * 2,
    "left-handed": (affine(SPACING, CORNER, np.diag([-1, 1, 1])),) * 2,
    "each its own": (
        affine(SPACING, CORNER, OBLIQUE),
        affine((2.0, 1.5, 1.6), CORNER + OBLIQUE @ [-2, -3, 42], OBLIQUE @ np.diag([1, 1, -1])),
    ),
}


def case_on(root: Path, grids: tuple[np.ndarray, np.ndarray]) -> Case:
    write_release(root, {1: "Tr"}, training_paired_images=[pair(1)])
    for number, grid in enumerate(grids):
        path = root / "imagesTr" / f"LungCT_0001_{number:04d}.nii.gz"
        write_nifti(path, scan_values(number, SIZE), grid)
        (root / "masksTr" / path.name).unlink()
    (case,) = open_dataset(root).cases
    return case


def breath(case: Case, shift: float = 3.0) -> Transform:
    """Smooth displacements of some millimetres, on a coarse grid of their own, after an affine map."""
    low, high = case.scan(case.fixed).grid.bounds()
    grid = Grid.covering(low, high, 6.0, margin=20.0)
    z, y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in grid.shape), indexing="ij")
    waves = torch.stack([torch.sin(2 * y) * z, torch.cos(2 * x), torch.sin(x + z)])
    return Composite([small_affine(3, grid, shift, 0.02), DisplacementField(2 * waves, grid)])


def indices_inside(seed: int, count: int = 60) -> np.ndarray:
    """Away from the edges, where the spline of the challenge is not that of the field."""
    return np.random.default_rng(seed).uniform(5, np.array(SIZE) - 6, (count, 3))


def challenge_warps(field: np.ndarray, fixed_index: np.ndarray) -> np.ndarray:
    """How the challenge's compute_tre moves landmarks: spline-interpolated voxels, added."""
    moved = [map_coordinates(field[..., c], fixed_index.T) for c in range(3)]
    return fixed_index + np.stack(moved, axis=1)


def true_index(
    transform: Transform, grids: tuple[np.ndarray, np.ndarray], index: np.ndarray
) -> np.ndarray:
    """The same by the formats alone: indices to LPS mm, the transform, and back by the moving header."""
    mapped = transform.apply(lps(grids[0], index)) * [-1, -1, 1]
    return (mapped - grids[1][:3, 3]) @ np.linalg.inv(grids[1][:3, :3]).T


@pytest.mark.parametrize("name", GRIDS)
def test_landmarks_come_out_where_the_transform_takes_them(tmp_path, name):
    grids = GRIDS[name]
    case = case_on(tmp_path / "LungCT", grids)
    transform = breath(case)
    path = write_submission(tmp_path / "out", case, transform)
    assert path == tmp_path / "out" / "disp_0001_0001.nii.gz"
    field = read_nifti(path)
    assert field.shape == (*SIZE, 3)
    index = indices_inside(1)
    np.testing.assert_allclose(
        challenge_warps(field, index), true_index(transform, grids, index), atol=0.02
    )
    # and it is a displacement worth the name: some voxels, not the same along the three axes
    assert np.abs(field).mean(axis=(0, 1, 2)).min() > 0.3
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", GRIDS)
def test_every_voxel_is_exact_and_pulls_the_moving_image(tmp_path, name):
    grids = GRIDS[name]
    case = case_on(tmp_path / "LungCT", grids)
    transform = breath(case)
    field = read_nifti(write_submission(tmp_path / "out", case, transform))
    index = np.argwhere(np.ones(SIZE, dtype=bool)).astype(float)
    true = true_index(transform, grids, index)
    np.testing.assert_allclose(index + field.reshape(-1, 3), true, atol=2e-4)
    identity = np.moveaxis(np.indices(SIZE), 0, -1)
    warped = map_coordinates(
        scan_values(1, SIZE).astype(float), np.moveaxis(identity + field, -1, 0), order=1
    )
    moving = case.scan(case.moving).load()
    ours = transform.warp(moving, case.scan(case.fixed).grid).data.numpy()
    k, j, i = np.rint(case.scan(case.fixed).grid.to_index(lps(grids[0], index))).astype(int).T[::-1]
    inside = np.all((true > 0.5) & (true < np.array(SIZE) - 1.5), axis=1)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(ours[k, j, i][inside], warped.ravel()[inside], atol=1.0)


def test_the_half_resolution_of_2020(tmp_path):
    write_2020(tmp_path, (12,))
    for number, state in enumerate(("exp", "insp")):
        path = tmp_path / "training" / "scans" / f"case_012_{state}.nii.gz"
        write_nifti(path, scan_values(number, SIZE), GRIDS["one grid"][number])
    (case,) = open_dataset(tmp_path).cases
    transform = breath(case)
    path = write_submission(tmp_path / "out", case, transform)
    assert path.name == "disp_0012_0012.npz"
    with np.load(path, allow_pickle=False) as kept:
        assert kept.files == ["arr_0"]
        field = kept["arr_0"]
    assert field.dtype == np.float16
    assert field.shape == (3, 12, 10, 14)
    whole = np.array([zoom(part, 2, order=2) for part in field.astype("float32")])
    assert whole.shape == (3, *SIZE)
    index = indices_inside(2)
    np.testing.assert_allclose(
        challenge_warps(np.moveaxis(whole, 0, -1), index),
        true_index(transform, GRIDS["one grid"], index),
        atol=0.06,
    )
    assert write_submission(tmp_path / "out", case, transform, half=False).suffix == ".gz"


def test_identity_is_zero_on_one_grid(tmp_path):
    case = case_on(tmp_path / "LungCT", GRIDS["left-handed"])
    field = read_nifti(write_submission(tmp_path, case, Affine.identity()))
    np.testing.assert_allclose(field, 0, atol=1e-5)


def test_names_of_pairs_that_are_not_the_usual_ones(tmp_path):
    root = write_release(
        tmp_path / "LungCT",
        {1: "Tr", 2: "Tr"},
        training_paired_images=[
            {"fixed": "./imagesTr/LungCT_0001_0001.nii.gz",
             "moving": "./imagesTr/LungCT_0001_0000.nii.gz"},
            {"fixed": "./imagesTr/LungCT_0002_0000.nii.gz",
             "moving": "./imagesTr/LungCT_0001_0000.nii.gz"},
        ],
    )  # fmt: skip
    first, second = open_dataset(root).cases
    assert (first.patient, second.patient) == ("LungCT_0001", "LungCT_0002")
    names = [write_submission(tmp_path, c, Affine.identity()).name for c in (first, second)]
    assert names == ["disp_0001_0001_0001_0000.nii.gz", "disp_0002_0001.nii.gz"]


def test_what_cannot_be_submitted_is_refused(tmp_path):
    root = write_release(tmp_path / "LungCT", {1: "Tr"}, training_paired_images=[pair(1)])
    (case,) = open_dataset(root).cases
    out = tmp_path / "out"
    far = Affine.from_parts(np.eye(3), [2e5, 0, 0])
    with pytest.raises(InputError, match="finite displacements"):
        write_submission(out, case, far, half=True)
    path = root / "imagesTr" / "LungCT_0001_0000.nii.gz"
    write_nifti(path, scan_values(1, (11, 10, 14)), GRID)
    with pytest.raises(InputError, match="even sizes"):
        write_submission(out, case, Affine.identity(), half=True)
    assert not list(out.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a folder to write into"):
        write_submission(tmp_path / "file", case, Affine.identity())
    path.unlink()
    with pytest.raises(InputError, match="nothing there"):
        write_submission(out, case, Affine.identity())
