"""The multi-level network: levels in order, composed by warping."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from ..ops import compose, integrate, warp
from .blocks import averaged, enlarged
from .config import MultiLevelConfig
from .level import Level
from .padding import check_pair, pad_to_multiple, unpad


class MultiLevel(nn.Module):
    """Each level sees the moving image warped by all before it, and adds what is still missing.

    With T(p) = p + so_far(p) from the levels before, a level sees fixed and moving(T(p)) and finds u
    with fixed(p) = moving(T(p + u(p))): its update acts first, then T. (The config's ``combine`` names
    two other ways.)

    Attributes:
        config: what it was built from.
        levels: the :class:`~lungmorph.networks.Level` modules, coarse first.
    """

    def __init__(self, config: MultiLevelConfig) -> None:
        super().__init__()
        self.config = config
        before = [0, *(level.body[0] for level in config.levels)]
        self.levels = nn.ModuleList(
            Level(level, carried if level.carry else 0)
            for level, carried in zip(config.levels, before, strict=False)
        )

    def forward(
        self,
        fixed: Tensor,
        moving: Tensor,
        levels: int | None = None,
        reduced: int = 1,
        own_lattice: bool = False,
    ) -> list[Tensor]:
        """The total displacement after each level.

        Args:
            fixed, moving: (B, 1, D, H, W) in [0, 1], on one lattice of any size (padded inside).
            levels: run only the first so many; all by default.
            reduced: the images are already averaged in blocks of so many voxels a side of the working
                lattice; at most ``config.image_factor(levels)``.
            own_lattice: leave each field on the lattice of its level: averaged in blocks of
                2**reduce / reduced voxels of the images given, incomplete last blocks left out.

        Returns:
            A list of (B, 3, D, H, W), voxels of their lattice, channels (x, y, z), fixed -> moving.

        Raises:
            ValueError: the shapes do not fit, or there are fewer levels than asked for.
        """
        check_pair(fixed, moving)
        count = len(self.levels) if levels is None else levels
        if not 1 <= count <= len(self.levels):
            raise ValueError(f"levels must be 1 to {len(self.levels)}, found {count}")
        if reduced not in (2**n for n in range(5)) or reduced > self.config.image_factor(count):
            raise ValueError(f"{count} levels cannot look at images reduced by {reduced}")
        depth, height, width = fixed.shape[2:]
        # by the whole network's divisor, so that a prefix gives what it gives in the whole
        fixed = pad_to_multiple(fixed, self.config.divisor // reduced)
        moving = pad_to_multiple(moving, self.config.divisor // reduced)
        total: Tensor | None = None
        state: Tensor | None = (
            None  # the displacement, or the velocity, on the lattice of its level
        )
        features: Tensor | None = None
        totals = []
        factor = 1
        for module, config in zip(list(self.levels)[:count], self.config.levels, strict=False):
            last, factor = factor, 2**config.reduce // reduced
            total, state = _moved(total, last, factor), _moved(state, last, factor)
            here, there = averaged(fixed, factor), averaged(moving, factor)
            warped = there if total is None else warp(there, total)
            if config.carry or self._carries:
                carried = features if config.carry else None
                assert isinstance(module, Level)
                update, features = module.with_features(here, warped, total, carried)
            else:
                update = module(here, warped, total)
            total, state = self._joined(update, total, state)
            shown, scale = (total, factor) if own_lattice else (_moved(total, factor, 1), 1)
            assert shown is not None
            totals.append(unpad(shown, (depth // scale, height // scale, width // scale)))
        return totals

    @property
    def _carries(self) -> bool:
        return any(level.carry for level in self.config.levels)

    def _joined(
        self, update: Tensor, total: Tensor | None, state: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Displacement and velocity (where there is one) after an update."""
        if self.config.combine == "velocity":
            velocity = update if state is None else state + update
            return integrate(velocity, self.config.integration_steps), velocity
        if total is None:
            return update, None
        return (
            compose(update, total) if self.config.combine == "compose" else total + update
        ), None

    def freeze(self, levels: Iterable[int]) -> None:
        """Keep these levels (from 0) from being trained, and let all others be trained."""
        frozen = set(levels)
        unknown = frozen - set(range(len(self.levels)))
        if unknown:
            raise ValueError(f"no such level: {sorted(unknown)}; there are {len(self.levels)}")
        for index, level in enumerate(self.levels):
            level.requires_grad_(index not in frozen)

    def recompute(self, on: bool) -> None:
        """Make activations again in the backward pass instead of keeping them: less memory, more time."""
        for level in self.levels:
            level.recompute = on  # type: ignore[assignment]


def _moved(field: Tensor | None, factor: int, to: int) -> Tensor | None:
    """A field in voxels of a lattice reduced by ``factor``, on one reduced by ``to``."""
    if field is None or factor == to:
        return field
    if factor > to:
        return enlarged(field, factor // to) * (factor / to)
    return averaged(field, to // factor) * (factor / to)
