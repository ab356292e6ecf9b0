import numpy as np
import pytest
import torch
from scipy import ndimage

from lungmorph.simulate import Draw, acquire, real_anatomy, thorax
from lungmorph.simulate.trees import grow_tree, grow_twigs
from lungmorph.simulate.tubes import Tubes, tube_coverage, tube_depth
from lungmorph.space import Grid, Volume

GRID = Grid((80, 64, 80), (4.0, 4.0, 4.0), (-158.0, -126.0, -158.0))


@pytest.fixture(scope="module")
def patient():
    return thorax(5, GRID)


def test_same_seed_same_patient_other_seed_other_patient(patient):
    again, other = thorax(5, GRID), thorax(6, GRID)
    assert torch.equal(again.ct.data, patient.ct.data)
    assert torch.equal(again.lungs.data, patient.lungs.data)
    assert (other.ct.data - patient.ct.data).abs().mean() > 20


def test_lungs_are_two_and_the_right_one_is_bigger(patient):
    labels, count = ndimage.label(patient.lungs.data.numpy())
    sizes = ndimage.sum_labels(np.ones_like(labels), labels, range(1, count + 1))
    big = 1 + np.argsort(sizes)[::-1][:2]
    volumes = {}
    for label in big:
        where = np.argwhere(labels == label)
        side = "right" if where[:, 2].mean() < 40 else "left"  # +x is the patient's left
        volumes[side] = len(where) * 0.064e-3
    assert set(volumes) == {"left", "right"}
    assert volumes["right"] > volumes["left"] > 0.7
    assert 2.0 < sum(volumes.values()) < 8.0


def test_tissues_have_their_hounsfield_units(patient):
    ct, lungs = patient.ct.data, patient.lungs.data
    inner = torch.as_tensor(ndimage.binary_erosion(lungs.numpy(), iterations=2))
    assert -900 < float(ct[inner].median()) < -700
    assert float(ct[inner].quantile(0.99)) > -450  # vessels stand out
    assert float(ct[:, 0, 0].median()) == -1000  # air outside
    assert float((ct > 250).float().mean()) > 0.004  # bone
    soft = ct[(ct > 0) & (ct < 120)]
    assert len(soft) > 0.15 * ct.numel()
    behind, front = lungs.clone(), lungs.clone()
    behind[:, :32], front[:, 32:] = False, False
    assert ct[behind].median() > ct[front].median()  # gravity: denser behind


def test_trachea_is_air_and_not_lung(patient):
    high = patient.ct.data[70]
    middle = high[20:45, 36:44]
    assert float(middle.min()) < -900
    where = (middle < -900).nonzero()[0]
    assert not patient.lungs.data[70, 20 + where[0], 36 + where[1]]


def test_same_body_at_another_spacing(patient):
    fine = thorax(5, Grid((107, 86, 107), (3.0, 3.0, 3.0), (-159.0, -127.5, -159.0)))
    seen = fine.lungs.resample(GRID)
    both = (seen.data & patient.lungs.data).sum()
    dice = 2 * both / (seen.data.sum() + patient.lungs.data.sum())
    assert dice > 0.96


def test_a_turned_grid_is_refused():
    turned = Grid((8, 8, 8), direction=((0, -1, 0), (1, 0, 0), (0, 0, 1)))
    with pytest.raises(ValueError, match="world's axes"):
        thorax(1, turned)


@pytest.mark.parametrize("step", [1.5, 4.0])
@pytest.mark.parametrize("radius", [0.8, 4.0])
def test_a_tube_keeps_its_volume_at_any_spacing(step, radius):
    n = int(72 / step)
    grid = Grid((n, n, n), (step,) * 3, (-36.0, -36.0, -36.0))
    ends = torch.tensor([[-20.0, -9.0, -14.0], [18.0, 13.0, 21.0]])
    drawn = tube_coverage(Tubes.chain(ends, radius), grid)
    length = float((ends[1] - ends[0]).norm())
    volume = np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3
    assert float(drawn.sum()) * step**3 == pytest.approx(volume, rel=0.3)


