import numpy as np
import pytest
import torch
from scipy import ndimage

from lungmorph.ops import smallest_determinant, warp
from lungmorph.simulate import (
    Breath,
    Draw,
    TrainingPairs,
    breathing_field,
    real_anatomy,
    simulate_pair,
    thorax,
)
from lungmorph.simulate.breathing import LEAST_DETERMINANT, least_determinant
from lungmorph.simulate.disease import collapse, with_tumour
from lungmorph.space import Grid, Volume

GRID = Grid((72, 58, 70), (4.2, 4.2, 4.4), (-150.0, -120.0, -152.0))


@pytest.fixture(scope="module")
def patient():
    return thorax(4, GRID)


@pytest.fixture(scope="module", params=["base", "hilum"])
def made(request, patient):
    return collapse(Draw(3), patient.lungs, request.param, radius_mm=60.0, volume_left=0.4)


def seen_through(volume, field):
    """A volume read at x + u(x) by scipy."""
    points = GRID.to_world(np.argwhere(np.ones(GRID.shape))[:, ::-1])
    points = points + field.movedim(0, -1).reshape(-1, 3).double().numpy()
    index = GRID.to_index(points)[:, ::-1].T
    found = ndimage.map_coordinates(volume.data.double().numpy(), index, order=1, mode="nearest")
    return found.reshape(GRID.shape)


def test_the_part_is_as_much_smaller_as_asked_and_nothing_folds(made):
    aerated = float(made.consolidation.share.data.sum())
    assert 150 < aerated * GRID.voxel_volume / 1000 < 900  # ml
    assert 0.3 < seen_through(made.consolidation.share, made.field).sum() / aerated < 0.6
    assert least_determinant(made.field, GRID) >= LEAST_DETERMINANT


def test_one_lung_collapses_and_the_bones_stay(patient, made):
    share = made.consolidation.share.data
    x = torch.as_tensor(GRID.to_world(np.c_[np.arange(72), np.zeros((72, 2))])[:, 0])
    sides = [float(share[..., x < -5].sum()), float(share[..., x > 5].sum())]
    assert min(sides) < 0.02 * max(sides)
    length = made.field.norm(dim=0)
    bones = patient.ct.data > 250
    assert float(length[bones].quantile(0.97)) < 4
    assert 8 < float(length.max()) < 45


def test_the_collapsed_part_shows_tissue_with_vessels_and_the_rest_keeps_its_mass(patient, made):
    quiet = {"noise_hu": 0.0, "blur_mm": 0.0}
    pair = simulate_pair(patient, made.field, 1, consolidation=made.consolidation, **quiet)
    plain = simulate_pair(patient, made.field, 1, **quiet)
    share = seen_through(made.consolidation.share, made.field)
    solid = torch.as_tensor(share > 0.97)
    hu = pair.fixed.data[solid]
    assert 20 < float(hu.median()) < 60
    assert float(plain.fixed.data[solid].median()) < -250
    assert float(pair.moving.data[solid & patient.lungs.data].median()) < -600
    elsewhere = torch.as_tensor(share == 0)
    assert torch.allclose(pair.fixed.data[elsewhere], plain.fixed.data[elsewhere], atol=1.0)
    # vessels that are brighter than the tissue go on through it
    bright = solid & (plain.fixed.data > 70)
    assert torch.allclose(pair.fixed.data[bright], plain.fixed.data[bright], atol=1.0)
    # the neighbours, that spread into the room, are thinner by the volume that they gained
    determinant = pair.truth.jacobian().data
    spread = elsewhere & pair.fixed_lungs.data & (determinant < 0.85)
    assert int(spread.sum()) > 100
    still = simulate_pair(patient, made.field, 1, conserve_mass=False, **quiet)
    ratio = (plain.fixed.data + 1000) / (still.fixed.data + 1000)
    loose = spread & (still.fixed.data < -600)
    assert torch.allclose(ratio[loose], determinant.clamp_min(0.4)[loose], atol=0.01)


