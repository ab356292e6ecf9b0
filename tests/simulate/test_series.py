import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.ndimage import binary_erosion, map_coordinates

from lungmorph.ops import jacobian_determinant
from lungmorph.simulate import PHASES, Breath, Draw, breathing_field, simulate_series, thorax
from lungmorph.simulate.breathing import LEAST_DETERMINANT, least_determinant
from lungmorph.simulate.recipe import Recipe
from lungmorph.simulate.series import course
from lungmorph.space import Grid

GRID = Grid((58, 46, 54), (5.0, 5.0, 6.0), (-142.0, -110.0, -160.0))


@pytest.fixture(scope="module")
def patient():
    return thorax(8, GRID)


@pytest.fixture(scope="module")
def series(patient):
    field = breathing_field(Draw(1), patient.lungs, Breath(18.0, 6.0, 3.0, random=2.0))
    return simulate_series(patient, field, 4, noise_hu=0.0, blur_mm=0.0, landmarks=150)


def displaced(field, points):
    """x + u(x) by scipy, in float64."""
    index = field.grid.to_index(points)[:, ::-1].T
    data = field.data.double().numpy()
    found = [map_coordinates(part, index, order=1, mode="nearest") for part in data]
    return points + np.stack(found, axis=1)


def test_ten_phases_end_of_inhale_first(patient, series):
    assert [marked.frame for marked in series.landmarks] == list(PHASES)
    assert torch.allclose(series.phases[0].data, patient.ct.data, atol=0.1)
    litres = [float(lungs.data.sum()) * GRID.voxel_volume / 1e6 for lungs in series.lungs]
    assert litres.index(max(litres)) == 0
    assert litres.index(min(litres)) in (4, 5, 6)
    assert litres[5] < 0.93 * litres[0]


def test_landmarks_are_one_point_of_the_body_in_every_phase(series):
    assert len(series.landmarks[0]) > 50
    start = series.landmarks[0].points
    for phase, marked in zip(PHASES, series.landmarks, strict=True):
        there = displaced(series.to_anatomy(phase), marked.points)
        assert np.abs(there - start).max() < 0.01
    moved = np.linalg.norm(series.landmarks[5].points - start, axis=1)
    assert moved.mean() > 3


def test_landmarks_follow_the_truth_between_any_two_phases(series):
    for a, b in ((0, 5), (2, 8), (7, 3)):
        truth = series.truth(PHASES[a], PHASES[b])
        found = truth.apply(series.landmarks[a].points)
        miss = np.linalg.norm(found - series.landmarks[b].points, axis=1)
        # the truth is known at voxels; between them it is interpolated
        assert miss.mean() < 0.1
        assert miss.max() < 0.8


def test_the_truth_agrees_with_an_inversion_by_simpleitk(series):
    truth = series.truth("T30", "T80")
    there = series.to_anatomy("T80")
    image = sitk.GetImageFromArray(there.data.double().movedim(0, -1).numpy(), isVector=True)
    image.SetSpacing(GRID.spacing)
    image.SetOrigin(GRID.origin)
    back = sitk.InvertDisplacementField(
        image, maximumNumberOfIterations=60, maxErrorToleranceThreshold=1e-3,
        meanErrorToleranceThreshold=1e-5,
    )  # fmt: skip
    back = sitk.DisplacementFieldTransform(sitk.Cast(back, sitk.sitkVectorFloat64))
    inside = np.argwhere(series.lungs[3].data.numpy())[::40, ::-1]
    points = GRID.to_world(inside)
    anatomy = displaced(series.to_anatomy("T30"), points)
    expected = np.array([back.TransformPoint(point) for point in anatomy.tolist()])
    miss = np.linalg.norm(truth.apply(points) - expected, axis=1)
    assert np.median(miss) < 0.05
    assert np.quantile(miss, 0.95) < 0.3
    assert np.linalg.norm(expected - points, axis=1).mean() > 1.5


