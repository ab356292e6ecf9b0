"""The judge against SimpleITK and numpy on an oblique, anisotropic pair, and what it does without."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from tests.geometry import OBLIQUE, place, sitk_grid, small_affine, to_sitk

from lungmorph.errors import InputError
from lungmorph.evaluation.judge import judge
from lungmorph.measures import local_correlation, surface_distance
from lungmorph.space import Affine, Composite, DisplacementField, Grid, Landmarks, Volume


@dataclass
class Pair:
    fixed: Volume
    moving: Volume
    fixed_lungs: Volume
    moving_lungs: Volume
    landmarks: tuple[Landmarks, Landmarks]
    field: DisplacementField


@pytest.fixture(scope="module")
def pair() -> Pair:
    """Noise with an ellipsoid of lung in it, and a rough field on a grid that covers a part of it."""
    rng = np.random.default_rng(8)
    fixed_grid = OBLIQUE
    turn = Rotation.from_euler("z", 10, degrees=True).as_matrix() @ np.asarray(OBLIQUE.direction)
    moving_grid = Grid((27, 24, 18), (1.2, 1.0, 2.0), tuple(np.array(OBLIQUE.origin) - 2.0), turn)

    def ct(grid: Grid) -> Volume:
        values = gaussian_filter(rng.normal(-700, 900, grid.shape), 1.2)
        return Volume(torch.from_numpy(values).float(), grid)

    def lungs(grid: Grid, around: np.ndarray, radius: float) -> Volume:
        points = grid.to_world(np.moveaxis(np.indices(grid.shape)[::-1], 0, -1))
        return Volume(torch.from_numpy(np.linalg.norm(points - around, axis=-1) < radius), grid)

    middle = fixed_grid.center
    low, high = fixed_grid.bounds()
    low[2] = middle[2] - 4.0
    grid = Grid.covering(low, high, 2.5)
    data = gaussian_filter(rng.normal(0, 14.0, (3, *grid.shape)), (0, 0.9, 0.9, 0.9))
    at = middle + rng.uniform(-11, 11, (60, 3))
    moved = at + rng.normal(0, 3.0, at.shape)
    return Pair(
        ct(fixed_grid),
        ct(moving_grid),
        lungs(fixed_grid, middle, 7.5),
        lungs(moving_grid, middle + np.array([2.0, -1.0, 0.5]), 8.0),
        (Landmarks(at, "fixed"), Landmarks(moved, "moving")),
        DisplacementField(torch.from_numpy(data).float(), grid),
    )


def judged(pair: Pair, transform: object, **options: object) -> dict:
    volumes = (pair.fixed, pair.moving, pair.fixed_lungs, pair.moving_lungs)
    return judge(*volumes, transform, **options)  # type: ignore[arg-type]


def as_itk(field: DisplacementField) -> sitk.Transform:
    image = sitk.GetImageFromArray(field.data.double().numpy().transpose(1, 2, 3, 0), isVector=True)
    place(image, field.grid)
    return sitk.DisplacementFieldTransform(image)


def resampled(image: Volume, to: Grid, transform: sitk.Transform, fill: float) -> np.ndarray:
    how = sitk.sitkNearestNeighbor if image.is_mask else sitk.sitkLinear
    moving = to_sitk(
        Volume(image.data.to(torch.uint8) if image.is_mask else image.data, image.grid)
    )
    return sitk.GetArrayFromImage(sitk.Resample(moving, sitk_grid(to), transform, how, fill))


def determinants(transform: sitk.Transform, grid: Grid) -> np.ndarray:
    field = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, grid.size, grid.origin, grid.spacing,
        np.ravel(grid.direction).tolist(),
    )  # fmt: skip
    u = sitk.GetArrayFromImage(field)
    # d/dx_j = sum over index axes i of direction[j, i] d/ds_i
    slopes = [np.gradient(u, grid.spacing[i], axis=2 - i) for i in range(3)]
    jacobian = np.einsum("ji,izyxc->zyxcj", np.asarray(grid.direction), np.stack(slopes))
    return np.linalg.det(jacobian + np.eye(3))


def test_landmarks_as_simpleitk_maps_them(pair: Pair) -> None:
    found = judged(pair, pair.field, landmarks=pair.landmarks)["landmarks"]
    at, true = (marks.points for marks in pair.landmarks)
    transform = as_itk(pair.field)
    mapped = np.array([transform.TransformPoint(p.tolist()) for p in at])
    errors = np.linalg.norm(mapped - true, axis=1)
    assert found["count"] == 60
    assert np.allclose(found["after"]["errors_mm"], errors, atol=1e-4)
    assert found["after"]["continuous"]["sd"] == pytest.approx(errors.std(), abs=1e-4)
    assert found["over_2mm_percent"] == pytest.approx(100 * (errors > 2).mean())
    assert found["over_5mm_percent"] == pytest.approx(100 * (errors > 5).mean())
    apart = np.linalg.norm(at - true, axis=1)
    assert np.allclose(found["after"]["displacements_mm"], apart)
    assert found["before"]["continuous"]["mean"] == pytest.approx(apart.mean())
    # snapped: by the voxels of the moving image
    moving = sitk_grid(pair.moving.grid)

    def centre(point: np.ndarray) -> np.ndarray:
        index = moving.TransformPhysicalPointToIndex(point.tolist())
        return np.array(moving.TransformIndexToPhysicalPoint(index))

    snapped = [np.linalg.norm(centre(a) - centre(b)) for a, b in zip(mapped, true, strict=True)]
    assert found["after"]["snapped"]["mean"] == pytest.approx(np.mean(snapped), abs=1e-4)
    grid = sitk_grid(pair.field.grid)
    outside = 0
    for point in at:
        index = np.array(grid.TransformPhysicalPointToContinuousIndex(point.tolist()))
        outside += not ((index >= -0.5) & (index <= np.array(grid.GetSize()) - 0.5)).all()
    assert 0 < outside < 60
    assert found["outside_field"] == outside


def test_jacobian_overlap_and_similarity_as_simpleitk_and_numpy(pair: Pair) -> None:
    found = judged(pair, pair.field)
    grid, transform = pair.fixed.grid, as_itk(pair.field)
    lungs = pair.fixed_lungs.data.numpy()
    j = determinants(transform, grid)[lungs]
    folding = found["folding"]
    assert (j <= 0).any()
    assert folding["voxels"] == (j <= 0).sum()
    assert folding["percent"] == pytest.approx(100 * (j <= 0).mean())
    for key, value in (("min", j.min()), ("max", j.max()), ("mean", j.mean())):
        assert folding[key] == pytest.approx(value, abs=2e-4)
    assert folding["sd_log"] == pytest.approx(np.log(j[j > 0]).std(), rel=1e-3)
    # the challenge leaves out two voxels all around
    inner = np.zeros_like(lungs)
    inner[2:-2, 2:-2, 2:-2] = True
    assert (lungs & ~inner).any()
    for key, region in (("sd_log_learn2reg", lungs & inner), ("sd_log_learn2reg_image", inner)):
        clipped = np.clip(determinants(transform, grid)[region] + 3, 1e-9, 1e9)
        assert folding[key] == pytest.approx(np.log(clipped).std(), rel=1e-3)
    points = grid.to_world(np.argwhere(lungs)[:, ::-1])
    outside = 100 * (~pair.field.grid.contains(points)).mean()
    assert 0 < outside < 50
    assert folding["outside_field_percent"] == pytest.approx(outside)
    for when, how in (("before", sitk.Transform(3, sitk.sitkIdentity)), ("after", transform)):
        mask = resampled(pair.moving_lungs, grid, how, 0) > 0
        dice = 2 * (mask & lungs).sum() / (mask.sum() + lungs.sum())
        assert found["overlap"][f"dice_{when}"] == pytest.approx(dice, abs=1e-3)
        image = resampled(pair.moving, grid, how, -1024.0)[lungs]
        ncc = np.corrcoef(image, pair.fixed.data.numpy()[lungs])[0, 1]
        assert found["similarity"][f"ncc_{when}"] == pytest.approx(ncc, abs=1e-4)
        whole = torch.from_numpy(resampled(pair.moving, grid, how, -1024.0))
        local = local_correlation(pair.fixed.data, whole, pair.fixed_lungs.data)
        assert found["similarity"][f"lncc_{when}"] == pytest.approx(local, abs=1e-4)
        surfaces = surface_distance(pair.fixed_lungs.data, torch.from_numpy(mask), grid.spacing)
        key = "surface_mean_before_mm" if when == "before" else "surface_mean_mm"
        assert surfaces is not None
        assert found["overlap"][key] == pytest.approx(surfaces.mean, abs=0.01)


def test_any_transform_is_judged_as_its_displacements(pair: Pair) -> None:
    affine = small_affine(5, pair.fixed.grid, shift=2.0)
    chain = Composite([affine, Affine.from_parts(np.eye(3), (0.5, -1.0, 0.2))])
    low, high = pair.fixed.grid.bounds()
    dense = chain.displacement_on(Grid.covering(low, high, 1.0, margin=2.0))
    one, other = (
        judged(pair, t, landmarks=pair.landmarks, backward=chain.inverse()) for t in (chain, dense)
    )
    assert one["landmarks"]["outside_field"] == other["landmarks"]["outside_field"] == 0
    assert one["folding"]["mean"] == pytest.approx(np.linalg.det(affine.linear), abs=1e-4)
    assert one["folding"]["mean"] == pytest.approx(other["folding"]["mean"], abs=1e-4)
    errors = [found["landmarks"]["after"]["errors_mm"] for found in (one, other)]
    assert np.allclose(*errors, atol=1e-4)
    assert one["overlap"]["dice_after"] == pytest.approx(other["overlap"]["dice_after"], abs=1e-3)
    assert one["inverse_consistency_mm"]["max"] == pytest.approx(0.0, abs=1e-4)
    assert one["inverse_consistency_mm"]["counted_percent"] == 100.0
    points = pair.fixed.grid.to_world(np.argwhere(pair.fixed_lungs.data.numpy())[:, ::-1])
    moved = np.linalg.norm(chain.apply(points) - points, axis=1)
    assert one["displacement_mm"]["mean"] == pytest.approx(moved.mean(), abs=1e-4)
    assert one["displacement_mm"]["max"] == pytest.approx(moved.max(), abs=1e-4)


def test_the_truth_of_a_simulated_breath_has_no_error(small_pair) -> None:  # type: ignore[no-untyped-def]
    found = judge(
        small_pair.fixed, small_pair.moving, small_pair.fixed_lungs, small_pair.moving_lungs,
        small_pair.truth, landmarks=(small_pair.fixed_landmarks, small_pair.moving_landmarks),
    )  # fmt: skip
    assert found["landmarks"]["after"]["continuous"]["max"] < 0.1
    assert found["landmarks"]["before"]["continuous"]["mean"] > 5
    assert found["folding"]["voxels"] == 0
    overlap, similarity = found["overlap"], found["similarity"]
    assert overlap["dice_after"] > 0.99 > overlap["dice_before"]
    assert overlap["surface_mean_mm"] < 0.2 < overlap["surface_mean_before_mm"]
    assert similarity["lncc_after"] > similarity["lncc_before"] + 0.3


def test_what_is_not_there_is_none_and_the_rest_is_json(pair: Pair) -> None:
    far = Affine.from_parts(np.eye(3), (500.0, 0, 0))
    found = judged(pair, far, backward=pair.field)
    assert found["landmarks"] is None
    assert found["overlap"]["dice_after"] == 0.0
    assert found["overlap"]["surface_mean_mm"] is None
    assert found["inverse_consistency_mm"]["mean"] is None
    assert found["inverse_consistency_mm"]["counted_percent"] == 0.0
    json.dumps(found, allow_nan=False)
    mirrored = judged(pair, Affine.from_parts(np.diag([-1.0, 1, 1]), (0, 0, 0)))
    assert mirrored["folding"]["percent"] == 100.0
    assert mirrored["folding"]["sd_log"] is None
    assert mirrored["inverse_consistency_mm"] is None
    none = Landmarks(np.zeros((0, 3)), "fixed"), Landmarks(np.zeros((0, 3)), "moving")
    assert judged(pair, far, landmarks=none)["landmarks"] is None


def test_masks_may_be_labels_on_grids_of_their_own(pair: Pair) -> None:
    grid = pair.fixed.grid
    wider = grid.crop((-3, -2, -1), (grid.size[0] + 6, grid.size[1] + 4, grid.size[2] + 2))
    lungs = Volume(pair.fixed_lungs.data.to(torch.int16) * 7, grid).resample(wider)
    moving = Volume(pair.moving_lungs.data.to(torch.uint8) * 2, pair.moving.grid)
    one = judge(pair.fixed, pair.moving, lungs, moving, pair.field)
    assert one == judged(pair, pair.field)


def test_bad_input_is_named(pair: Pair) -> None:
    nothing = Volume(torch.zeros(pair.fixed.grid.shape, dtype=torch.bool), pair.fixed.grid)
    with pytest.raises(InputError, match=r"fixed lung mask.*no voxel"):
        judge(pair.fixed, pair.moving, nothing, pair.moving_lungs, pair.field)
    with pytest.raises(InputError, match=r"moving lung mask.*no voxel"):
        judge(pair.fixed, pair.moving, pair.fixed_lungs, nothing, pair.field)
    broken = DisplacementField(pair.field.data * float("nan"), pair.field.grid)
    with pytest.raises(InputError, match="voxels of the lung without a number"):
        judged(pair, broken)
