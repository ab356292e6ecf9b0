"""The promises on real data, where they are at hand (``LUNGMORPH_DATA`` or ``../shared/data``)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lungmorph import read_image, register
from lungmorph.files import read_mask
from lungmorph.measures import dice, folding

DATA = Path(os.environ.get("LUNGMORPH_DATA", Path(__file__).parents[3] / "shared" / "data"))
PAIR = DATA / "real_pair_right_lung"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PAIR.is_dir(), reason=f"no real pair at {PAIR}; set LUNGMORPH_DATA"),
]


def test_the_real_pair_with_no_option_beyond_the_two_files() -> None:
    """Frames 32 mm apart, other crops: the given masks, which were not used, judge."""
    result = register(PAIR / "baseline.nii.gz", PAIR / "followup.nii.gz")
    fixed = read_image(PAIR / "baseline.nii.gz")
    lungs = read_mask(PAIR / "baseline_lungmask.nii.gz", fixed)
    other = read_mask(PAIR / "followup_lungmask.nii.gz")
    moved = result.transform.warp(other, fixed.grid)
    assert dice(moved.data, lungs.data) >= 0.97
    assert folding(result.transform.jacobian(fixed.grid).data, lungs.data).voxels == 0
    points = fixed.grid.to_world(np.argwhere(lungs.data.numpy())[::40, ::-1])
    back = result.inverse.apply(result.transform.apply(points))
    assert np.linalg.norm(back - points, axis=1).mean() <= 0.3
