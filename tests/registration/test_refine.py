"""The bending energy that holds the refinement back, and how strongly."""

from __future__ import annotations

import pytest
import torch

from lungmorph.ops import gaussian
from lungmorph.registration.bending import DIAGONAL, BendingForce, bending
from lungmorph.registration.control import ControlField, control_grid
from lungmorph.registration.prepare import Prepared
from lungmorph.registration.refine import _Problem
from lungmorph.registration.scale import Scale, scaled
from lungmorph.space import Affine, Grid, Volume
from lungmorph.space.sampling import world_points

GRID = Grid((9, 8, 7), (10.0, 10.0, 10.0), (-40.0, -35.0, -30.0))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def energy(u: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Half the sum over all (a, b) of squared second differences, written out."""
    total = torch.zeros((), dtype=u.dtype)
    for a in (1, 2, 3):
        for b in (1, 2, 3):
            bend = u.diff(dim=a).diff(dim=b)
            at = weight[None]
            for dim in (1, 2, 3):
                first = 1 if a == b == dim else 0
                at = at.narrow(dim, first, bend.shape[dim])
            total = total + 0.5 * (at * bend.square()).sum()
    return total


def test_it_is_the_gradient_of_the_bending_energy() -> None:
    u = random(3, *GRID.shape).requires_grad_()
    weight = random(*GRID.shape, seed=1).abs()
    (wanted,) = torch.autograd.grad(energy(u, weight), u)
    assert torch.allclose(BendingForce(weight)(u.detach()), wanted)


def test_the_diagonal_of_its_hessian() -> None:
    """What the solver divides by: the force of a unit displacement of one point on itself."""
    unit = torch.zeros(3, *GRID.shape)
    unit[0, 3, 4, 4] = 1.0
    assert float(BendingForce(torch.ones(GRID.shape))(unit)[0, 3, 4, 4]) == DIAGONAL


def test_an_even_stretch_costs_nothing() -> None:
    linear = torch.tensor([[0.1, 0.05, 0.0], [-0.02, 0.2, 0.1], [0.0, 0.03, -0.3]])
    v = torch.einsum("ab,zyxb->azyx", linear, world_points(GRID)) + 5
    bent = BendingForce(torch.ones(GRID.shape))(v)
    assert float(bent.abs().max()) < 1e-3
    assert float(bending(v, 10.0).max()) < 1e-8


def test_bending_is_in_the_units_of_the_world() -> None:
    """v_z = 0.01 x^2 / 2 bends by 0.01 mm^-1 in one direction, whatever the distance of the control points."""
    for spacing in (5.0, 10.0):
        grid = Grid((12, 10, 8), (spacing,) * 3, (-20.0, -25.0, 10.0))
        v = torch.zeros(3, *grid.shape)
        v[2] = 0.01 * world_points(grid)[..., 0].square() / 2
        middle = bending(v, spacing)[2:-2, 2:-2, 2:-2]
        assert middle.numpy() == pytest.approx(0.01**2, rel=1e-3)


def weight_of(noise_hu: float, wave_mm: float, lumps: float = 0.0) -> float:
    """What the pair asks for, of the same structure with noise in both scans and a field with waves of 48 mm.

    The noise is blurred by ``lumps`` voxels and as strong as before.
    """
    grid = Grid((48, 40, 36), (2.0, 2.0, 2.0))
    structure = torch.nn.functional.interpolate(
        random(1, 1, 9, 10, 12).float() * 150 - 700,
        grid.shape,
        mode="trilinear",
        align_corners=True,
    )[0, 0]
    noises = [gaussian(random(1, 1, *grid.shape, seed=seed).float(), lumps) for seed in (1, 2)]
    fixed, moving = (
        Volume(structure + noise_hu * noise[0, 0] / noise.std(), grid) for noise in noises
    )
    lungs = Volume(torch.ones(grid.shape, dtype=torch.bool), grid)
    scale = Scale(spacing=2.0, control=12.0, window=6.0, bending=None, steps=1)
    control = control_grid(grid, scale.control)
    field = ControlField(control)
    field.coefficients[0] = wave_mm * torch.sin(world_points(control)[..., 1] * 2 * torch.pi / 48)
    pair = Prepared(fixed, moving, lungs, lungs, grid)
    problem = _Problem(scaled(pair, Affine.identity(), scale), field)
    problem.look()
    return float(problem.weight().median())


def test_noise_and_evenness_ask_for_more() -> None:
    assert weight_of(80.0, 3.0) > 1.5 * weight_of(40.0, 3.0)
    assert weight_of(80.0, 3.0) > 1.5 * weight_of(80.0, 6.0)


def test_noise_in_lumps_asks_for_more() -> None:
    """It is fewer observations."""
    assert 300 > weight_of(80.0, 6.0, lumps=0.5) > 1.5 * weight_of(80.0, 6.0)


def test_a_field_that_does_not_bend_is_held_back_as_much_as_allowed() -> None:
    assert weight_of(10.0, 0.0) == 300.0
