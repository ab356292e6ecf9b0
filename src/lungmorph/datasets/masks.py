"""The lungs of a scan: its own mask, or one that is made once and kept.

Making a mask takes a few seconds, and the verbs that look at a dataset need the same masks again and
again. They are kept in the user's cache folder: ``LUNGMORPH_CACHE``, else ``lungmorph`` below
``XDG_CACHE_HOME`` or the cache folder of the system.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from .. import __version__
from ..errors import InputError
from ..files import replacing
from ..registration.lungs import lung_mask
from ..space import Grid, Volume
from .case import Scan
from .scan_files import ages

log = logging.getLogger(__name__)


def lungs_of(scan: Scan, image: Volume | None = None) -> Volume:
    """The lungs of a scan, on any grid: resample it where needed.

    Args:
        scan: with a mask of its own, or without.
        image: the scan, where it has been read already.

    Returns:
        Bool. The mask of the dataset; else that of :func:`lungmorph.registration.lungs.lung_mask`,
        from the cache if the files of the scan have not changed since.

    Raises:
        InputError: the mask or the scan cannot be read; nothing in the scan looks like lung.
    """
    if scan.lungs is not None:
        return scan.lungs()
    kept = cache_folder() / "lungs" / f"{_key(scan)}.npz"
    found = _load(kept)
    if found is None:
        found = lung_mask(scan.load() if image is None else image, scan.source)
        _save(found, kept)
    return found


def cache_folder() -> Path:
    """Where what can be made again is kept."""
    if told := os.environ.get("LUNGMORPH_CACHE"):
        return Path(told).expanduser()
    if told := os.environ.get("XDG_CACHE_HOME"):
        return Path(told) / "lungmorph"
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "lungmorph"
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "lungmorph"


def _key(scan: Scan) -> str:
    """Changes with the files of the scan, with what is taken from them, and with the version."""
    facts = [__version__, scan.name, repr(scan.grid), *ages(scan)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _load(path: Path) -> Volume | None:
    """A mask that :func:`_save` wrote; None if it is not there or damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            size, spacing, origin, direction = (
                kept[name].tolist() for name in ("size", "spacing", "origin", "direction")
            )
            grid = Grid(tuple(size), tuple(spacing), tuple(origin), tuple(map(tuple, direction)))
            bits = np.unpackbits(kept["bits"], count=grid.voxels).astype(bool)
        return Volume(torch.from_numpy(bits.reshape(grid.shape)), grid)
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile, zlib.error):
        log.info("%s is damaged and is made again", path)
        return None


def _save(mask: Volume, path: Path) -> None:
    """Keep a mask; where that cannot be, it is made again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            np.savez_compressed(
                temporary,
                bits=np.packbits(mask.data.numpy()),
                size=np.array(mask.grid.size),
                spacing=np.array(mask.grid.spacing),
                origin=np.array(mask.grid.origin),
                direction=np.array(mask.grid.direction),
            )
    except (OSError, InputError) as error:
        log.info("the lung mask is not kept: %s", error)
