import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lungmorph.ops import eroded, jacobian_determinant, smallest_determinant, warp
from lungmorph.simulate import TrainingPairs, real_anatomy, thorax
from lungmorph.space import Grid, Volume


@pytest.fixture(scope="module")
def source():
    return TrainingPairs(7, pool=2, renew_every=4)


@pytest.fixture(scope="module")
def pairs(source):
    return [source.pair(step) for step in range(10)]


def test_real_patient_is_the_same_in_whatever_order_its_voxels_lie():
    """NIfTI files of CT often count to the right and to the front."""
    grid = Grid((24, 20, 22), (9.0, 10.0, 11.0), (-100.0, -40.0, -300.0))
    generator = torch.Generator().manual_seed(3)
    hu = 100 * torch.randn(grid.shape, generator=generator) - 700
    lungs = torch.zeros(grid.shape, dtype=torch.bool)
    lungs[4:18, 3:16, 5:20] = True
    turned = Grid(
        grid.size,
        grid.spacing,
        tuple(grid.to_world([23, 19, 0])),
        ((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    )
    one = real_anatomy(Volume(hu, grid), Volume(lungs, grid))
    two = real_anatomy(*(Volume(v.flip(1, 2).contiguous(), turned) for v in (hu, lungs)))
    pairs = [TrainingPairs(1, 12.0, [a], procedural=0, sizes=(8, 16)).pair(0) for a in (one, two)]
    for name in ("fixed", "moving", "displacement"):
        assert torch.allclose(pairs[0][name], pairs[1][name], atol=0.05), name


def test_shapes_and_types(pairs):
    for pair in pairs:
        shape = pair["fixed"].shape[2:]
        assert all(56 <= n <= 88 and n % 8 == 0 for n in shape)
        for name in ("fixed", "moving"):
            assert pair[name].shape == (1, 1, *shape)
            assert pair[name].dtype == torch.float32
            assert torch.isfinite(pair[name]).all()
            assert pair[name + "_mask"].dtype == torch.bool
        assert pair["displacement"].shape == (1, 3, *shape)
        assert pair["displacement"].dtype == torch.float32


def test_the_truth_explains_the_pair(pairs):
    for pair in pairs:
        lung = pair["fixed_mask"]
        warped = warp(pair["moving"], pair["displacement"])

        def agreement(image, pair=pair, lung=lung):
            return np.corrcoef(image[lung].numpy(), pair["fixed"][lung].numpy())[0, 1]

        assert agreement(warped) > agreement(pair["moving"]) + 0.05
        mask = warp(pair["moving_mask"].float(), pair["displacement"]) > 0.5
        dice = 2 * (mask & lung).sum() / (mask.sum() + lung.sum())
        assert dice > 0.95


def test_tissue_thins_as_the_lung_grows_the_pre_alignment_included(pairs):
    """Scanners are calibrated unlike one another by more than a tenth: it shows over many pairs."""
    missed, stretch = [], []
    for pair in pairs:
        warped = warp(pair["moving"], pair["displacement"])
        moving = warp(pair["moving_mask"].float(), pair["displacement"]) > 0.5
        inner = eroded((pair["fixed_mask"] & moving)[0, 0], 3)  # no wall is blurred there
        fixed, moved = (
            float(image[0, 0][inner].mean()) + 1000 for image in (pair["fixed"], warped)
        )
        grown = jacobian_determinant(pair["displacement"], (1.0, 1.0, 1.0))[0, 0][inner].mean()
        missed.append(float(np.log(moved * float(grown) / fixed)))
        stretch.append(float(pair["stretch"].log()))
    assert np.std(stretch) > 0.05
    assert np.corrcoef(missed, stretch)[0, 1] < -0.6
    assert np.std(np.add(missed, stretch)) < 0.85 * np.std(missed)


def test_motion_is_of_the_asked_size_and_does_not_fold(pairs):
    means = []
    for pair in pairs:
        length = 4.0 * pair["displacement"].norm(dim=1, keepdim=True)
        means.append(float(length[pair["fixed_mask"]].mean()))
        assert float(smallest_determinant(pair["displacement"], (1.0, 1.0, 1.0)).min()) > 0.05
    assert min(means) < 8
    assert all(1.0 < m < 24 for m in means)


def test_any_step_can_be_asked_for_first(source, pairs):
    fresh = TrainingPairs(7, pool=2, renew_every=4)
    for step in (9, 3):
        again = fresh.pair(step)
        assert all(torch.equal(again[name], pairs[step][name]) for name in again)
    other = TrainingPairs(8, pool=2, renew_every=4).pair(3)
    assert other["fixed"].shape != pairs[3]["fixed"].shape or not torch.equal(
        other["fixed"], pairs[3]["fixed"]
    )


def test_real_patients_are_used():
    half = Grid((54, 44, 54), (6.0, 6.0, 6.0), (-159.0, -129.0, -159.0))
    source = TrainingPairs(1, anatomies=[thorax(3, half)], procedural=0.0)
    assert source.real[0].ct.grid.spacing == (4.0, 4.0, 4.0)
    pair = source.pair(0)
    assert not source._made
    assert float(pair["fixed_mask"].float().mean()) > 0.05


def test_a_pair_takes_few_operations():
    """A GPU waits for the next one longer than it works on most of them."""

    class Count(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.operations, self.waits = 0, 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.operations += 1
            self.waits += function.overloadpacket.__name__ == "nonzero"
            return function(*args, **(kwargs or {}))

    source = TrainingPairs(7, 6.0, pool=1, renew_every=1000, sizes=(40, 56))
    source.pair(0)
    for step in range(4):
        with Count() as count:
            source.pair(step)
        assert count.operations < 1800
        assert count.waits < 6