def test_warping_one_phase_by_the_truth_gives_the_other(patient):
    field = breathing_field(Draw(1), patient.lungs, Breath(18.0, 6.0, 3.0, random=2.0))
    made = simulate_series(
        patient, field, 4, noise_hu=0.0, blur_mm=0.0, conserve_mass=False, landmarks=5
    )
    truth = made.truth("T50", "T00")
    warped = truth.warp(made.phases[0], GRID)
    # T00 is the anatomy itself: nothing but this one interpolation
    assert float((warped.data - made.phases[5].data).abs().max()) < 0.1
    back = made.truth("T00", "T50").warp(made.phases[5], GRID).data
    inside = made.lungs[0].data
    before = (made.phases[5].data - made.phases[0].data)[inside].abs().mean()
    assert float((back - made.phases[0].data)[inside].abs().mean()) < 0.6 * float(before)


def test_no_phase_folds(series):
    for phase in PHASES[1:]:
        assert least_determinant(series.to_anatomy(phase).data, GRID) >= LEAST_DETERMINANT
    truth = series.truth("T20", "T60").data
    inside = series.lungs[2].data
    assert float(jacobian_determinant(truth[None], GRID.spacing)[0, 0][inside].min()) > 0


def test_the_way_in_is_not_the_way_out(patient, series):
    assert [course(p)[1] for p in ("T00", "T50")] == [0.0, 0.0]
    assert [course(p)[0] for p in ("T00", "T50")] == [0.0, pytest.approx(1.0)]
    out, back = (series.landmarks[n].points for n in (2, 8))
    apart = np.linalg.norm(out - back, axis=1)
    assert 0.5 < apart.mean() < 5.0
    straight = simulate_series(
        patient, series.breath, 4, hysteresis_mm=0.0, noise_hu=0.0, landmarks=20
    )
    same = straight.landmarks[2].points - straight.landmarks[8].points
    assert np.abs(same).max() < 0.02


def test_mass_is_kept_and_noise_is_independent(patient, series):
    # off the lung's surface, where voxels are half tissue
    inner = binary_erosion(patient.lungs.data.numpy(), iterations=2).astype(float)
    mass, volume = [], []
    for phase, scan in zip(PHASES, series.phases, strict=True):
        points = GRID.to_world(np.argwhere(np.ones(GRID.shape))[:, ::-1])
        index = GRID.to_index(displaced(series.to_anatomy(phase), points))[:, ::-1].T
        part = map_coordinates(inner, index, order=1)
        mass.append(float((part * (scan.data.double().numpy().ravel() + 1000)).sum()))
        volume.append(part.sum())
    assert min(volume) < 0.92 * max(volume)
    assert max(mass) / min(mass) < 1.03
    assert float(series.phases[5].data[series.lungs[5].data].mean()) > float(
        series.phases[0].data[series.lungs[0].data].mean()
    )
    noisy = simulate_series(patient, 0 * series.breath.data, 4, hysteresis_mm=0.0, landmarks=5)
    a, b = (noisy.phases[n].data - patient.ct.data for n in (0, 1))
    inside = patient.lungs.data
    assert abs(np.corrcoef(a[inside].numpy(), b[inside].numpy())[0, 1]) < 0.5


def test_a_collapsed_part_has_no_air_in_any_phase():
    """Both series breathe alike; the patient of one has lost the air in a part of a lung."""
    given = {"seed": 5, "spacing": (6.0, 6.0, 6.0), "depth_mm": 15.0, "noise_hu": 0.0}
    well, ill = (Recipe(**given, collapse=share).series(0) for share in (0.0, 1.0))

    def airless_ml(series, number):
        """Lung tissue in what the mask calls lung."""
        scan, lungs = series.phases[number], series.lungs[number]
        inner = binary_erosion(lungs.data.numpy(), iterations=2)
        return float((scan.data.numpy()[inner] > -100).sum()) * lungs.grid.voxel_volume / 1e3

    for number in (0, 3, 5, 8):
        assert airless_ml(ill, number) > airless_ml(well, number) + 20
    litres = [[float(one.data.sum()) for one in series.lungs] for series in (well, ill)]
    assert max(litres[1]) < max(litres[0]) * 1.01
