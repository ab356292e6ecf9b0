"""Learn2Reg's figure, computed as the challenge does: in voxels, with scipy, from a field on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from tests.geometry import OBLIQUE

from lungmorph.measures import clipped_jacobian
from lungmorph.space import DisplacementField


def challenge(voxels: np.ndarray) -> np.ndarray:
    """clip(det + 3) inside the two outer voxels, from displacements (3, X, Y, Z) in voxels."""
    jacobian = np.empty((*voxels.shape[1:], 3, 3))
    for component in range(3):
        for axis in range(3):
            slope = correlate1d(voxels[component], [-0.5, 0, 0.5], axis=axis, mode="constant")
            jacobian[..., component, axis] = slope + (component == axis)
    inner = np.linalg.det(jacobian)[2:-2, 2:-2, 2:-2]
    return np.clip(inner + 3, 1e-9, 1e9)


def test_is_the_challenges_figure_whatever_the_grid() -> None:
    rng = np.random.default_rng(0)
    voxels = rng.normal(0, 0.9, (3, *OBLIQUE.size))  # folded, some below -3
    turned = np.asarray(OBLIQUE.direction) @ np.diag(OBLIQUE.spacing)
    world = np.einsum("ij,jxyz->izyx", turned, voxels)
    field = DisplacementField(torch.from_numpy(world).float(), OBLIQUE)
    inner = field.jacobian().data[2:-2, 2:-2, 2:-2]
    expected = challenge(voxels)
    assert (expected <= 1e-9).any()
    found = clipped_jacobian(inner)
    # a determinant at the clip turns on the last digit of float32
    assert found.sd_log == pytest.approx(np.log(expected).std(), rel=2e-3)
    assert found.percent == pytest.approx(100 * (expected <= 1e-9).mean(), abs=0.05)


def test_counts_a_region_and_is_blind_to_folds() -> None:
    jacobian = torch.tensor([1.0, -1.0, 7.0, -5.0])
    region = torch.tensor([True, True, True, False])
    found = clipped_jacobian(jacobian, region)
    assert found.sd_log == pytest.approx(np.log([4.0, 2.0, 10.0]).std())
    assert found.percent == 0.0
    assert clipped_jacobian(jacobian).percent == 25.0
    with pytest.raises(ValueError, match="at least one voxel"):
        clipped_jacobian(jacobian, torch.zeros(4, dtype=torch.bool))
