"""What is compared: lung in either scan, by the displacement so far."""

from __future__ import annotations

import torch

from lungmorph.registration.compared import lung_in_either
from lungmorph.registration.prepare import Prepared
from lungmorph.space import Affine, Grid, Volume
from lungmorph.space.sampling import world_points

GRID = Grid((50, 45, 40), (3.0, 3.0, 3.0), (-70.0, -60.0, -50.0))
#: Oblique, anisotropic, and in a frame of its own: as a scan may be.
TURNED = Grid(
    (70, 60, 40),
    (2.5, 2.5, 5.0),
    (-1.0, -122.5, -85.0),
    ((0.8, -0.6, 0), (0.6, 0.8, 0), (0, 0, 1)),
)
SHIFT = (20.0, -10.0, 15.0)


def ball(grid: Grid, middle: tuple[float, float, float], radius: float) -> Volume:
    far = (world_points(grid) - torch.tensor(middle)).norm(dim=-1)
    return Volume(far < radius, grid)


def _hu(lungs: Volume) -> Volume:
    """Nobody looks at the grey values."""
    return Volume(lungs.data.float(), lungs.grid)


def displacement(grid: Grid) -> torch.Tensor:
    return torch.zeros(3, *grid.shape) + torch.tensor([4.0, 0.0, 0.0])[:, None, None, None]


def found(airless_mm: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What is compared where a ball of the fixed lung has no air; and the ball."""
    whole, gap = ball(GRID, (0, 0, 0), 45.0), ball(GRID, (20, 5, 0), airless_mm)
    fixed = Volume(whole.data & ~gap.data, GRID)
    # a moving point is the fixed one + shift + (4, 0, 0)
    moving = ball(TURNED, (SHIFT[0] + 4, SHIFT[1], SHIFT[2]), 45.0)
    affine = Affine.from_parts(torch.eye(3).numpy(), SHIFT)
    pair = Prepared(_hu(fixed), _hu(moving), fixed, moving, GRID)
    lungs = lung_in_either(pair, affine, displacement, GRID)
    beyond = lungs[~ball(GRID, (0, 0, 0), 51.0).data]
    assert float(beyond.max()) == 0.0
    assert bool((lungs[fixed.data] > 0.999).all())
    return lungs, gap.data


def test_an_airless_part_is_lung_where_the_moving_scan_has_it_open() -> None:
    lungs, gap = found(18.0)
    assert float((lungs > 0.5)[gap].float().mean()) > 0.8


def test_a_thin_part_is_left_as_it_is() -> None:
    lungs, gap = found(5.0)
    assert float(lungs[gap].max()) < 0.5
