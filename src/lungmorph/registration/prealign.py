"""A first, affine alignment from the lungs, however far apart the scanner frames are.

The translation is found exhaustively (every shift of a coarse lattice at once, by Fourier transform),
counting only what both scans show, so that a lung cut off in one of them does not pull the other's
middle aside. From the best few shifts an affine map is fitted: translation, then scale, then all
twelve parameters; what has met another, or is far behind the best, ends there. It looks at the lung masks and, weighed
equally, at the smoothed CT.
"""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..ops import gaussian
from ..space import Affine, Grid, Volume
from ..space.sampling import matrix_times_points, sample_world, world_points
from ..threads import side_by_side
from .every_shift import EveryShift
from .prepare import lung_bounds

log = logging.getLogger(__name__)

SEARCH_MM = 10.0
FIT_MM = 6.0
FIT_POINTS = 12_000
#: Least part of the smaller lung that both scans must show.
LEAST_COMMON = 0.35
LEAST_OVERLAP = 0.4
#: No breath stretches a lung by more along any axis.
MOST_STRETCH = 2.0
#: Two fits have met whose parameters differ by less, mm (and mm at a decimetre from the middle).
MET_MM = 1.0
#: A fit that costs so many times what the best does has found another place.
HOPELESS = 4.0

Array = NDArray[np.float64]


def prealign(
    fixed: Volume,
    moving: Volume,
    fixed_lungs: Volume,
    moving_lungs: Volume,
    names: tuple[object, object] = ("fixed image", "moving image"),
) -> Affine:
    """The affine map, fixed to moving points in LPS mm, that lays the lungs over each other.

    Args:
        fixed, moving: HU, any grids.
        fixed_lungs, moving_lungs: bool, any grids.
        names: of the images, for errors.

    Raises:
        InputError: the scans do not show a common part of the lungs.
    """
    shifts = _best_shifts(fixed, moving, fixed_lungs, moving_lungs)
    if not shifts:
        raise _nothing_common(names, "none at any shift")
    fixed_side, moving_side = side_by_side(_Side, ((fixed, fixed_lungs), (moving, moving_lungs)))
    best, cost, overlap = _fit(_Fit(fixed_side, moving_side), shifts)
    stretch = np.linalg.svd(best.linear, compute_uv=False)
    log.info(
        "pre-alignment: cost %.3f, overlap of the lungs %.2f, stretch %.2f to %.2f",
        cost, overlap, stretch[-1], stretch[0],
    )  # fmt: skip
    if overlap < LEAST_OVERLAP:
        raise _nothing_common(names, f"an overlap (Dice) of {overlap:.2f} after the best alignment")
    if not 1 / MOST_STRETCH < stretch[-1] <= stretch[0] < MOST_STRETCH:
        raise _nothing_common(
            names, f"that one would have to be stretched by {stretch[-1]:.2f} to {stretch[0]:.2f}"
        )
    return best


def _nothing_common(names: tuple[object, object], found: str) -> InputError:
    return InputError(
        f"{names[0]} and {names[1]}",
        expected="a common part of the lungs",
        found=found,
        do="check that both show the same region of the same patient",
    )


# ---------------------------------------------------------------- exhaustive translation


