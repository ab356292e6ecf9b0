"""Grids in every position, and the same things in SimpleITK, for the tests."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lungmorph.space import Affine, Grid, Volume

OBLIQUE = Grid(
    (23, 19, 17),
    (1.3, 0.9, 2.1),
    (-40.0, 55.0, -310.0),
    Rotation.from_euler("xyz", [12, -25, 40], degrees=True).as_matrix(),
)


@st.composite
def grids(draw: st.DrawFn, least: int = 2, most: int = 12) -> Grid:
    size = tuple(draw(st.integers(least, most)) for _ in range(3))
    spacing = tuple(draw(st.floats(0.3, 6.0)) for _ in range(3))
    origin = tuple(draw(st.floats(-900, 900)) for _ in range(3))
    # whole degrees: ITK itself goes astray with cosines of 1e-299
    angles = [draw(st.integers(-180, 180)) for _ in range(3)]
    turned = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    return Grid(size, spacing, origin, turned)


def small_affine(seed: int, about: Grid, shift: float = 3.0, bend: float = 0.05) -> Affine:
    rng = np.random.default_rng(seed)
    linear = np.eye(3) + rng.uniform(-bend, bend, (3, 3))
    center = about.center
    return Affine.from_parts(linear, center - linear @ center + rng.uniform(-shift, shift, 3))


def to_sitk(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.data.numpy())
    place(image, volume.grid)
    return image


def place(image: sitk.Image, grid: Grid) -> None:
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(np.ravel(grid.direction).tolist())


def sitk_grid(grid: Grid) -> sitk.Image:
    image = sitk.Image(list(grid.size), sitk.sitkFloat32)
    place(image, grid)
    return image
