import numpy as np
import torch
from scipy.interpolate import BSpline

from lungmorph.ops.spline import cubic_weights, expand, gather


def test_cubic_weights_are_the_uniform_b_spline() -> None:
    at = torch.linspace(2, 6, 30, dtype=torch.float64)
    weights = cubic_weights(at, 9).numpy()
    for control in range(3, 6):
        spline = BSpline.basis_element(np.arange(control - 2, control + 3), extrapolate=False)
        np.testing.assert_allclose(
            weights[:, control], np.nan_to_num(spline(at.numpy())), atol=1e-9
        )


def test_weights_sum_to_one_everywhere() -> None:
    at = torch.linspace(-5, 15, 50, dtype=torch.float64)
    np.testing.assert_allclose(cubic_weights(at, 9).sum(1), 1.0, atol=1e-12)


def test_gather_is_the_adjoint_of_expand() -> None:
    g = torch.Generator().manual_seed(0)
    weights = tuple(
        cubic_weights(torch.rand(n, generator=g, dtype=torch.float64) * c, c)
        for n, c in ((7, 4), (9, 5), (8, 6))
    )
    control = torch.rand(2, 4, 5, 6, generator=g, dtype=torch.float64)
    image = torch.rand(2, 7, 9, 8, generator=g, dtype=torch.float64)
    left = (expand(control, weights) * image).sum()
    right = (control * gather(image, weights)).sum()
    np.testing.assert_allclose(left, right, rtol=1e-12)