def _best_shifts(
    fixed: Volume, moving: Volume, fixed_lungs: Volume, moving_lungs: Volume, count: int = 3
) -> list[Array]:
    scans = ((fixed, fixed_lungs), (moving, moving_lungs))
    (f_ct, f_seen, f_lung, f_grid), (m_ct, m_seen, m_lung, m_grid) = side_by_side(_coarse, scans)
    if not (f_lung.sum() > 0 and m_lung.sum() > 0):  # masks that lie beside their scans
        return []
    every = EveryShift(f_seen, m_seen)
    scores = side_by_side(every.masked_correlation, ((f_ct, m_ct), (f_lung, m_lung)))
    score = (scores[0] + scores[1]) / 2
    # how much of either lung lies inside the other scan at each shift
    shares = every.fixed_inside(f_lung) / f_lung.sum(), every.moving_inside(m_lung) / m_lung.sum()
    common, inside = torch.minimum(*shares), torch.maximum(*shares)
    score[(inside < 2 * LEAST_COMMON) | (common < LEAST_COMMON / 2)] = -1
    # what both show is worth more when it is more
    score *= common.clamp(0, 1).sqrt()
    highest = score
    for axis in range(3):
        beside = torch.maximum(highest.roll(1, axis), highest.roll(-1, axis))
        highest = torch.maximum(highest, beside)
    peaks = ((score == highest) & (score > 0)).nonzero().numpy()
    heights = score.numpy()[tuple(peaks.T)]
    base = np.asarray(m_grid.origin) - np.asarray(f_grid.origin)
    out = []
    for n in np.argsort(-heights)[:count]:
        signed = np.where(peaks[n] >= np.asarray(m_ct.shape), peaks[n] - every.shape, peaks[n])
        out.append(base + signed[::-1] * SEARCH_MM)
        log.debug("shift %s: score %.3f", np.round(out[-1], 1), heights[n])
    up = np.array([0.0, 0.0, 2.5 * SEARCH_MM])
    out += [best + sign * up for best in out[:1] for sign in (1, -1)]
    return out


def _coarse(scan: tuple[Volume, Volume]) -> tuple[Tensor, Tensor, Tensor, Grid]:
    """CT, where it has data, soft lungs and grid of the lattice that is searched on."""
    ct, lungs = scan
    low, high = ct.grid.bounds()
    grid = Grid.covering(low, high, SEARCH_MM)
    hu, lung, seen = _features(ct, lungs, grid)
    return hu * seen, seen.double(), lung, grid


# ---------------------------------------------------------------- affine fit


