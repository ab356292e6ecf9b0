import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.geometry import OBLIQUE, grids, sitk_grid, small_affine, to_sitk

from lungmorph.ops import gaussian
from lungmorph.space import Affine, Composite, DisplacementField, Grid, Landmarks, Volume


def smooth_field(grid: Grid, size: float, seed: int = 0, sigma: float = 3.0) -> DisplacementField:
    noise = torch.randn(1, 3, *grid.shape, generator=torch.Generator().manual_seed(seed))
    field = gaussian(noise, sigma)[0]
    return DisplacementField(field * (size / field.abs().max()), grid)


def itk_field(field: DisplacementField) -> sitk.Transform:
    image = sitk.GetImageFromArray(field.data.movedim(0, -1).double().numpy(), isVector=True)
    image.CopyInformation(sitk_grid(field.grid))
    return sitk.DisplacementFieldTransform(image)


def itk_affine(affine: Affine) -> sitk.Transform:
    out = sitk.AffineTransform(3)
    out.SetMatrix(affine.linear.ravel().tolist())
    out.SetTranslation(affine.translation.tolist())
    return out


def random_volume(grid: Grid, seed: int = 1) -> Volume:
    return Volume(
        torch.rand(grid.shape, generator=torch.Generator().manual_seed(seed)) * 1000 - 900, grid
    )


@pytest.mark.parametrize("kind", ["linear", "nearest"])
def test_warp_is_sitk_resample_on_oblique_anisotropic_grids(kind: str) -> None:
    affine, field = small_affine(3, OBLIQUE), smooth_field(OBLIQUE.with_spacing(3.0), 4.0)
    target = OBLIQUE.with_spacing((1.7, 1.1, 1.9))
    volume = random_volume(OBLIQUE)
    if kind == "nearest":
        volume = Volume(volume.data > -300, volume.grid)
    for ours, theirs in ((affine, itk_affine(affine)), (field, itk_field(field))):
        image = to_sitk(
            Volume(volume.data.to(torch.uint8 if volume.is_mask else torch.float32), volume.grid)
        )
        how = sitk.sitkNearestNeighbor if volume.is_mask else sitk.sitkLinear
        fill = 0.0 if volume.is_mask else -1024.0
        expected = sitk.GetArrayFromImage(
            sitk.Resample(image, sitk_grid(target), theirs, how, fill)
        )
        found = ours.warp(volume, target, fill=fill).data.numpy().astype(np.float64)
        off = np.abs(found - expected) > 0.05
        assert off.mean() < (0.002 if volume.is_mask else 1e-9)  # ties of nearest fall either way


