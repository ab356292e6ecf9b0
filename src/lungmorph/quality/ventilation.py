"""Ventilation from the Jacobian: how much each place of the lung grows. For research, not for diagnosis.

The specific volume change of a place is det J - 1 (Reinhardt et al. 2008): the air that comes in, as a share of the
volume that was there. Corrected for mass, the volume that counts is that of the air alone: tissue does not change,
so that of a voxel of density d (g/ml, air 0) only 1 - d is air (Guerrero et al. 2006, for HU).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..space import Volume

#: Share of a part of the lung that the moving scan has to show for its air and mass to be compared.
LEAST_SHOWN = 0.5
#: Share of air below which a voxel is a vessel or a consolidation, and its change of air says nothing.
LEAST_AIR = 0.1


@dataclass(frozen=True)
class RegionVentilation:
    """Of one part of the lung.

    Attributes:
        fixed_ml, moving_ml: volume on both sides.
        volume_change_percent: of the moving against the fixed side.
        air_change_percent: of the air in it, as far as the moving scan shows it; None where there is hardly any, or less than half
            is shown.
        mass_change_percent: of the tissue in it, likewise; far from 0 means blood, contrast, collapse, or an error.
        sd: of det J over the region.
        shown_percent: how much of it the moving scan shows.
    """

    fixed_ml: float
    moving_ml: float
    volume_change_percent: float
    air_change_percent: float | None
    mass_change_percent: float | None
    sd: float
    shown_percent: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def air_change(fixed: Tensor, warped: Tensor, jacobian: Volume, lungs: Tensor) -> Volume:
    """Change of the air of a place as a share of its volume on the fixed side, mL of air per mL.

    Args:
        fixed, warped: HU (D, H, W) on the grid of the Jacobian: the fixed scan and the moving one warped onto it, NaN where
            the moving one shows nothing.
        jacobian: det J on that grid.
        lungs: bool (D, H, W).

    Returns:
        Warped air x det J - fixed air; 0 outside the lung, where there is hardly air on either side (vessels), and where nothing
        is known of the moving side.
    """
    before, after = air_share(fixed), air_share(warped)
    known = lungs & warped.isfinite() & ((before > LEAST_AIR) | (after > LEAST_AIR))
    return Volume(torch.where(known, after * jacobian.data - before, 0.0), jacobian.grid)


def air_share(hu: Tensor) -> Tensor:
    """Share of air of a voxel, 0 to 1: -HU / 1000."""
    return (-hu / 1000).clamp(0, 1)


def regional(
    fixed: Tensor,
    warped: Tensor,
    jacobian: Volume,
    regions: dict[str, NDArray[np.bool_]],
) -> dict[str, RegionVentilation]:
    """A row for every region, and "all" for them together.

    Args:
        fixed, warped: as in :func:`air_change`.
        jacobian: det J on that grid.
        regions: masks (D, H, W) on that grid.
    """
    whole = np.any(list(regions.values()), axis=0)
    ml = jacobian.grid.voxel_volume / 1000
    inside = torch.from_numpy(whole)
    det = jacobian.data[inside].double().numpy()
    before, after = (air_share(scan[inside]).double().numpy() for scan in (fixed, warped))
    air = before, after * det
    mass = 1 - before, (1 - after) * det
    rows = {**regions, "all": whole}
    return {
        name: RegionVentilation(
            fixed_ml=float(part.sum() * ml),
            moving_ml=float(det[part].sum() * ml),
            volume_change_percent=100 * float(det[part].mean() - 1),
            air_change_percent=_change(air[0][part], air[1][part]),
            mass_change_percent=_change(mass[0][part], mass[1][part]),
            sd=float(det[part].std()),
            shown_percent=100 * float(np.isfinite(after[part]).mean()),
        )
        for name, part in ((name, region[whole]) for name, region in rows.items())
    }


def _change(before: NDArray[np.float64], after: NDArray[np.float64]) -> float | None:
    """Percent; of what is known on both sides, if that is enough."""
    shown = np.isfinite(after)
    total = float(before[shown].sum())
    if shown.mean() < LEAST_SHOWN or total < 0.01 * shown.sum():
        return None
    return 100 * (float(after[shown].sum()) / total - 1)
