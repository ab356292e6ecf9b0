import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage

from lungmorph.ops import jacobian_determinant
from lungmorph.simulate import Breath, Draw, breathing_field, simulate_pair, thorax
from lungmorph.simulate.affine import fitted_affine, random_affine
from lungmorph.simulate.pairs import with_density
from lungmorph.space import Affine, DisplacementField, Grid

GRID = Grid((72, 56, 72), (4.0, 4.0, 4.0), (-142.0, -110.0, -142.0))


@pytest.fixture(scope="module")
def patient():
    return thorax(8, GRID)


@pytest.fixture(scope="module")
def field(patient):
    return breathing_field(Draw(1), patient.lungs, Breath(18.0, 6.0, 3.0, random=3.0))


def off_axis():
    return Affine(random_affine(Draw(4), np.zeros(3), 30.0, 0.0, 6.0).matrix)


def itk(volume):
    image = sitk.GetImageFromArray(volume.data.numpy().astype(np.float32))
    image.SetSpacing(volume.grid.spacing)
    image.SetOrigin(volume.grid.origin)
    image.SetDirection(np.asarray(volume.grid.direction).reshape(-1).tolist())
    return image


def test_simpleitk_warping_moving_by_the_truth_gives_fixed(patient, field):
    turn = off_axis().linear
    grid = Grid((60, 50, 62), (4.1, 4.3, 4.2), (-120.0, -100.0, -125.0), tuple(map(tuple, turn)))
    pair = simulate_pair(
        patient,
        field,
        1,
        noise_hu=0.0,
        blur_mm=0.0,
        conserve_mass=False,
        fixed_grid=grid,
        offset=off_axis(),
        moving_crop=((3, 2, 4), (66, 52, 64)),
    )
    assert pair.moving.grid.size == (66, 52, 64)
    data = pair.truth.data.double().movedim(0, -1).numpy()
    image = sitk.GetImageFromArray(data, isVector=True)
    image.CopyInformation(itk(pair.fixed))
    transform = sitk.DisplacementFieldTransform(image)
    warped = sitk.Resample(itk(pair.moving), itk(pair.fixed), transform, sitk.sitkLinear, -5000.0)
    warped = torch.as_tensor(sitk.GetArrayFromImage(warped))
    # off the edge of the crop, where either side may see the neighbour that the other lacks
    seen = torch.as_tensor(ndimage.binary_erosion((warped > -4000).numpy(), iterations=2))
    assert seen.float().mean() > 0.5
    assert float((warped - pair.fixed.data)[seen].abs().max()) < 0.5


def test_beyond_the_anatomy_a_scan_shows_air_and_no_lungs(patient, field):
    # turned against the anatomy, and reaching beyond it above, below and at one side
    turn = tuple(map(tuple, off_axis().linear))
    grid = Grid((75, 60, 90), (4.1, 4.3, 4.2), (-140.0, -110.0, -190.0), turn)
    pair = simulate_pair(patient, field, 1, noise_hu=0.0, blur_mm=0.0, fixed_grid=grid)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1)
    points = grid.to_world(index.reshape(-1, 3))
    beyond = torch.from_numpy(~GRID.contains(points)).reshape(grid.size).permute(2, 1, 0)
    assert 0.2 < float(beyond.float().mean()) < 0.8
    assert bool((pair.fixed.data[beyond] == -1000.0).all())
    assert not bool(pair.fixed_lungs.data[beyond].any())
    # and within, lungs reach to the very border of what is held: the border cuts through them
    assert bool(pair.fixed_lungs.data[~beyond].any())


def test_landmarks_follow_the_truth_and_lie_on_vessels_in_the_lung(patient, field):
    pair = simulate_pair(patient, field, 2, offset=off_axis())
    assert len(pair.fixed_landmarks) > 60
    mapped = pair.truth.apply(pair.fixed_landmarks)
    assert mapped.distance_to(pair.moving_landmarks).max() < 1e-9
    index = np.rint(pair.fixed.grid.to_index(pair.fixed_landmarks.points)).astype(int)
    bright = pair.fixed.data.numpy()[index[:, 2], index[:, 1], index[:, 0]]
    assert pair.fixed_lungs.data.numpy()[index[:, 2], index[:, 1], index[:, 0]].all()
    assert np.median(bright) > float(pair.fixed.data[pair.fixed_lungs.data].median()) + 60
    back = np.rint(pair.moving.grid.to_index(pair.moving_landmarks.points)).astype(int)
    also = pair.moving.data.numpy()[back[:, 2], back[:, 1], back[:, 0]]
    assert np.median(also) > float(pair.moving.data[pair.moving_lungs.data].median()) + 60


