import numpy as np
import pytest
import torch
from tests.geometry import OBLIQUE

from lungmorph.errors import InputError
from lungmorph.measures import dice
from lungmorph.registration.lungs import lung_mask
from lungmorph.simulate import SimulatedPair
from lungmorph.space import Grid, Volume


def overlap(found: Volume, true: Volume, grid: Grid) -> float:
    return dice(found.resample(grid).data, true.resample(grid).data)


def test_whole_chest(small_pair: SimulatedPair) -> None:
    found = lung_mask(small_pair.fixed)
    assert overlap(found, small_pair.fixed_lungs, small_pair.fixed.grid) > 0.95


@pytest.mark.parametrize(
    ("start", "size"),
    [
        ((52, 0, 0), (52, 84, 100)),  # one lung
        ((0, 0, 40), (104, 84, 30)),  # a slab: cut above and below
        ((10, 10, 30), (40, 60, 40)),  # a box within one side, cut on all sides
    ],
)
def test_cropped_fields_of_view(
    small_pair: SimulatedPair, start: tuple[int, ...], size: tuple[int, ...]
) -> None:
    part = small_pair.fixed.crop_to(small_pair.fixed.grid.crop(start, size))
    assert overlap(lung_mask(part), small_pair.fixed_lungs, part.grid) > 0.93


def test_any_orientation_of_storage(small_pair: SimulatedPair) -> None:
    """Sagittal slices, feet first, and a gantry turned by 25 degrees: the same lungs."""
    volume = small_pair.fixed
    grid = volume.grid
    axes = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])[:, [1, 0, 2]] * [1, -1, 1]
    axes = axes if np.linalg.det(axes) > 0 else axes * [-1, 1, 1]
    turned = np.asarray(OBLIQUE.direction) @ axes
    size = (120, 120, 120)
    origin = grid.center - turned @ (np.array([59.5] * 3) * 3.0)
    stored = volume.resample(Grid(size, (3.0, 3.0, 3.0), tuple(origin), turned), fill=-1024.0)
    assert overlap(lung_mask(stored), small_pair.fixed_lungs, grid) > 0.93


def test_padding_outside_the_field_of_view_is_not_lung(small_pair: SimulatedPair) -> None:
    volume = small_pair.fixed
    data = volume.data.clone()
    y, x = torch.meshgrid(torch.arange(84.0) - 41.5, torch.arange(104.0) - 51.5, indexing="ij")
    data[:, (x / 52) ** 2 + (y / 42) ** 2 > 1] = -1024
    assert overlap(lung_mask(Volume(data, volume.grid)), small_pair.fixed_lungs, volume.grid) > 0.93


def test_the_trachea_is_left_out(small_pair: SimulatedPair) -> None:
    """Air above the lungs' tops belongs to no lung."""
    found = lung_mask(small_pair.fixed).resample(small_pair.fixed.grid).data
    true = small_pair.fixed_lungs.data
    gas = (small_pair.fixed.data < -930) & ~true
    body = torch.zeros_like(gas)
    body[:, 25:60, 35:70] = True  # around the midline, inside the body
    assert int((gas & body).sum()) > 100
    assert float((found & gas & body).sum()) / float((gas & body).sum()) < 0.2


def test_no_lung_is_one_clear_line() -> None:
    grid = Grid((40, 40, 40), (3.0, 3.0, 3.0))
    water = torch.full(grid.shape, 20.0)
    water[:, :8] = -1000.0
    with pytest.raises(InputError, match=r"^scan.nii: .*lung"):
        lung_mask(Volume(water, grid), "scan.nii")


def test_oblique_scan_whose_lungs_are_open_to_what_lies_beyond(small_pair: SimulatedPair) -> None:
    """As a scan that was resampled to another one's frame: the lattice ends well beyond it."""
    scan, truth = small_pair.fixed, small_pair.fixed_lungs
    across, deep, high = scan.grid.size
    part = scan.grid.crop((0, 0, 0), (across, deep, high - 30))
    size, frame = (120, 120, 110), np.asarray(OBLIQUE.direction)
    origin = part.center - frame @ ((np.array(size) - 1) / 2 * 3.0)
    seen = scan.crop_to(part).resample(
        Grid(size, (3.0, 3.0, 3.0), tuple(origin), frame), fill=-1024.0
    )
    assert overlap(lung_mask(seen), truth.crop_to(part), part) > 0.93
