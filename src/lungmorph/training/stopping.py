"""When a stage has learned what it can."""

from __future__ import annotations

from math import inf


class Criterion:
    """Watches a number that should fall, and says when it has fallen enough, or no longer falls.

    Args:
        patience: observations without improvement that end it; None for never.
        min_improvement: what counts as an improvement, relative to the best that counted.
        target: at most this is enough; None for nothing is.
    """

    def __init__(
        self, patience: int | None, min_improvement: float, target: float | None = None
    ) -> None:
        self.patience = patience
        self.min_improvement = min_improvement
        self.target = target
        self.best = inf
        self.waited = 0
        self._mark = inf

    def observe(self, value: float) -> bool:
        """Take the next value; True if it is the best so far, by however little."""
        if self._mark == inf or value < self._mark - self.min_improvement * abs(self._mark):
            self._mark, self.waited = value, 0
        else:
            self.waited += 1
        improved = value < self.best
        self.best = min(value, self.best)
        return improved

    @property
    def reached(self) -> str:
        """Which end it has come to: "target", "plateau", or "" for none yet."""
        if self.target is not None and self.best <= self.target:
            return "target"
        return "plateau" if self.patience is not None and self.waited >= self.patience else ""

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"best": self.best, "mark": self._mark, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        """From a checkpoint."""
        self.best, self._mark = float(state["best"]), float(state["mark"])
        self.waited = int(state["waited"])