def test_depth_is_the_distance_below_the_surface():
    grid = Grid((21, 21, 21), (1.0, 1.0, 1.0), (-10.0, -10.0, -10.0))
    ends = torch.tensor([[-4.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
    depth = tube_depth(Tubes.chain(ends, 3.0), grid)
    assert float(depth[10, 10, 10]) == pytest.approx(3.0)
    assert float(depth[10, 12, 10]) == pytest.approx(1.0)
    assert float(depth[10, 10, 16]) == pytest.approx(1.0)
    assert float(depth[0, 0, 0]) < 0


def test_a_tree_reaches_every_target_and_is_connected():
    targets = 60 * Draw(1).uniforms(100, 3)
    tree = grow_tree(Draw(2), torch.zeros(3), targets, 0.5, 6.0)
    gap = torch.cdist(targets.double(), tree.end.double()).min(dim=1).values
    assert float(gap.max()) < 1e-3
    starts = (
        torch.cdist(tree.start.double(), torch.cat((tree.end, torch.zeros(1, 3))).double())
        .min(dim=1)
        .values
    )
    assert float(starts.max()) < 1e-3
    assert float(tree.start_radius.max()) <= 6.0


def test_twigs_start_at_the_tree_and_reach_their_targets():
    tree = grow_tree(Draw(2), torch.zeros(3), 60 * Draw(1).uniforms(100, 3), 0.5, 6.0)
    targets = 60 * Draw(3).uniforms(50, 3)
    twigs = grow_twigs(Draw(4), tree, targets, 0.7)
    reached = torch.cdist(targets.double(), twigs.end.double()).min(dim=1).values
    assert float(reached.max()) < 1e-3
    ends = torch.cat((tree.end, twigs.end)).double()
    assert float(torch.cdist(twigs.start.double(), ends).min(dim=1).values.max()) < 1e-3
    # from the nearest end, not from any
    way = torch.cdist(targets, tree.end).min(dim=1).values
    first = twigs.start[: len(targets)]
    assert torch.allclose((targets - first).norm(dim=1), way, atol=1e-3)


def test_twigs_change_the_outer_lung_and_nothing_else(patient):
    more = thorax(5, GRID, twigs=True)
    changed = more.ct.data - patient.ct.data
    assert torch.equal(more.lungs.data, patient.lungs.data)
    assert float(changed[patient.lungs.data].mean()) > 1.0
    near = ndimage.binary_dilation(patient.lungs.data.numpy())
    assert float(changed[~torch.as_tensor(near)].abs().max()) == 0


def test_scanner_noise_is_as_strong_as_asked_and_thick_slices_blur_along_z():
    grid = Grid((24, 24, 24), (1.0, 1.0, 1.0))
    flat = Volume(torch.full(grid.shape, -800.0), grid)
    noisy = acquire(flat, Draw(3), noise_hu=25.0, blur_mm=0.0)
    assert float(noisy.data.std()) == pytest.approx(25.0, rel=0.02)
    step = torch.full(grid.shape, -800.0)
    step[12:] = 0
    thick = acquire(Volume(step, grid), Draw(3), 0.0, 0.0, slice_thickness=5.0).data
    assert -700 < float(thick[11, 5, 5]) < -300
    flipped = acquire(Volume(step.permute(2, 1, 0), grid), Draw(3), 0.0, 0.0, 5.0).data
    assert float(flipped[5, 5, 11]) == pytest.approx(-800.0, abs=1e-3)


def test_real_anatomy_needs_lungs():
    grid = Grid((4, 4, 4))
    ct = Volume(torch.zeros(grid.shape), grid)
    with pytest.raises(ValueError, match="empty"):
        real_anatomy(ct, Volume(torch.zeros(grid.shape, dtype=torch.bool), grid))
