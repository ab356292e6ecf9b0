"""The folders below a root in which a release may lie: archives are unpacked deeper than their owner meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..files.walk import folders_below

#: How far below the root is looked, and at how many entries before no deeper folder is entered.
DEPTH, MOST_ENTRIES = 4, 20_000


def release_folders(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """The root and the folders below it, each with the names of the folders and of the files in it, sorted.

    Hidden folders, and the one in which macOS puts the shadows of an archive, are passed over.
    """
    seen = 0
    for folder, folders, files in folders_below(root):
        folders[:] = [n for n in folders if not n.startswith(".") and n != "__MACOSX"]
        seen += len(folders) + len(files)
        yield folder, list(folders), files
        if len(folder.relative_to(root).parts) >= DEPTH or seen > MOST_ENTRIES:
            folders.clear()
