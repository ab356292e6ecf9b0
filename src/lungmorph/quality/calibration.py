"""How good a predicted error is: does it tell bad from good, and do its probabilities come true?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

Float = NDArray[np.float64]


def auc(score: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive has a higher score than a negative; NaN without one of both.

    Args:
        score: (N,), any unit, higher for what is thought positive.
        positive: bool (N,).
    """
    label = np.asarray(positive, bool)
    count = int(label.sum())
    if count in (0, len(label)):
        return float("nan")
    ranks = rankdata(np.asarray(score, np.float64))
    above = ranks[label].sum() - count * (count + 1) / 2
    return float(above / (count * (len(label) - count)))


@dataclass(frozen=True)
class Reliability:
    """Predicted probabilities against what happened, in bins of equal width; empty bins are left out.

    Attributes:
        predicted, happened: means of each bin, 0 to 1.
        share: of all points in each bin.
    """

    predicted: Float
    happened: Float
    share: Float

    @property
    def expected_error(self) -> float:
        """Expected calibration error (ECE): the mean distance of both, weighted by the points."""
        return float((self.share * np.abs(self.predicted - self.happened)).sum())


def reliability(probability: ArrayLike, positive: ArrayLike, bins: int = 15) -> Reliability:
    """The reliability diagram of (N,) probabilities and bool (N,) outcomes.

    Raises:
        ValueError: a probability below 0 or above 1, or no points.
    """
    chance, label = np.asarray(probability, np.float64), np.asarray(positive, np.float64)
    if len(chance) == 0 or chance.min() < 0 or chance.max() > 1:
        raise ValueError("probabilities lie between 0 and 1, and there is at least one")
    number = np.minimum((chance * bins).astype(int), bins - 1)
    count = np.bincount(number, minlength=bins).astype(np.float64)
    used = count > 0
    return Reliability(
        np.bincount(number, chance, bins)[used] / count[used],
        np.bincount(number, label, bins)[used] / count[used],
        count[used] / len(chance),
    )
