"""When a stage has learned what it can."""

from __future__ import annotations

from math import inf


class Plateau:
    """Watches a number that should fall, and says when it has stopped falling.

    Args:
        patience: observations without improvement that end it; None for never.
        min_improvement: what counts as an improvement, relative to the best so far.
    """

    def __init__(self, patience: int | None, min_improvement: float) -> None:
        self.patience = patience
        self.min_improvement = min_improvement
        self.best = inf
        self.waited = 0
        self._mark = inf

    def observe(self, value: float) -> bool:
        """Take the next value; True if it is the best so far, by however little."""
        if value < self._mark * (1 - self.min_improvement):
            self._mark, self.waited = value, 0
        else:
            self.waited += 1
        improved = value < self.best
        self.best = min(value, self.best)
        return improved

    @property
    def reached(self) -> bool:
        """Whether it has stopped falling."""
        return self.patience is not None and self.waited >= self.patience

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"best": self.best, "mark": self._mark, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        """From a checkpoint."""
        self.best, self._mark = float(state["best"]), float(state["mark"])
        self.waited = int(state["waited"])
