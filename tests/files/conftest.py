import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `replicas`


def turned(seed: int = 0) -> np.ndarray:
    """A right-handed orthonormal 3x3 matrix that is far from the identity."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q if np.linalg.det(q) > 0 else q * [1, 1, -1]


@pytest.fixture
def oblique() -> np.ndarray:
    return turned()
