"""Numbers that are of no use any more."""

import math

import pytest
from torch import nn

from lungmorph.training.divergence import LARGEST_WEIGHT, run_away


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("value", [math.nan, math.inf, -2 * LARGEST_WEIGHT])
def test_a_weight_that_ran_away_is_told_wherever_it_is(layer: int, value: float) -> None:
    model = network()
    assert run_away(model) == ""
    model[layer].bias.data[1] = value
    assert "weight" in run_away(model)
