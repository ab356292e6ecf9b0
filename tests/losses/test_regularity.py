"""Energies of fields whose energy is known by hand."""

import math

import numpy as np
import pytest
import torch

from lungmorph import losses

SPACING = (2.0, 3.0, 5.0)


def points(shape=(6, 7, 8), spacing=SPACING, dtype=torch.float64):
    """(1, 3, D, H, W): each voxel's own place in mm, (x, y, z)."""
    axes = [torch.arange(n, dtype=dtype) * s for n, s in zip(shape, reversed(spacing), strict=True)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((x, y, z))[None]


def linear(matrix, **kwargs):
    return torch.einsum(
        "ij,bjdhw->bidhw", torch.tensor(matrix, dtype=torch.float64), points(**kwargs)
    )


MATRIX = [[0.1, 0.02, -0.03], [0.0, -0.2, 0.05], [0.04, 0.0, 0.3]]
SQUARES = sum(v * v for row in MATRIX for v in row)


def test_linear_field_has_the_energy_of_its_matrix():
    field = linear(MATRIX)
    assert float(losses.diffusion(field, spacing=SPACING)) == pytest.approx(SQUARES)
    tv = losses.isotropic_tv(field, spacing=SPACING, smooth=1e-6)
    assert float(tv) == pytest.approx(math.sqrt(SQUARES), abs=1e-5)


def test_affine_field_does_not_bend():
    field = linear(MATRIX) + 7
    assert float(losses.bending_energy(field, spacing=SPACING)) < 1e-20


def test_quadratic_field_bends_by_its_second_derivatives():
    x, y, _ = points()[0]
    zero = torch.zeros_like(x)
    field = torch.stack((0.5 * x * x, 3 * x * y, zero))[None]
    # d2/dx2 of the first: 1; d2/dxdy of the second: 3, counted twice
    assert float(losses.bending_energy(field, spacing=SPACING)) == pytest.approx(1 + 2 * 9)


def test_only_the_mask_counts():
    field = linear(MATRIX)
    field[..., 5:] += 100 * torch.rand(
        field[..., 5:].shape, generator=torch.Generator().manual_seed(0)
    )
    mask = torch.zeros(1, 1, 6, 7, 8, dtype=torch.bool)
    mask[..., :5] = True
    assert float(losses.diffusion(field, mask, SPACING)) == pytest.approx(SQUARES)
    assert float(losses.bending_energy(field, mask, SPACING)) < 1e-20
    tv = losses.isotropic_tv(field, mask, SPACING, smooth=1e-6)
    assert float(tv) == pytest.approx(math.sqrt(SQUARES), abs=1e-5)
    assert float(losses.jacobian_penalty(field, mask & (torch.arange(8) < 4), SPACING)) == 0


def test_tv_prefers_one_jump_to_a_ramp_of_the_same_height_no_more_than_diffusion_does():
    ramp = torch.zeros(1, 3, 1, 1, 11, dtype=torch.float64)
    jump = ramp.clone()
    ramp[:, 1] = torch.linspace(0, 10, 11)
    jump[:, 1, ..., 5:] = 10
    assert float(losses.isotropic_tv(jump, smooth=1e-9)) == pytest.approx(
        float(losses.isotropic_tv(ramp, smooth=1e-9))
    )
    assert float(losses.diffusion(jump)) == pytest.approx(10 * float(losses.diffusion(ramp)))


def test_jacobian_penalty_starts_where_space_folds():
    # x -> x (1 + a): det = 1 + a
    for stretch, expected in ((-0.9, 0.0), (-1.5, 0.5), (-3.0, 2.0), (2.0, 0.0)):
        field = linear([[stretch, 0, 0], [0, 0, 0], [0, 0, 0]])
        assert float(losses.jacobian_penalty(field, spacing=SPACING)) == pytest.approx(expected)
    field = linear([[-0.9, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert float(losses.jacobian_penalty(field, spacing=SPACING, margin=0.3)) == pytest.approx(0.2)


def test_field_at_rest_costs_nothing_and_has_a_finite_gradient():
    for energy in (
        losses.diffusion, losses.bending_energy, losses.isotropic_tv, losses.jacobian_penalty,
    ):  # fmt: skip
        rest = torch.zeros(1, 3, 4, 4, 4, requires_grad=True)
        value = energy(rest)
        (gradient,) = torch.autograd.grad(value, rest)
        assert float(value.detach()) == 0
        assert torch.isfinite(gradient).all()


def test_displacement_error_is_the_distance_in_mm():
    truth = torch.zeros(1, 3, 4, 4, 4)
    found = torch.tensor([3.0, 0.0, 2.0]).view(1, 3, 1, 1, 1).expand_as(truth)
    error = losses.displacement_error(found, truth, spacing=(1, 1, 2), smooth=0)
    assert float(error) == pytest.approx(5)
    # rounded off by no more than its smoothing, and with a gradient where all is right
    assert 4.9 < float(losses.displacement_error(found, truth, spacing=(1, 1, 2))) < 5
    exact = truth.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(losses.displacement_error(exact, truth), exact)
    assert float(gradient.abs().max()) == 0


@pytest.mark.parametrize(
    "energy",
    [
        losses.diffusion,
        losses.bending_energy,
        losses.isotropic_tv,
        lambda u, m, s: losses.jacobian_penalty(u, m, s, margin=2.0),
        lambda u, m, s: losses.displacement_error(u, torch.ones_like(u), m, s),
    ],
)
def test_gradients(energy):
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(1, 3, 4, 3, 4, generator=generator, dtype=torch.float64).requires_grad_()
    mask = torch.rand(1, 1, 4, 3, 4, generator=generator) > 0.2
    assert torch.autograd.gradcheck(lambda u: energy(u, mask, SPACING), (field,))


def test_total_variation_counts_where_its_three_differences_are_inside() -> None:
    """Voxels diagonally beyond a voxel have no part in it, and may be outside."""
    generator = torch.Generator().manual_seed(5)
    field = torch.randn(1, 3, 4, 5, 6, generator=generator)
    mask = torch.ones(1, 1, 4, 5, 6)
    mask[0, 0, 2, 3, 4] = 0
    found = float(losses.isotropic_tv(field, mask, SPACING, smooth=1e-6))
    values = []
    for k in range(3):
        for j in range(4):
            for i in range(5):
                ahead = [(k, j, i + 1), (k, j + 1, i), (k + 1, j, i)]
                if all(mask[0, 0, z, y, x] for z, y, x in [(k, j, i), *ahead]):
                    own = field[0, :, k, j, i]
                    steps = [
                        (field[0, :, z, y, x] - own) / step
                        for (z, y, x), step in zip(ahead, SPACING, strict=True)
                    ]
                    values.append(float(torch.stack(steps).norm()))
    assert len(values) == 3 * 4 * 5 - 4
    assert found == pytest.approx(np.mean(values), rel=1e-4)
