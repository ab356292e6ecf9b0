"""Balls of voxels, against scipy's exact distances."""

import numpy as np
import pytest
from scipy import ndimage

from lungmorph.registration.morphology import LARGEST, closed, grown, opened, shrunk


@pytest.mark.parametrize("radius", [1, 2, 3, LARGEST])
def test_a_mask_shrinks_by_what_is_no_farther_than_the_radius(radius: int) -> None:
    draw = np.random.default_rng(radius)
    noise = ndimage.gaussian_filter(draw.standard_normal((30, 26, 41)), 3)
    mask = noise > np.quantile(noise, 0.2)
    # beyond the image the mask goes on
    wide = np.pad(mask, radius + 1, mode="edge")
    inner = (slice(radius + 1, -radius - 1),) * 3
    expected = (ndimage.distance_transform_edt(wide) > radius)[inner]
    assert 0 < expected.sum() < mask.sum()
    assert np.array_equal(shrunk(mask, radius), expected)
    assert np.array_equal(grown(~mask, radius), ~expected)


def test_a_slice_shrinks_as_well() -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal((40, 33)), 2) > -0.02
    wide = np.pad(mask, 3, mode="edge")
    for radius in (1, 2):
        expected = (ndimage.distance_transform_edt(wide) > radius)[3:-3, 3:-3]
        assert 0 < expected.sum() < mask.sum()
        assert np.array_equal(shrunk(mask, radius), expected)


def test_thin_parts_are_opened_away_and_small_gaps_closed() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[4:12, 4:12, 4:12] = True
    thin = mask.copy()
    thin[8, 8, 12:] = True
    assert not opened(thin)[8, 8, 13:].any()
    assert opened(thin)[8, 8, 5:11].all()
    gap = mask.copy()
    gap[8, 8, 8] = False
    assert np.array_equal(closed(gap, 3) & mask, mask)


def test_a_radius_that_a_byte_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 11 voxels"):
        shrunk(np.ones((3, 3, 3), bool), LARGEST + 1)
