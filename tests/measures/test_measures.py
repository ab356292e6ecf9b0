import numpy as np
import pytest
import torch
from tests.geometry import OBLIQUE

from lungmorph.measures import correlation, dice, folding, landmark_error
from lungmorph.space import Landmarks


def test_landmark_error_continuous_and_snapped() -> None:
    true = OBLIQUE.to_world([[2, 3, 4], [5.4, 6, 7], [8, 8, 8]])
    found = true + np.array([[0, 0, 3.0], [0, 0, 0], [4.0, 0, 0]])
    error = landmark_error(Landmarks(found, "moving"), Landmarks(true, "moving"), OBLIQUE)
    distances = np.array([3.0, 0.0, 4.0])
    assert error.count == 3
    assert error.continuous.mean == pytest.approx(distances.mean())
    assert error.continuous.sd == pytest.approx(distances.std())
    assert error.continuous.p95 == pytest.approx(np.percentile(distances, 95))
    assert error.continuous.max == pytest.approx(4.0)
    snapped = np.linalg.norm(OBLIQUE.snap(found) - OBLIQUE.snap(true), axis=1)
    assert error.snapped is not None
    assert error.snapped.mean == pytest.approx(snapped.mean())


def test_errors_in_different_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frame"):
        landmark_error(Landmarks(np.zeros((2, 3)), "fixed"), Landmarks(np.zeros((2, 3)), "moving"))


def test_folding_counts_zero_as_folded_and_only_inside() -> None:
    jacobian = torch.tensor([-1.0, 0.0, 0.5, 2.0, -3.0])
    region = torch.tensor([True, True, True, True, False])
    found = folding(jacobian, region)
    assert (found.voxels, found.percent, found.min, found.max) == (2, 50.0, -1.0, 2.0)
    assert found.sd_log == pytest.approx(np.log([0.5, 2.0]).std())


def test_dice_and_correlation() -> None:
    a = torch.tensor([1, 1, 1, 0, 0]).bool()
    b = torch.tensor([0, 1, 1, 1, 1]).bool()
    assert dice(a, b) == pytest.approx(4 / 7)
    x = torch.rand(50)
    y = torch.rand(50)
    assert correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
    assert correlation(x, torch.ones(50)) == 0.0
