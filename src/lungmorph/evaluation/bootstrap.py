"""How far a figure would wander had other patients been drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..space.grid import Float

RESAMPLES = 2000
SEED = 20


def interval(
    values: Sequence[float] | Float,
    clusters: Sequence[str],
    statistic: Literal["mean", "median"] = "mean",
    weights: Sequence[float] | Float | None = None,
    percent: float = 95.0,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of a statistic over cases (Efron 1979); None of a single patient.

    Patients are drawn with replacement, each with all of its cases, because cases of one patient are
    alike. The seed is fixed. With few patients such intervals are too narrow.

    Args:
        values: one a case.
        clusters: the patient of each case.
        statistic: of the values of all cases drawn.
        weights: of the mean (landmarks a case); equal if None.
    """
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < 2:
        return None
    data = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(SEED).integers(len(names), size=(RESAMPLES, len(names)))
    if statistic == "mean":
        weight = np.ones(len(data)) if weights is None else np.asarray(weights, dtype=np.float64)
        sums = np.bincount(member, weight * data)
        sizes = np.bincount(member, weight)
        found = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    else:
        parts = [data[member == number] for number in range(len(names))]
        found = np.array([np.median(np.concatenate([parts[i] for i in row])) for row in drawn])
    low, high = np.percentile(found, [50 - percent / 2, 50 + percent / 2])
    return float(low), float(high)