@given(grids(least=4), st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_points_move_as_in_sitk(grid: Grid, seed: int) -> None:
    field = smooth_field(grid, 5.0, seed)
    composite = Composite([small_affine(seed, grid), field])
    theirs = sitk.CompositeTransform([itk_field(field), itk_affine(composite.parts[0])])
    index = np.random.default_rng(seed).uniform(0, np.asarray(grid.size) - 1, (20, 3))
    points = grid.to_world(index)
    for ours, other in ((field, itk_field(field)), (composite, theirs)):
        expected = np.array([other.TransformPoint(p) for p in points.tolist()])
        np.testing.assert_allclose(ours.apply(points), expected, atol=1e-4)


def test_constant_shift_in_mm_moves_image_and_points_alike() -> None:
    """The frame test: wrong axis order, unit or sign cannot pass it."""
    shift = np.array([2.0, -3.0, 4.0])
    data = torch.tensor(shift, dtype=torch.float32)[:, None, None, None].expand(3, *OBLIQUE.shape)
    field = DisplacementField(data.contiguous(), OBLIQUE)
    point = OBLIQUE.to_world((11, 9, 8))
    np.testing.assert_allclose(field.apply(point[None])[0], point + shift, atol=1e-5)
    # a bright ball in the moving image at point + shift is seen at point in the warped one
    moving = OBLIQUE.with_spacing(0.7)
    centers = moving.to_world(np.argwhere(np.ones(moving.shape))[:, ::-1])
    ball = np.linalg.norm(centers - (point + shift), axis=1) < 3.0
    volume = Volume(torch.from_numpy(ball.reshape(moving.shape).astype(np.float32)), moving)
    warped = field.warp(volume, OBLIQUE, fill=0.0)
    weights = warped.data.numpy()
    where = OBLIQUE.to_world(np.argwhere(weights > -1)[:, ::-1])
    seen = (where * weights.reshape(-1, 1)).sum(axis=0) / weights.sum()
    np.testing.assert_allclose(seen, point, atol=0.3)


def test_affine_inverse_is_exact_and_after_composes() -> None:
    a, b = small_affine(1, OBLIQUE), small_affine(2, OBLIQUE)
    points = OBLIQUE.corners
    np.testing.assert_allclose(a.inverse().apply(a.apply(points)), points, atol=1e-9)
    np.testing.assert_allclose(b.after(a).apply(points), b.apply(a.apply(points)), atol=1e-9)
    np.testing.assert_allclose(
        Composite([a, b]).inverse().apply(b.apply(a.apply(points))), points, atol=1e-9
    )


@pytest.mark.parametrize("far", [0.0, 500.0])
def test_field_inverse_leads_back(far: float) -> None:
    grid = Grid((30, 26, 28), (2.0, 2.5, 3.0), (5, -7, 90), OBLIQUE.direction)
    field = smooth_field(grid, 6.0, seed=4, sigma=4.0)
    field = DisplacementField(field.data + far, grid)
    inverse, residual = field.inverse_with_residual()
    inner = grid.to_world(np.random.default_rng(0).uniform(8, 17, (200, 3)))
    back = inverse.apply(field.apply(inner))
    miss = np.linalg.norm(back - inner, axis=1)
    assert miss.mean() < 0.05
    assert miss.max() < 0.3
    assert float(residual.data.median()) < 0.02


def test_inverse_of_a_strong_expansion_converges() -> None:
    """du/dx above 1: the plain fixed point would diverge."""
    grid = Grid((40, 8, 8), (2.0, 2.0, 2.0))
    x = torch.as_tensor(grid.to_world(np.stack([np.arange(40)] + [np.zeros(40)] * 2, -1))[:, 0])
    data = torch.zeros(3, *grid.shape)
    data[0] = (1.4 * (x - 39)).float()  # stretch by 2.4
    inverse = DisplacementField(data, grid).inverse(grid)
    points = np.array([[41.0, 7.0, 7.0], [30.0, 5.0, 9.0]])
    np.testing.assert_allclose(
        inverse.apply(points)[:, 0], 39 + (points[:, 0] - 39) / 2.4, atol=0.05
    )


@pytest.mark.parametrize("iterations", [1, 60])
def test_the_reported_residual_is_the_true_miss(iterations: int) -> None:
    field = smooth_field(OBLIQUE, 6.0, sigma=2.0)
    inverse, residual = field.inverse_with_residual(OBLIQUE, iterations=iterations)
    index = np.argwhere(np.ones(OBLIQUE.shape))[:, ::-1]
    points = OBLIQUE.to_world(index)
    there = inverse.apply(points)
    inside = OBLIQUE.contains(there)
    miss = np.linalg.norm(field.apply(there) - points, axis=1)
    found = residual.data.numpy().ravel()
    np.testing.assert_allclose(found[inside], miss[inside], atol=2e-3)
    inner = inside & np.all((index > 4) & (index < np.asarray(OBLIQUE.size) - 5), axis=1)
    assert (miss[inner].max() > 0.1) == (iterations == 1)


def test_jacobian_of_an_affine_field_is_its_determinant() -> None:
    affine = small_affine(7, OBLIQUE, bend=0.2)
    jacobian = affine.displacement_on(OBLIQUE).jacobian()
    np.testing.assert_allclose(jacobian.data, np.linalg.det(affine.linear), atol=1e-3)


def test_a_known_fold_is_counted() -> None:
    grid = Grid((20, 6, 6), (1.5, 1.0, 2.0), (3, 4, 5), OBLIQUE.direction)
    along = np.asarray(grid.direction)[:, 0]
    length = torch.zeros(20)
    length[10:] = -6.0  # index 9 and 10 change places: a fold in the two slices around the jump
    data = torch.as_tensor(along.copy()).float()[:, None, None, None] * length
    jacobian = DisplacementField(data.expand(3, *grid.shape).contiguous(), grid).jacobian()
    folded = (jacobian.data <= 0).nonzero()[:, 2].unique().tolist()
    assert folded == [9, 10]


def test_resampling_a_field_keeps_its_meaning() -> None:
    coarse = Grid((20, 20, 20), (4.0, 4.0, 4.0), (-40, 10, 7))
    field = smooth_field(coarse, 5.0, sigma=3.0)
    fine = Grid((30, 30, 30), (1.2, 1.1, 1.4), (-20, 25, 25), OBLIQUE.direction)
    inside = fine.to_world(np.random.default_rng(0).uniform(2, 26, (200, 3)))
    inside = inside[coarse.contains(inside) & fine.contains(inside)]
    np.testing.assert_allclose(
        field.displacement_on(fine).apply(inside), field.apply(inside), atol=0.12
    )


def test_a_field_is_zero_outside_as_in_itk() -> None:
    field = smooth_field(OBLIQUE, 5.0)
    outside = OBLIQUE.to_world([[-0.6, 5, 5], [5, 5, 40]])
    np.testing.assert_array_equal(field.apply(outside), outside)
    edge = OBLIQUE.to_world([[-0.4, 5, 5]])
    np.testing.assert_allclose(
        field.apply(edge)[0], itk_field(field).TransformPoint(edge[0].tolist()), atol=1e-4
    )


def test_landmarks_change_frame_and_refuse_the_other() -> None:
    fixed = Landmarks(OBLIQUE.corners, "fixed")
    moved = small_affine(0, OBLIQUE).apply(fixed)
    assert moved.frame == "moving"
    with pytest.raises(ValueError, match="frame"):
        moved.distance_to(fixed)
    with pytest.raises(ValueError, match="paired"):
        moved.distance_to(Landmarks(moved.points[:3], "moving"))


def test_reduce_keeps_world_positions() -> None:
    grid = Grid((24, 24, 12), (1.0, 1.0, 2.0), (7, 8, 9), OBLIQUE.direction)
    ramp = (world := grid.to_world(np.argwhere(np.ones(grid.shape))[:, ::-1]))[:, 2].reshape(
        grid.shape
    )
    assert world.shape == (24 * 24 * 12, 3)
    reduced = Volume(torch.from_numpy(ramp).float(), grid).reduce(3.0)
    assert reduced.grid.size == (8, 8, 12)
    centers = reduced.grid.to_world(np.argwhere(np.ones(reduced.grid.shape))[:, ::-1])
    np.testing.assert_allclose(reduced.data.numpy().ravel(), centers[:, 2], atol=1e-3)
