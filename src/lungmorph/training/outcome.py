"""How good a network is on pairs that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses import displacement_error, landmark_distance, lncc, masked_mean
from ..networks import RegistrationNetwork
from ..ops import jacobian_determinant, warp
from .objective import Objective, prepared
from .source import Pair


@dataclass(frozen=True)
class Outcome:
    """Means over the validation pairs.

    Attributes:
        lncc: of fixed and warped moving, over the fixed lungs.
        folded: share of voxels of the fixed lungs with det J <= 0.
        error_mm: landmark distance error (LDE) in the moving scan where a pair has landmarks, else the
            mean distance to the true displacement over the fixed lungs, on the lattice, where the affine
            pre-alignment is undone; None where no pair knows either.
        start_mm: the same before registration: the error of doing nothing.
        loss: the validation loss; None where it was not asked for.
    """

    lncc: float
    folded: float
    error_mm: float | None
    start_mm: float | None
    loss: float | None = None

    @property
    def error(self) -> float:
        """What should fall: the error, or 1 - LNCC where the truth is not known."""
        return self.error_mm if self.error_mm is not None else 1 - self.lncc


#: sum and number of values of each kind, so that processes can add theirs up
Sums = dict[str, tuple[float, int]]


def evaluate(
    network: RegistrationNetwork,
    pairs: Iterable[Pair],
    levels: int | None = None,
    lncc_radius: int = 2,
    objective: Objective | None = None,
) -> Outcome:
    """Run the network on each pair and take the means; see :class:`Outcome`.

    Args:
        network: on any device, not changed.
        pairs: on the working lattice.
        levels: run only the first so many.
        lncc_radius: of the window, voxels.
        objective: the loss to take of the last output; None for none.

    Raises:
        ValueError: there is no pair.
    """
    return outcome_of(evaluated(network, pairs, levels, lncc_radius, objective))


def outcome_of(sums: Sums) -> Outcome:
    """The means.

    Raises:
        ValueError: there was no pair.
    """
    if sums["lncc"][1] == 0:
        raise ValueError("no pairs to evaluate on")
    return Outcome(**{name: total / n if n else None for name, (total, n) in sums.items()})  # type: ignore[arg-type]


@torch.no_grad()
def evaluated(
    network: RegistrationNetwork,
    pairs: Iterable[Pair],
    levels: int | None,
    lncc_radius: int,
    objective: Objective | None,
    stop: Callable[[], bool] | None = None,
) -> Sums:
    """What :func:`evaluate` takes the means of; of the pairs until ``stop``, asked before each, says so."""
    device = next(network.parameters()).device
    sums: Sums = dict.fromkeys(("lncc", "folded", "error_mm", "start_mm", "loss"), (0.0, 0))
    for source_pair in pairs:
        if stop is not None and stop():
            break
        pair = prepared(source_pair, network.config, device)
        outputs = answers(network, pair, levels, objective is not None and objective.both_ways)
        found = measured(
            outputs[-1][: len(pair["fixed"])], pair, network.config.spacing_mm, lncc_radius
        )
        if objective is not None:
            weights = (0.0,) * (len(outputs) - 1) + (1.0,)
            found["loss"] = float(objective(outputs, weights, pair)[0])
        for name, value in found.items():
            total, count = sums[name]
            sums[name] = (total + value, count + 1)
    return sums


def answers(
    network: torch.nn.Module,
    pair: dict[str, Tensor],
    levels: int | None,
    both_ways: bool,
    **options: object,
) -> list[Tensor]:
    """The network's fields for a prepared pair; with ``both_ways`` moving to fixed in the same batch."""
    fixed, moving = pair["fixed"], pair["moving"]
    if both_ways:
        fixed, moving = torch.cat((fixed, moving)), torch.cat((moving, fixed))
    found: list[Tensor] = network(fixed, moving, levels=levels, **options)
    return found


def measured(
    output: Tensor, pair: dict[str, Tensor], spacing_mm: float, lncc_radius: int
) -> dict[str, float]:
    """The figures of one pair on the working lattice."""
    mask, spacing = pair["fixed_mask"], (spacing_mm,) * 3
    determinant = jacobian_determinant(output, (1.0, 1.0, 1.0))
    warped = warp(pair["moving"], output)
    found = {
        "lncc": float(lncc(pair["fixed"], warped, mask, lncc_radius)),
        "folded": float(masked_mean((determinant <= 0).float(), mask)),
    }
    nothing = torch.zeros_like(output)
    for name, field in (("error_mm", output), ("start_mm", nothing)):
        if len(pair.get("fixed_points", ())) > 0:
            points = pair["fixed_points"], pair["moving_points"]
            stretch = pair.get("to_moving")
            found[name] = float(landmark_distance(field, *points, spacing, 0, stretch).mean())
        elif "displacement" in pair:
            found[name] = float(
                displacement_error(field, pair["displacement"], mask, spacing, smooth=0)
            )
    return found
