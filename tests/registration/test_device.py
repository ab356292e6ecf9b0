"""A registration on a GPU. What needs one is skipped where there is none; the rest asks only where tensors are made."""

import threading

import pytest
import torch

from lungmorph import Registration, register
from lungmorph.registration.on_device import on_device
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Grid
from lungmorph.space.sampling import world_points
from lungmorph.threads import side_by_side

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def difference_in_lungs(one: Registration, other: Registration) -> float:
    """Mean distance in the fixed lungs, mm, between where two registrations lead."""
    grid = one.fixed_lungs.grid
    away = one.transform.displacement_on(grid).data - other.transform.displacement_on(grid).data
    return float(away.norm(dim=0)[one.fixed_lungs.data].mean())


@needs_cuda
@pytest.mark.parametrize("preset", ["fast", "default"])
def test_a_gpu_finds_what_the_cpu_does(small_pair: SimulatedPair, preset: str) -> None:
    here = register(small_pair.fixed, small_pair.moving, preset=preset)
    there = register(small_pair.fixed, small_pair.moving, preset=preset, device="cuda")
    assert difference_in_lungs(here, there) < 0.02
    for volume in (there.fixed, there.moving, there.fixed_lungs, there.moving_lungs):
        assert volume.data.device.type == "cpu"
    assert there.transform.data.device.type == "cpu"


@needs_cuda
def test_the_state_to_check_by_comes_from_a_gpu_too(small_pair: SimulatedPair) -> None:
    scans = small_pair.fixed, small_pair.moving
    fine = register(*scans, spacing=2.0, levels=0, device="cuda")
    assert fine.coarse is not None
    check = register(*scans, spacing=6.0, levels=0, device="cuda").transform
    assert fine.coarse().data.device.type == "cpu"
    assert fine.coarse().data.shape == check.data.shape


def test_new_tensors_are_made_on_the_device_that_was_asked_for() -> None:
    grid = Grid((4, 3, 2), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    with on_device("cpu"):
        assert world_points(grid).device.type == "cpu"
    with on_device("meta"):
        assert world_points(grid).device.type == "meta"
        assert world_points(grid, device="cpu").device.type == "cpu"
    assert world_points(grid).device.type == "cpu"


def test_work_for_another_device_stays_in_its_thread() -> None:
    with on_device("meta"):
        made = side_by_side(lambda n: (threading.get_ident(), torch.zeros(n)), range(3))
    assert {thread for thread, _ in made} == {threading.get_ident()}
    assert {tensor.device.type for _, tensor in made} == {"meta"}
