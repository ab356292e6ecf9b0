"""Hounsfield units from the stored values of DIR-Lab's images.

The files do not say how their values are meant. The known copies hold HU + 1024, as GE's scanners
store them: air near 0, and -2000 (-3024 HU) outside the field of view. Derived data often hold HU
already. Which of the two it is shows in the values themselves, and the two exclude one another: where
the one puts air and lung, the other puts what no CT contains.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .raw import Stored

#: What may be subtracted from a stored value to give HU.
OFFSETS = (1024, 0)
#: Values as low as this are padding in either scale.
_PADDING = -1500
#: The least HU that is given back: below it there is noise and padding only.
_FLOOR = -1024.0
#: Voxels looked at to tell the scale.
_SAMPLE = 500_000


def hounsfield(stored: Stored, source: Path) -> NDArray[np.float32]:
    """HU, float32, of the stored values (z, y, x); at least -1024.

    Args:
        stored: int16.
        source: of the values, for messages.

    Raises:
        InputError: the values are a chest CT neither as HU + 1024 nor as HU; says so if they would be
            with their bytes swapped.
    """
    offset = stored_offset(stored, source)
    values = np.subtract(stored, np.float32(offset), dtype=np.float32, order="C")
    return np.maximum(values, np.float32(_FLOOR), out=values)


def stored_offset(stored: Stored, source: Path) -> int:
    """1024 where stored values are HU + 1024, 0 where they are HU.

    Raises:
        InputError: as :func:`hounsfield`.
    """
    sample = _sample(stored)
    for offset in OFFSETS:
        if _like_chest_ct(sample, offset):
            return offset
    expected = "CT as HU + 1024 (air near 0) or as HU (air near -1000)"
    if any(_like_chest_ct(sample.byteswap(), offset) for offset in OFFSETS):
        raise InputError(
            source,
            expected=f"{expected}, little endian",
            found="values that are CT with their bytes swapped (big endian)",
            do="swap the two bytes of every voxel",
        )
    low, middle, high = np.percentile(sample, (2, 50, 98)).astype(int)
    raise InputError(
        source,
        expected=expected,
        found=f"98 % of the values from {low} up, half from {middle} up, 2 % from {high} up",
        do="is it this image, of this size, as 16-bit integers?",
    )


def _sample(stored: Stored) -> Stored:
    step = max(1, round(np.sqrt(stored.size / _SAMPLE)))
    return np.array(stored[:, ::step, ::step], dtype=np.int16)


def _like_chest_ct(stored: Stored, offset: int) -> bool:
    """Whether there is air or lung, soft tissue, little as dense as hard bone, little below air.

    What counts as air or lung without an offset (over 6 %) is impossible (under 5 %) with one.
    """
    hu = stored[stored > _PADDING].astype(np.int32) - offset
    if hu.size == 0:
        return False

    def share(low: int, high: int) -> float:
        return float(((hu >= low) & (hu < high)).mean())

    return (
        share(-1200, -400) > 0.06
        and share(-200, 300) > 0.02
        and share(800, 1 << 16) < 0.05
        and share(-(1 << 17), -1200) < 0.05
    )