def _features(ct: Volume, lungs: Volume, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """Smoothed CT and soft lung mask (both about 0 to 1), and where the scan has data, on ``grid``."""
    step = grid.spacing[0]
    hu = ct.reduce(step).resample(grid).data.clamp(-1000, 200)
    lung = lungs.reduce(step).resample(grid, fill=0.0).data
    both = gaussian(torch.stack([(hu + 1000) / 1200, lung])[None], 0.7)[0]
    points = matrix_times_points(ct.grid.world_to_index_matrix, world_points(grid))
    last = torch.tensor(ct.grid.size) - 0.5
    seen = ((points >= -0.5) & (points <= last)).all(dim=-1)
    return both[0], both[1], seen


class _Side:
    """One scan on the lattice of the fit: features, their gradients in mm, and where it has data."""

    def __init__(self, scan: tuple[Volume, Volume]) -> None:
        ct, lungs = scan
        low, high = lung_bounds(lungs)
        self.grid = Grid.covering(low, high, FIT_MM, margin=6 * FIT_MM)
        hu, lung, seen = _features(ct, lungs, self.grid)
        self.features = torch.stack([hu, lung])
        self.seen = seen.float()[None]
        # (2, 3, D, H, W): d/dx, d/dy, d/dz per mm
        parts = [torch.gradient(self.features, spacing=FIT_MM, dim=d)[0] for d in (3, 2, 1)]
        self.gradients = torch.stack(parts, dim=1)
        near = gaussian((lung > 0.5).float()[None, None], 2.0)[0, 0] > 0.02
        self.region = (near & seen).nonzero()[:: max(1, int((near & seen).sum()) // FIT_POINTS)]


#: Which of the twelve parameters of :class:`_Fit` are free, and most steps: translation, then scale, then affine.
_STAGES = (([0, 1, 2], 12), ([0, 1, 2, 3, 7, 11], 10), (list(range(12)), 20))


def _fit(problem: _Fit, shifts: list[Array]) -> tuple[Affine, float, float]:
    """From shifts in mm to the best affine map, what it costs, and the overlap (Dice) of the lungs."""
    kept = []
    for shift in shifts:
        kept.append(np.zeros(12))
        kept[-1][:3] = shift
    for free, steps in _STAGES:
        found = side_by_side(partial(problem.descend, free=free, steps=steps), kept)
        # shifted to where nothing is seen: None
        fits = sorted((fit for fit in found if fit is not None), key=lambda fit: fit[1])
        kept = []
        for parameters, cost in fits:
            met = any(np.abs(parameters - other).max() < MET_MM for other in kept)
            if not met and cost < HOPELESS * fits[0][1]:
                kept.append(parameters)
    if not fits:
        return Affine.identity(), float("inf"), 0.0
    return problem.affine(kept[0]), fits[0][1], problem.overlap(kept[0])


class _Fit:
    """Damped Gauss-Newton on twelve parameters: t in mm (3), then L - I row by row (9), times a decimetre.

    So scaled, parameters are of comparable size. T(x) = L (x - middle) + middle + t.
    """

    def __init__(self, fixed: _Side, moving: _Side) -> None:
        k, j, i = fixed.region.unbind(dim=1)
        self.points = torch.as_tensor(fixed.grid.to_world(torch.stack([i, j, k], dim=1).numpy()))
        self.target = fixed.features[:, k, j, i].double()
        self.middle = self.points.mean(dim=0)
        self.arms = (self.points - self.middle) / 100.0
        self.stacked = torch.cat([moving.features, moving.gradients.flatten(0, 1), moving.seen])
        self.grid = moving.grid

    def _look(self, parameters: Array) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of the N points: residuals (2, N), their gradients (2, 3, N), weight (N,), moving lung (N,)."""
        matrix = torch.as_tensor(parameters[3:].reshape(3, 3))
        mapped = self.points + torch.as_tensor(parameters[:3]) + self.arms @ matrix.T
        values = sample_world(self.stacked, self.grid, mapped[None, None], fill=0.0)[:, 0, 0]
        weight = values[8]
        residual = (values[:2] - self.target) * weight
        return residual, values[2:8].reshape(2, 3, -1), weight, values[1]

    def descend(self, parameters: Array, free: list[int], steps: int) -> tuple[Array, float] | None:
        """The parameters after so many steps at most along the free ones, and their cost; None where nothing is seen."""
        damping = 1e-3
        residual, gradient, weight, _ = self._look(parameters)
        cost = _cost(residual, weight)
        for _ in range(steps):
            rows = torch.cat(
                [
                    gradient * weight,
                    (gradient[:, :, None] * weight * self.arms.T[None, None]).flatten(1, 2),
                ],
                dim=1,
            )[:, free]
            normal = torch.einsum("cpn,cqn->pq", rows, rows).numpy()
            right = torch.einsum("cpn,cn->p", rows, residual).numpy()
            normal += damping * np.diag(np.diag(normal)) + 1e-6 * np.trace(normal) * np.eye(
                len(free)
            )
            if not np.trace(normal) > 0:
                return None
            step = np.zeros(12)
            step[free] = np.linalg.solve(normal, -right)
            trial = parameters + step
            new = self._look(trial)
            new_cost = _cost(new[0], new[2])
            if new_cost < cost:
                done = cost - new_cost < 1e-4 * cost
                parameters, cost = trial, new_cost
                residual, gradient, weight, _ = new
                damping = max(damping / 3, 1e-5)
                if done:
                    break
            else:
                damping *= 10
                if damping > 1e3:
                    break
        return parameters, cost

    def affine(self, parameters: Array) -> Affine:
        """The map, LPS mm."""
        linear = np.eye(3) + parameters[3:].reshape(3, 3) / 100.0
        center = self.middle.numpy()
        return Affine.from_parts(linear, center + parameters[:3] - linear @ center)

    def overlap(self, parameters: Array) -> float:
        """Dice of the soft lung masks, over what the moving scan shows."""
        _, _, weight, lung = self._look(parameters)
        both = float((torch.minimum(lung, self.target[1]) * weight).sum())
        return 2 * both / max(float(((lung + self.target[1]) * weight).sum()), 1e-9)


def _cost(residual: Tensor, weight: Tensor) -> float:
    """Mean square residual of what is seen, dearer the less that is."""
    shown = float(weight.mean())
    return float((residual**2).sum() / weight.sum().clamp_min(1)) / max(shown, 0.05) ** 0.5