def test_the_mass_of_the_lung_is_kept(patient):
    grid = patient.ct.grid
    # a pure compression along z about the middle: every voxel's volume changes by 0.85
    field = torch.zeros(3, *grid.shape)
    z = torch.as_tensor(grid.to_world(np.c_[np.zeros((72, 2)), np.arange(72)])[:, 2])
    field[2] = (-0.15 * z)[:, None, None].float()
    pair = simulate_pair(patient, field, 3, noise_hu=0.0, blur_mm=0.0)
    plain = simulate_pair(patient, field, 3, noise_hu=0.0, blur_mm=0.0, conserve_mass=False)
    thin = plain.fixed_lungs.data & (plain.fixed.data < -600)
    ratio = (pair.fixed.data[thin] + 1000) / (plain.fixed.data[thin] + 1000)
    assert float(ratio.median()) == pytest.approx(0.85, abs=1e-3)
    solid = plain.fixed.data > -300
    assert torch.equal(pair.fixed.data[solid], plain.fixed.data[solid])


def test_density_stays_plausible():
    image, lungs = torch.full((2, 2, 2), -800.0), torch.ones(2, 2, 2, dtype=torch.bool)
    assert float(with_density(image, lungs, torch.full((2, 2, 2), 50.0)).max()) <= -300
    assert float(with_density(image, lungs, torch.full((2, 2, 2), 0.0)).min()) >= -1000
    assert torch.equal(with_density(image, ~lungs, torch.full((2, 2, 2), 2.0)), image)


def test_noise_is_independent_and_repeatable(patient, field):
    pair = simulate_pair(patient, 0 * field, 5, noise_hu=20.0)
    again = simulate_pair(patient, 0 * field, 5, noise_hu=20.0)
    assert torch.equal(pair.fixed.data, again.fixed.data)
    assert torch.equal(pair.moving.data, again.moving.data)
    clean = simulate_pair(patient, 0 * field, 5, noise_hu=0.0)
    a, b = (pair.fixed.data - clean.fixed.data), (pair.moving.data - clean.moving.data)
    inside = patient.lungs.data
    assert float(a[inside].std()) == pytest.approx(20.0, rel=0.1)
    assert abs(np.corrcoef(a[inside].numpy(), b[inside].numpy())[0, 1]) < 0.05


def test_the_truth_does_not_fold(patient, field):
    pair = simulate_pair(patient, field, 6)
    assert float(jacobian_determinant(pair.truth.data[None], GRID.spacing).min()) > 0


def test_affine_fit_recovers_an_affine():
    points = 100 * Draw(1).uniforms(200, 3)
    affine = random_affine(Draw(2), np.array([50.0, 50, 50]), 10.0, 0.1, 20.0)
    moved = affine.map_points(points.double())
    found = fitted_affine(points, (moved - points).float())
    assert np.allclose(found.matrix, affine.matrix, atol=1e-4)


def test_of_a_finer_anatomy_neither_scan_is_the_other_interpolated(patient, field):
    body = thorax(8, GRID.divided((2, 2, 2)))
    there = DisplacementField(field, GRID)
    quiet = {"noise_hu": 0.0, "blur_mm": 0.0, "conserve_mass": False}
    pair = simulate_pair(body, there, 1, fixed_grid=GRID, moving_grid=GRID, **quiet)
    # the moving scan holds what there is of the anatomy in its voxels
    assert torch.allclose(pair.moving.data, body.ct.in_blocks((2, 2, 2)).data, atol=0.5)
    back = there.inverse(GRID)
    inner = ndimage.binary_erosion(pair.fixed_lungs.data.numpy(), iterations=2)
    ways = []
    for fixed, moving, way in ((pair.fixed, pair.moving, there), (pair.moving, pair.fixed, back)):
        off = (way.warp(moving, GRID).data - fixed.data)[torch.from_numpy(inner)]
        ways.append(float(off.square().mean()) ** 0.5)
    # read from voxels as large, the one is as far from the other as the other from it
    assert min(ways) > 20
    assert max(ways) < 2 * min(ways)
    # while a scan that is read from the voxels of the other is exactly that
    alike = simulate_pair(patient, field, 1, **quiet)
    assert float((there.warp(alike.moving, GRID).data - alike.fixed.data).abs().max()) < 0.5
