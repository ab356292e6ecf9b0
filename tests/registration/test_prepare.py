import pytest
import torch

from lungmorph.errors import InputError
from lungmorph.registration.prepare import clean_hu, prepare
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Volume


def changed(pair: SimulatedPair, how: str) -> Volume:
    hu = pair.fixed.data
    data = {
        "8 bit": ((hu + 1000) / 5).clamp(0, 255),
        "offset": (hu + 1024).clamp(0, 4095),
        "MR": (0.45 * (hu + 1000)).clamp(0, 900),
        "normalised": ((hu + 1000) / 2000).clamp(0, 1),
        "no tissue": torch.full_like(hu, -1000.0) + torch.rand(hu.shape) * 300,
    }[how]
    return Volume(data, pair.fixed.grid)


@pytest.mark.parametrize(
    ("how", "hint"),
    [
        ("8 bit", "8-bit"),
        ("offset", "subtract 1024"),
        ("MR", "MR"),
        ("normalised", "normalised"),
        ("no tissue", "rescale slope"),
    ],
)
def test_what_is_not_hu_is_told_apart(small_pair: SimulatedPair, how: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint) as caught:
        clean_hu(changed(small_pair, how), "a.nii")
    assert str(caught.value).startswith("a.nii: expected")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_are_counted(small_pair: SimulatedPair, bad: float) -> None:
    data = small_pair.fixed.data.clone()
    data[3, 4, 5:8] = bad
    with pytest.raises(InputError, match="3 voxels"):
        clean_hu(Volume(data, small_pair.fixed.grid), "a.nii")


def test_voxels_beyond_any_hu_are_counted(small_pair: SimulatedPair) -> None:
    data = small_pair.fixed.data.clone()
    data[5, 5, :2] = 3e38
    with pytest.raises(InputError, match="2 voxels are above 100000"):
        clean_hu(Volume(data, small_pair.fixed.grid), "a")
    data[5, 5, :2] = 32767.0  # metal on an extended scale, or a full matrix
    clean_hu(Volume(data, small_pair.fixed.grid), "a")


def test_paddings_become_air_and_the_argument_is_kept(small_pair: SimulatedPair) -> None:
    data = small_pair.fixed.data.clone()
    data[0] = -3024
    volume = Volume(data, small_pair.fixed.grid)
    assert float(clean_hu(volume, "a").data.min()) == -1024
    assert float(volume.data.min()) == -3024


def test_region_covers_the_lungs_with_a_margin(small_pair: SimulatedPair) -> None:
    found = prepare(small_pair.fixed, small_pair.moving)
    lungs = small_pair.fixed_lungs
    points = lungs.grid.to_world(lungs.data.nonzero().flip(1).numpy()[::50])
    low, high = found.region.bounds()
    assert ((points > low + 8) & (points < high - 8)).all(axis=1).mean() > 0.99


def test_an_empty_mask_is_refused(small_pair: SimulatedPair) -> None:
    empty = Volume(
        torch.zeros(small_pair.fixed.grid.shape, dtype=torch.bool), small_pair.fixed.grid
    )
    with pytest.raises(InputError, match="mask of"):
        prepare(small_pair.fixed, small_pair.moving, fixed_mask=empty)
