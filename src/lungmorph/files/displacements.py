"""Displacements of a file that no patient has: what reads them names the file, and not what fails on them later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

#: Farther apart than so no two scanner frames lie, mm.
FARTHEST_MM = 10_000.0


def check_displacements(path: Path, data: NDArray[np.floating[Any]]) -> None:
    """Refuse displacements (any shape, mm) that are no numbers, or as long as a mark for "undefined" or another unit makes them.

    Raises:
        InputError: that.
    """
    if not np.isfinite(data).all():
        raise InputError(
            path, expected="finite displacements", found="NaN or infinity", do="make it again"
        )
    longest = float(max(data.max(), -data.min()))
    if longest > FARTHEST_MM:
        count = int((np.abs(data) > FARTHEST_MM).sum())
        raise InputError(
            path,
            expected=f"displacements of at most {FARTHEST_MM:g} mm",
            found=f"up to {longest:.3g} mm ({count} of {data.size} numbers are longer)",
            do="it has another unit, a mark for undefined places, or damage: make it again in mm",
        )
