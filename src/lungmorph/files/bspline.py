"""A B-spline transform as a displacement field."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from ..errors import InputError
from ..space import DisplacementField
from .displacements import check_displacements
from .geometry import checked_grid

_log = logging.getLogger(__name__)
#: Samples between two control points, and the most samples in all (200 MB of displacements).
SAMPLES_PER_CELL = 16
MOST_SAMPLES = 16_000_000


def sampled_bspline(transform: sitk.BSplineTransform, path: Path) -> DisplacementField:
    """The displacements of a B-spline over its domain, in steps of 1/16 of a control cell.

    Where that makes more than 16 million samples (about 250^3) the steps are the finest that do not.
    Linear interpolation between steps of 1/16 misses a cubic B-spline by at most 0.2 % of the
    largest control displacement along each axis (h^2 / 8 times its largest second derivative). Outside the domain the displacement is zero, as in ITK.

    Raises:
        InputError: a domain that is no right-handed grid; coefficients that are not finite.
    """
    mesh = np.asarray(transform.GetTransformDomainMeshSize(), dtype=np.float64)
    direction = np.reshape(transform.GetTransformDomainDirection(), (3, 3))
    extent = np.asarray(transform.GetTransformDomainPhysicalDimensions(), dtype=np.float64)
    # ITK calls the last plane of the domain outside as soon as it is off by a rounding error
    inset = 1e-6 * extent
    start = np.asarray(transform.GetTransformDomainOrigin()) + direction @ inset
    per_cell = SAMPLES_PER_CELL
    while per_cell > 1 and np.prod(mesh * per_cell + 1) > MOST_SAMPLES:
        per_cell -= 1
    if per_cell < SAMPLES_PER_CELL:
        _log.warning("%s: B-spline sampled %d times a control cell only", path, per_cell)
    size = (mesh * per_cell + 1).astype(int)
    spacing = (extent - 2 * inset) / (size - 1)
    grid = checked_grid(path, size.tolist(), spacing.tolist(), start.tolist(), direction)
    sampled = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat32,
        size.tolist(),
        grid.origin,
        grid.spacing,
        direction.ravel().tolist(),
    )
    values = np.moveaxis(sitk.GetArrayViewFromImage(sampled), -1, 0)
    if not np.isfinite(values).all():
        raise InputError(
            path, expected="finite coefficients", found="NaN or infinity", do="make it again"
        )
    check_displacements(path, values)
    return DisplacementField(torch.from_numpy(np.ascontiguousarray(values)), grid)
