"""What tests of several rooms share: one simulated patient."""

from __future__ import annotations

import pytest

from lungmorph.simulate import Breath, Draw, SimulatedPair, breathing_field, simulate_pair, thorax
from lungmorph.space import Grid


@pytest.fixture(scope="session")
def small_pair() -> SimulatedPair:
    """Inhale and exhale of one invented patient at 3 mm, the diaphragm moving by about 28 mm."""
    grid = Grid((104, 84, 100), (3.0, 3.0, 3.0), (-154.5, -124.5, -148.5))
    anatomy = thorax(7, grid)
    field = breathing_field(Draw(5, 1), anatomy.lungs, Breath(diaphragm=28.0, front=6.0, sides=3.0))
    return simulate_pair(anatomy, field, seed=3, noise_hu=15.0)
