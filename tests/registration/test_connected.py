"""Connected parts, holes and boxes, against scipy's."""

import numpy as np
import pytest
from scipy import ndimage

from lungmorph.registration.connected import box_around, filled, labelled


def blobs(shape: tuple[int, ...], seed: int, share: float) -> np.ndarray:
    draw = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(draw.standard_normal(shape), 1)
    return np.asarray(noise > np.quantile(noise, 1 - share))


@pytest.mark.parametrize("shape", [(30, 26, 41), (60, 45)])
@pytest.mark.parametrize("corners", [False, True])
def test_parts_are_numbered_as_scipy_does(shape: tuple[int, ...], corners: bool) -> None:
    mask = blobs(shape, 3, 0.3)
    structure = np.ones((3,) * len(shape), bool) if corners else None
    expected, count = ndimage.label(mask, structure)
    labels, found = labelled(mask, corners)
    assert count > 5
    assert found == count
    assert np.array_equal(labels, expected)


def test_nothing_has_no_parts() -> None:
    labels, found = labelled(np.zeros((4, 5, 6), bool))
    assert found == 0
    assert not labels.any()


@pytest.mark.parametrize("shape", [(30, 26, 41), (60, 45)])
@pytest.mark.parametrize("share", [0.5, 0.7])
def test_holes_are_filled_and_bays_are_not(shape: tuple[int, ...], share: float) -> None:
    mask = blobs(shape, 4, share)
    expected = ndimage.binary_fill_holes(mask)
    assert expected.sum() > mask.sum()
    assert not expected.all()
    assert np.array_equal(filled(mask), expected)


def test_whole_and_empty_masks_stay() -> None:
    assert filled(np.ones((3, 4, 5), bool)).all()
    assert not filled(np.zeros((3, 4, 5), bool)).any()


def test_the_box_holds_the_mask_and_no_more() -> None:
    mask = np.zeros((9, 8, 7), bool)
    mask[2, 3, 4] = mask[5, 1, 6] = True
    assert box_around(mask) == (slice(2, 6), slice(1, 4), slice(4, 7))
    with pytest.raises(ValueError, match="empty"):
        box_around(np.zeros((3, 3), bool))
