"""NIfTI files whose voxel indices count, whatever way their axes run.

Learn2Reg counts everything (landmarks, masks, displacements) in voxels of the file, and some of its
headers are left-handed. LungMorph holds right-handed grids only, so one axis of such a file is turned
round: voxels, indices and origin together, and every voxel stays where the header says it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import ArrayLike

from ..errors import InputError
from ..files.geometry import checked_grid
from ..files.headers import open_header
from ..files.images import read_itk_image
from ..space import Grid, Volume
from ..space.grid import Float

AXES = "ijk"


@dataclass(frozen=True)
class Lattice:
    """The voxels of one file.

    Attributes:
        grid: right-handed, LPS mm.
        turned: the index axis (0, 1, 2 for i, j, k) along which ``grid`` counts from the other end
            than the file does; None where both count alike.
    """

    grid: Grid
    turned: int | None = None

    def to_world(self, index: ArrayLike) -> Float:
        """Indices of the file (..., 3), (i, j, k) from 0 -> world points (..., 3), LPS mm."""
        return self.grid.to_world(self._other_end(np.asarray(index, dtype=np.float64)))

    def to_index(self, points: ArrayLike) -> Float:
        """World points (..., 3), LPS mm -> continuous indices of the file (..., 3)."""
        return self._other_end(self.grid.to_index(points))

    def arranged(self, values: np.ndarray) -> np.ndarray:
        """An array (D, H, W) in the order of the file -> in the order of ``grid``."""
        return values if self.turned is None else np.flip(values, 2 - self.turned)

    def same_as(self, other: Lattice) -> bool:
        """Whether both files have each of their voxels in the same place."""
        return self.turned == other.turned and self.grid.same_as(other.grid)

    def _other_end(self, index: Float) -> Float:
        if self.turned is None:
            return index
        index = index.copy()
        index[..., self.turned] = self.grid.size[self.turned] - 1 - index[..., self.turned]
        return index


def read_lattice(path: Path) -> Lattice:
    """Where the voxels of a 3D scalar NIfTI lie, from its header alone.

    Raises:
        InputError: what :func:`lungmorph.files.read_grid` refuses, except left-handed axes.
    """
    if not path.is_file():
        raise InputError(path, expected="an image file", found="nothing there")
    reader = open_header(path)
    dimension = reader.GetDimension()
    size, spacing = reader.GetSize()[:3], reader.GetSpacing()[:3]
    origin = np.array(reader.GetOrigin()[:3])
    axes = np.reshape(reader.GetDirection(), (dimension, dimension))[:3, :3]
    if np.linalg.det(axes) > 0:
        return Lattice(checked_grid(path, size, spacing, origin.tolist(), axes))
    turned = _least_upright(axes)
    origin += axes[:, turned] * spacing[turned] * (size[turned] - 1)
    axes = axes * np.where(np.arange(3) == turned, -1.0, 1.0)
    return Lattice(checked_grid(path, size, spacing, origin.tolist(), axes), turned)


def _least_upright(axes: np.ndarray) -> int:
    """The axis that runs most against the world's axis it is nearest to."""
    along = [column[np.abs(column).argmax()] for column in axes.T]
    return int(np.argmin(along))


def read_on(path: Path, lattice: Lattice) -> Volume:
    """The voxels of a NIfTI, float32, on the grid of ``lattice``: its own, or that of its image.

    Raises:
        InputError: as :func:`lungmorph.files.read_image`; another size than the lattice.
    """
    image = read_itk_image(path)  # the view does not keep it alive
    values = sitk.GetArrayViewFromImage(image).astype(np.float32)
    check_size(path, values.shape[::-1], lattice)
    values = np.ascontiguousarray(lattice.arranged(values))
    return Volume(torch.from_numpy(values), lattice.grid)


def read_mask_on(path: Path, lattice: Lattice) -> Volume:
    """A mask, bool, voxel by voxel that of the image with ``lattice``, whatever its own header says.

    Raises:
        InputError: as :func:`read_on`; no voxel above 0.
    """
    mask = read_on(path, lattice).data > 0
    if not bool(mask.any()):
        raise InputError(path, expected="a mask", found="no voxel above 0")
    return Volume(mask, lattice.grid)


def check_size(path: Path, size: tuple[int, ...], lattice: Lattice) -> None:
    """Refuse an array that cannot be indexed like its image.

    Raises:
        InputError: another size.
    """
    if tuple(size) != lattice.grid.size:
        raise InputError(
            path,
            expected=f"the size of its image, {'x'.join(str(n) for n in lattice.grid.size)}",
            found="x".join(str(n) for n in size),
        )
