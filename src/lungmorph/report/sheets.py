"""Volumes as pictures that a browser can unpack: every axial slice a tile of one 8-bit sheet."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..space import Grid

#: Most voxels of a volume on the page, which then has a few megabytes.
MOST_VOXELS = 2_200_000
#: Finest spacing on the page, mm.
LEAST_SPACING = 1.25

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Sheet:
    """A volume (D, H, W) of bytes: ``columns`` tiles a row, slice 0 (the lowest) first."""

    src: str
    columns: int

    def as_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return {"src": self.src, "columns": self.columns}


def shown_grid(low: NDArray[np.float64], high: NDArray[np.float64]) -> Grid:
    """An isotropic grid along the world's axes over a box (LPS mm), of at most ``MOST_VOXELS`` voxels."""
    volume = float(np.prod(np.maximum(high - low, 1.0)))
    spacing = max(LEAST_SPACING, (volume / MOST_VOXELS) ** (1 / 3))
    return Grid.covering(low, high, spacing)


def make_sheet(values: Bytes, exact: bool) -> Sheet:
    """Pack bytes (D, H, W); ``exact`` as PNG, otherwise as JPEG, a fifth of the size for noisy CT."""
    depth, height, width = values.shape
    columns = max(1, ceil(sqrt(depth * height / width)))
    rows = ceil(depth / columns)
    tiles = np.zeros((rows * columns, height, width), np.uint8)
    tiles[:depth] = values
    sheet = tiles.reshape(rows, columns, height, width).swapaxes(1, 2)
    image = Image.fromarray(sheet.reshape(rows * height, columns * width))
    stream = io.BytesIO()
    if exact:
        image.save(stream, "PNG", optimize=True)
    else:
        image.save(stream, "JPEG", quality=88)
    kind = "png" if exact else "jpeg"
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return Sheet(f"data:image/{kind};base64,{text}", columns)


def linear_bytes(values: NDArray[np.float32], low: float, high: float) -> Bytes:
    """0 at ``low`` and below, 255 at ``high`` and above; what is no number becomes 0."""
    scaled = np.nan_to_num((values - low) / (high - low) * 255, nan=0.0)
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def log_bytes(values: NDArray[np.float32], low: float, high: float) -> Bytes:
    """As :func:`linear_bytes`, on a logarithmic scale from 1; what is zero or less, or no number, becomes 0."""
    shown = np.log(np.maximum(values, 1e-6))
    scaled = linear_bytes(shown.astype(np.float32), float(np.log(low)), float(np.log(high)))
    return np.where(values > 0, np.maximum(scaled, 1), 0).astype(np.uint8)
