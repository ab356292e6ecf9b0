"""All files below a folder, those behind links to other folders too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def folders_below(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder and each below it, with the names of the folders in it and of what is none, in order.

    Folders that are taken out of the first list are not entered, as with :func:`os.walk`. Links to folders are
    followed; a folder that is reached twice counts once, so that links may go round.
    """
    seen = set()
    for place, folders, names in os.walk(root, followlinks=True):
        true = os.path.realpath(place)
        if true in seen:
            folders.clear()
            continue
        seen.add(true)
        folders.sort()
        yield Path(place), folders, sorted(names)


def files_below(root: Path) -> list[Path]:
    """Every file below a folder, in order."""
    paths = (place / name for place, _, names in folders_below(root) for name in names)
    return sorted(path for path in paths if path.is_file())
