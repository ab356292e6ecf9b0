"""The multi-level network: levels in order, composed by warping."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from ..ops import compose, warp
from .config import MultiLevelConfig
from .level import Level
from .padding import check_pair, pad_to_multiple, unpad


class MultiLevel(nn.Module):
    """Each level sees the moving image warped by all before it, and adds what is still missing.

    With T(p) = p + so_far(p) from the levels before, a level sees fixed and moving(T(p)) and finds u
    with fixed(p) = moving(T(p + u(p))): its update acts first, then T.

    Attributes:
        config: what it was built from.
        levels: the :class:`~lungmorph.networks.Level` modules, coarse first.
    """

    def __init__(self, config: MultiLevelConfig) -> None:
        super().__init__()
        self.config = config
        self.levels = nn.ModuleList(Level(level) for level in config.levels)

    def forward(self, fixed: Tensor, moving: Tensor, levels: int | None = None) -> list[Tensor]:
        """The total displacement after each level.

        Args:
            fixed, moving: (B, 1, D, H, W) in [0, 1], on one lattice of any size (padded inside).
            levels: run only the first so many; all by default.

        Returns:
            A list of (B, 3, D, H, W), voxels, channels (x, y, z), fixed -> moving.

        Raises:
            ValueError: the shapes do not fit, or there are fewer levels than asked for.
        """
        check_pair(fixed, moving)
        count = len(self.levels) if levels is None else levels
        if not 1 <= count <= len(self.levels):
            raise ValueError(f"levels must be 1 to {len(self.levels)}, found {count}")
        shape = tuple(fixed.shape[2:])
        # by the whole network's divisor, so that a prefix gives what it gives in the whole
        fixed = pad_to_multiple(fixed, self.config.divisor)
        moving = pad_to_multiple(moving, self.config.divisor)
        total: Tensor | None = None
        totals = []
        for level in list(self.levels)[:count]:
            warped = moving if total is None else warp(moving, total)
            update = level(fixed, warped, total)
            total = update if total is None else compose(update, total)
            totals.append(unpad(total, shape))
        return totals

    def freeze(self, levels: Iterable[int]) -> None:
        """Keep these levels (from 0) from being trained, and let all others be trained."""
        frozen = set(levels)
        unknown = frozen - set(range(len(self.levels)))
        if unknown:
            raise ValueError(f"no such level: {sorted(unknown)}; there are {len(self.levels)}")
        for index, level in enumerate(self.levels):
            level.requires_grad_(index not in frozen)
