"""MetaImage pairs of header and raw voxels, as their owners' programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_TYPES = {"int16": "MET_SHORT", "uint8": "MET_UCHAR"}


def write_mhd(
    path: Path,
    values: np.ndarray,
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    axes: np.ndarray | None = None,
) -> Path:
    """``values`` [k, j, i]; ``axes`` has the directions of i, j, k as columns, LPS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # MetaIO lists the matrix axis by axis
    matrix = (np.eye(3) if axes is None else axes).T.ravel()
    raw = path.with_suffix(".raw")
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        f"TransformMatrix = {' '.join(f'{v:.12g}' for v in matrix)}",
        f"Offset = {' '.join(f'{v:g}' for v in origin)}",
        "CenterOfRotation = 0 0 0",
        f"ElementSpacing = {' '.join(f'{v:g}' for v in spacing)}",
        f"DimSize = {' '.join(str(n) for n in values.shape[::-1])}",
        "AnatomicalOrientation = RAI",
        f"ElementType = {_TYPES[values.dtype.name]}",
        f"ElementDataFile = {raw.name}",
    ]
    path.write_text("\n".join(lines) + "\n")
    raw.write_bytes(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return path
