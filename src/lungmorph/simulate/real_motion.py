"""Motion of real lungs: a smooth field through keypoint pairs, carried over to other patients.

The keypoint files hold voxel indices in a grid of 1.75 x 1.25 x 1.75 mm whose axes, found from the
shape of the lungs (heart notch, costophrenic recess behind, apices) run to the left, to the back and
to the head: i, j, k are x, y, z of LPS, whatever the direction in accompanying headers says.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from ..errors import InputError, of_the_system
from ..files import read_landmark_pairs
from ..ops.spline import cubic_weights, expand
from ..space import Grid, Volume
from .breathing import lung_box, without_folds
from .splines import axis_positions

log = logging.getLogger(__name__)

Float = NDArray[np.float64]
#: Voxel size of the keypoint files along (i, j, k), mm.
KEYPOINT_SPACING = (1.75, 1.25, 1.75)
_KNOT_MM = 20.0
_INNER = (0.005, 0.995)  # share of the points between which a lung begins and ends
_MARGIN = 2  # control points beyond the keypoints on either side


@dataclass(frozen=True)
class Motion:
    """A smooth motion in the frame of its patient's lung box.

    Args:
        coefficients: (3, kz, ky, kx) cubic B-spline coefficients of the displacement in mm (LPS).
        first: mm (x, y, z) of control point 0, in the keypoints' frame.
        knot: mm between control points.
        low, high: the lung box in the keypoints' frame, mm.
        residuals: (N,) mm by which the field misses each keypoint.
        name: where it comes from.
    """

    coefficients: Tensor
    first: Float
    knot: float
    low: Float
    high: Float
    residuals: Float
    name: str = ""

    def field_on(
        self,
        grid: Grid,
        lungs: Volume,
        amplitude: float = 1.0,
        device: torch.device | str = "cpu",
        keep_translation: bool = True,
        check: bool = True,
    ) -> Tensor:
        """This motion in another patient: the lung boxes are laid on each other.

        Args:
            grid: along the world's axes.
            lungs: mask of the other patient (its box is used).
            amplitude: factor on the displacement.
            keep_translation: otherwise the mean displacement of the box is taken out.
            check: remove folds; False leaves that to the caller.

        Returns:
            (3, D, H, W) mm, without folds. Displacements are scaled with the box, which keeps the
            volume change of the original.
        """
        low, high = (np.asarray(v, dtype=np.float64) for v in lung_box(lungs))
        ratio = (high - low) / (self.high - self.low)
        counts = self.coefficients.shape[:0:-1]
        bases = []
        for axis, p in enumerate(axis_positions(grid)):
            own = (p - low[axis]) / ratio[axis] + self.low[axis]
            weights = cubic_weights((own - self.first[axis]) / self.knot, counts[axis])
            bases.append(weights.to(device))
        field = expand(self.coefficients.to(device), (bases[2], bases[1], bases[0]))
        if not keep_translation:
            field = field - self.coefficients.to(device).mean(dim=(1, 2, 3))[:, None, None, None]
        scale = torch.as_tensor(ratio * amplitude, dtype=torch.float32, device=device)
        field = field * scale[:, None, None, None]
        return without_folds(field, grid) if check else field


def load_motion(path: str | Path, reverse: bool = False) -> Motion:
    """Fit the motion of a file of keypoints or landmarks.

    Args:
        path: rows of exhale i, j, k, inhale i, j, k (voxels), without a header or with one that begins with
            ``exhale_i``; or a CSV of :func:`lungmorph.files.read_landmark_pairs` (mm), the fixed side in
            exhale.
        reverse: inhale as the fixed side instead of exhale.

    Raises:
        InputError: the file is missing, or is neither, or has fewer than 20 rows, or its points lie in a plane.

    Both sides of keypoints are taken to have the exhale side's voxel size. (With the finer inhale voxels that are
    told of the COPDgene files, lungs would shrink by a quarter on breathing in.)
    """
    path = Path(path)
    exhale, inhale = motion_points(path)
    fixed, moving = (inhale, exhale) if reverse else (exhale, inhale)
    return fit_motion(fixed, moving, name=path.stem + (" reversed" if reverse else ""))


def motion_points(path: Path) -> tuple[Float, Float]:
    """The points of both sides of a file of motion, (N, 3) each, mm: what they are counted in is said by the header.

    Raises:
        InputError: as :func:`load_motion`.
    """
    expected = "rows of i, j, k, i, j, k (voxels), or columns fixed_x ... moving_z (mm)"
    try:
        text = path.read_text()
    except OSError as error:
        raise of_the_system(error, path, f"a table of keypoints: {expected}") from error
    except UnicodeDecodeError as error:
        found = "a file that is no text"
        raise InputError(path, expected=f"a table of keypoints: {expected}", found=found) from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    head = lines[0].replace(" ", "").lower() if lines else "nothing"
    if "fixed_x" in head:
        pair = read_landmark_pairs(path)
        rows = np.hstack([marked.points for marked in pair])
    elif head.startswith(("exhale_i", *"-.0123456789")):
        try:
            rows = np.loadtxt(lines[head.startswith("e") :], delimiter=",", ndmin=2)
        except ValueError as error:
            raise InputError(path, expected=expected, found=str(error)) from None
        rows = rows * (2 * KEYPOINT_SPACING) if rows.shape[1] == 6 else rows
    else:
        raise InputError(path, expected=expected, found=repr(lines[0][:60]) if lines else head)
    if rows.shape[1] != 6 or len(rows) < 20 or not np.isfinite(rows).all():
        raise InputError(
            path,
            expected=f"at least 20 {expected}",
            found=f"a table of {len(rows)} x {rows.shape[1]}",
        )
    for side in (rows[:, :3], rows[:, 3:]):
        extent = np.ptp(np.quantile(side, _INNER, axis=0), axis=0)
        if extent.min() < _KNOT_MM:
            raise InputError(
                path,
                expected=f"points over at least {_KNOT_MM:g} mm along x, y and z",
                found="only " + " x ".join(f"{mm:.3g}" for mm in extent) + " mm",
            )
    return rows[:, :3], rows[:, 3:]


def fit_motion(
    fixed: Float, moving: Float, smoothness: float = 0.004, rounds: int = 8, name: str = ""
) -> Motion:
    """Penalised least squares of a cubic B-spline field, reweighted so that outliers lose their say.

    Args:
        fixed, moving: (N, 3) matching points, LPS mm.
        smoothness: weight of the bending (second differences of the coefficients) for one keypoint.
        rounds: reweightings (Geman-McClure weights with the scale from the median residual).
    """
    low, high = np.quantile(fixed, _INNER, axis=0)
    first = low - _MARGIN * _KNOT_MM
    counts = np.ceil((high - low) / _KNOT_MM).astype(int) + 2 * _MARGIN + 1
    bases = [
        cubic_weights(torch.as_tensor((fixed[:, a] - first[a]) / _KNOT_MM), int(counts[a])).numpy()
        for a in range(3)
    ]
    matrix = sparse.csr_matrix(
        np.einsum("nz,ny,nx->nzyx", bases[2], bases[1], bases[0]).reshape(len(fixed), -1)
    )
    squared = matrix.multiply(matrix).T.tocsr()
    transposed = matrix.T.tocsr()
    bending = _bending([int(c) for c in counts[::-1]]) * (smoothness * len(fixed) / 1000)
    motion = moving - fixed
    unknowns = matrix.shape[1]
    found = np.zeros((unknowns, 3)) + np.median(motion, axis=0)
    weights = np.ones(len(fixed))
    for _ in range(rounds):
        system = _operator(matrix, transposed, weights, bending)
        diagonal = sparse.diags(1 / (squared @ weights + bending.diagonal()))
        for c in range(3):
            right = transposed @ (weights * motion[:, c])
            found[:, c], _ = cg(system, right, found[:, c], rtol=1e-4, maxiter=300, M=diagonal)
        residuals = np.linalg.norm(matrix @ found - motion, axis=1)
        scale = 2.5 * max(float(np.median(residuals)), 0.2)
        weights = 1 / (1 + (residuals / scale) ** 2) ** 2
    coefficients = torch.as_tensor(found.T.reshape(3, *counts[::-1]), dtype=torch.float32)
    log.info("%s: median residual of the fit %.2f mm", name, float(np.median(residuals)))
    return Motion(coefficients, first, _KNOT_MM, low, high, residuals, name)


def _operator(
    matrix: sparse.csr_matrix,
    transposed: sparse.csr_matrix,
    weights: Float,
    bending: sparse.csr_matrix,
) -> LinearOperator:
    """A^T W A + B without forming it: far fewer products."""

    def apply(v: Float) -> Float:
        return transposed @ (weights * (matrix @ v)) + bending @ v

    return LinearOperator(bending.shape, matvec=apply, dtype=np.float64)


def _bending(counts: list[int]) -> sparse.csr_matrix:
    """Sum of squared second differences along and across the axes, as a matrix."""

    def differences(order: int, n: int) -> sparse.csr_matrix:
        rows = [[1.0], [-1.0, 1.0], [1.0, -2.0, 1.0]][order]
        return sparse.diags(rows, list(range(order + 1)), shape=(n - order, n)).tocsr()

    total = sparse.csr_matrix((counts[0] * counts[1] * counts[2],) * 2)
    for orders, weight in (
        ((2, 0, 0), 1),
        ((0, 2, 0), 1),
        ((0, 0, 2), 1),
        ((1, 1, 0), 2),
        ((1, 0, 1), 2),
        ((0, 1, 1), 2),
    ):
        part = reduce(sparse.kron, [differences(o, n) for o, n in zip(orders, counts, strict=True)])
        total = total + weight * (part.T @ part)
    return total.tocsr()
