"""NIfTI-1 files, byte by byte, and back: what is in the file, with no opinion of ITK's in between."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_CODES = {"int16": (4, 16), "uint8": (2, 8), "float32": (16, 32)}


def write_nifti(
    path: Path, values: np.ndarray, affine: np.ndarray, *, header_only: bool = False
) -> Path:
    """``values`` [i, j, k] as they lie in the file, ``affine`` 4x4 to RAS mm in the sform."""
    header = bytearray(352)
    code, bits = _CODES[values.dtype.name]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, values.ndim, *values.shape, *[1] * (7 - values.ndim))
    struct.pack_into("<2h", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, 1.0, *spacing, 1.0, 1.0, 1.0, 1.0)
    struct.pack_into("<2f", header, 108, 352.0, 1.0)  # offset and slope
    struct.pack_into("<2h", header, 252, 0, 1)  # no qform, an sform
    struct.pack_into("<12f", header, 280, *np.asarray(affine)[:3].ravel())
    header[344:348] = b"n+1\0"
    voxels = b"" if header_only else values.astype(values.dtype.newbyteorder("<")).tobytes("F")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = bytes(header) + voxels
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def read_nifti(path: Path) -> np.ndarray:
    """The float32 array of a ``.nii.gz`` in the order of its axes."""
    raw = gzip.decompress(path.read_bytes())
    count, *shape = struct.unpack_from("<8h", raw, 40)
    assert struct.unpack_from("<2h", raw, 70) == _CODES["float32"]
    offset = int(struct.unpack_from("<f", raw, 108)[0])
    shape = shape[:count]
    values = np.frombuffer(raw, "<f4", count=int(np.prod(shape)), offset=offset)
    return values.reshape(shape, order="F")


def affine(
    spacing: tuple[float, float, float],
    corner: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0),
    axes: np.ndarray | None = None,
) -> np.ndarray:
    """To RAS mm: ``axes`` has the directions of i, j, k as columns."""
    made = np.eye(4)
    made[:3, :3] = (np.eye(3) if axes is None else axes) * spacing
    made[:3, 3] = corner
    return made


def lps(matrix: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Where the voxels with these indices (N, 3) lie, LPS mm, by the definition of the format."""
    ras = np.asarray(index) @ matrix[:3, :3].T + matrix[:3, 3]
    return ras * [-1, -1, 1]
