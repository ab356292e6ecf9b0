"""Of several first guesses the right one is gone on from, and a wrong one does no harm."""

from importlib import import_module

import numpy as np
import pytest
import torch

from lungmorph import Volume, register
from lungmorph.registration.displacement import Displacement, nothing, sampled
from lungmorph.registration.prepare import Prepared
from lungmorph.registration.presets import PRESETS, Preset
from lungmorph.registration.scale import Scale
from lungmorph.registration.starts import best_start, confirmed
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Affine, Grid

GRID = Grid((40, 36, 32), (4.0, 4.0, 4.0), (-70.0, 12.0, 30.0))
SHIFT = torch.tensor([0.0, -8.0, 28.0])
SCALE = Scale(spacing=4.0, control=20.0, window=8.0, bending=10.0, steps=3)


@pytest.fixture(scope="module")
def shifted() -> Prepared:
    """fixed(x) = moving(x + SHIFT), of a texture that is alike to itself over 12 mm."""
    noise = torch.randn(1, 1, 60, 60, 60, generator=torch.Generator().manual_seed(4))
    smooth = torch.nn.functional.avg_pool3d(noise, 3, 1, 1)[0, 0]
    whole = Volume(-600 + 900 * smooth, Grid((60, 60, 60), GRID.spacing, GRID.origin))
    by = tuple(np.add(GRID.origin, SHIFT.numpy()))
    moved = whole.resample(Grid(GRID.size, GRID.spacing, by)).data
    lungs = Volume(torch.ones(GRID.shape, dtype=torch.bool), GRID)
    return Prepared(Volume(moved, GRID), whole.resample(GRID), lungs, lungs, GRID)


def everywhere(shift: torch.Tensor) -> Displacement:
    return sampled(shift[:, None, None, None].expand(3, *GRID.shape).contiguous(), GRID)


@pytest.mark.parametrize("order", [("right", "none", "wrong"), ("wrong", "none", "right")])
def test_the_guess_that_explains_the_images_wins(shifted: Prepared, order: tuple[str, ...]) -> None:
    guesses = {"right": everywhere(SHIFT + 3), "none": nothing, "wrong": everywhere(-SHIFT)}
    given = {name: guesses[name] for name in order}
    found = best_start(shifted, Affine.identity(), [SCALE], given)(GRID)
    inner = found[:, 3:20, 5:-5, 5:-5].reshape(3, -1)
    assert float((inner - SHIFT[:, None]).norm(dim=0).mean()) < 1.0


def test_an_answer_is_confirmed_unless_a_part_of_the_lung_goes_elsewhere(shifted: Prepared) -> None:
    answer, identity = everywhere(SHIFT), Affine.identity()
    blocks = Grid((26, 24, 21), (6.0, 6.0, 6.0), GRID.origin)
    found = answer(blocks) + 2.0 / 3**0.5
    assert confirmed(shifted, identity, answer, found, blocks)
    found[2, :3, :3, :3] += 6.0  # 27 of 13,104 places
    assert not confirmed(shifted, identity, answer, found, blocks)


def test_a_network_that_is_far_off_does_no_harm(
    small_pair: SimulatedPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("lungmorph.registration.register")
    true = module.predict

    def astray(*args: object, **options: object) -> tuple[torch.Tensor, Grid]:
        v, grid = true(*args, **options)  # type: ignore[arg-type]
        return v + torch.tensor([25.0, -30.0, 40.0])[:, None, None, None], grid

    monkeypatch.setattr(module, "predict", astray)
    found = register(small_pair.fixed, small_pair.moving, spacing=4.0).transform
    error = found.apply(small_pair.fixed_landmarks).distance_to(small_pair.moving_landmarks)
    assert error.mean() < 1.5


def test_coarse_and_fine_scales_are_all_scales() -> None:
    for preset in (*PRESETS.values(), PRESETS["default"].with_spacing(10.0)):
        assert (*preset.coarse, *preset.fine) == preset.scales
    alone = Preset("alone", (Scale(2.0, 9.0, 4.0, 3.0, 4),), field_mm=2.0)
    assert (alone.coarse, alone.fine) == (alone.scales, ())