def test_a_collapse_goes_with_a_breath(patient, made):
    breath = breathing_field(Draw(2), patient.lungs, Breath(14.0, 4.0, 2.0, random=1.0))
    both = made.after(breath)
    assert least_determinant(both, GRID) >= LEAST_DETERMINANT
    first = GRID.to_world(np.array([[30, 30, 20], [45, 25, 30], [22, 36, 40]]))
    index = GRID.to_index(first).round().astype(int)
    middle = first + breath.numpy()[:, index[:, 2], index[:, 1], index[:, 0]].T
    at = GRID.to_index(middle)[:, ::-1].T
    last = middle + np.stack(
        [ndimage.map_coordinates(c, at, order=1) for c in made.field.numpy()], 1
    )
    found = first + both.numpy()[:, index[:, 2], index[:, 1], index[:, 0]].T
    assert np.abs(found - last).max() < 0.5  # unfolding may smooth a little


def test_a_real_ct_of_one_lung_can_collapse():
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (60, 50, 40)), indexing="ij")
    lung = torch.as_tensor(x**2 + y**2 + z**2 < 0.8)
    grid = Grid((40, 50, 60), (4.0, 4.0, 4.0), (20.0, -80.0, -400.0))
    ct = Volume(torch.where(lung, -820.0, 30.0), grid)
    anatomy = real_anatomy(ct, Volume(lung, grid))
    made = collapse(Draw(5), anatomy.lungs, "base", radius_mm=45.0)
    assert least_determinant(made.field, grid) >= LEAST_DETERMINANT
    pair = simulate_pair(anatomy, made.field, 1, consolidation=made.consolidation, noise_hu=0.0)
    airless = float((pair.fixed.data > -100)[pair.fixed_lungs.data].float().mean())
    assert airless > 0.015 + float((pair.moving.data > -100)[pair.moving_lungs.data].float().mean())


def test_collapse_refuses_other_places_and_empty_lungs(patient):
    with pytest.raises(ValueError, match="base or hilum"):
        collapse(Draw(1), patient.lungs, "apex")
    with pytest.raises(ValueError, match="empty"):
        collapse(Draw(1), Volume(torch.zeros(GRID.shape, dtype=torch.bool), GRID))


def test_a_tumour_is_one_irregular_mass_of_its_size_in_the_lung(patient):
    radius = 18.0
    ill = with_tumour(patient, radius, 7)
    changed = (ill.ct.data > -200) & (patient.ct.data < -400)
    labels, _ = ndimage.label(changed.numpy())
    big = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    volume = big.sum() * GRID.voxel_volume
    assert 0.6 < volume / (4 / 3 * np.pi * radius**3) < 1.7
    assert 0 < float(ill.ct.data[torch.as_tensor(big)].median()) < 70
    assert torch.equal(ill.lungs.data, patient.lungs.data)
    # not a ball: its surface is now nearer to the middle, now farther away
    middle = np.argwhere(big).mean(axis=0)
    rim = np.argwhere(big & ~ndimage.binary_erosion(big))
    away = np.linalg.norm((rim - middle) * GRID.spacing[::-1], axis=1)
    assert away.std() > 0.08 * radius
    assert not torch.equal(with_tumour(patient, radius, 8).ct.data, ill.ct.data)
    with pytest.raises(ValueError, match="no room"):
        with_tumour(patient, 150.0, 1)


def test_training_pairs_with_collapse_and_the_same_others_without():
    few = {"spacing_mm": 6.0, "pool": 1, "sizes": (32, 48)}
    never, always = (TrainingPairs(3, collapse=share, **few) for share in (0.0, 1.0))
    sometimes = TrainingPairs(3, collapse=0.5, **few)
    ways = set()
    for step in range(5):
        a, b, c = (source.pair(step) for source in (never, always, sometimes))
        for other, whole in ((c, a), (c, b)):
            if torch.equal(other["fixed"], whole["fixed"]):
                break
        else:
            pytest.fail("neither the pair without nor the one with a collapse")
        assert float(smallest_determinant(b["displacement"], (1.0, 1.0, 1.0)).min()) > 0.02
        lung = b["fixed_mask"]
        mask = warp(b["moving_mask"].float(), b["displacement"]) > 0.5
        assert float(2 * (mask & lung).sum() / (mask.sum() + lung.sum())) > 0.93
        other = warp(b["moving"], b["displacement"])
        filled, emptied = (
            float((first > second + 400)[lung].float().mean())
            for first, second in ((b["fixed"], other), (other, b["fixed"]))
        )
        assert max(filled, emptied) > 0.01
        ways.add(filled > emptied)
    assert ways == {True, False}  # collapse and re-inflation
