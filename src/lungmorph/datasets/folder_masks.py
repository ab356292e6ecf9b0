"""Which files of a folder mark something in an image: its lungs, or labels of which nothing says that they are lungs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .folder_images import stem_of
from .scan_names import without_label, without_mask

#: Folders that hold masks or labels beside the images ("masksTr" beside "imagesTr", "lungMasks").
_MASKS = re.compile(
    r"(?:(?:lungs?[_\-. ]?)?(?:masks?|segs?|segmentations?)|lungs)(?:[_\-. ]?(?:tr|ts|val))?",
    re.IGNORECASE,
)
_LABELS = re.compile(r"label(?:s|[_\-. ]?maps?)?(?:[_\-. ]?(?:tr|ts|val))?", re.IGNORECASE)
#: The end of a name where a case may have several images, of which labels have none.
_CHANNEL = "_0000"


@dataclass
class Sorted:
    """The images of a folder by what they are.

    Attributes:
        images: those that mark nothing.
        masks: of the lungs, by their image; several of one image are not chosen from.
        labels: what marks something else, or something of more than one image.
    """

    images: list[Path]
    masks: dict[Path, list[Path]] = field(default_factory=dict)
    labels: list[Path] = field(default_factory=list)


def sort_masks(root: Path, images: Sequence[Path]) -> Sorted:
    """Find the masks and labels among the images below a folder, by their names or those of their folders.

    What has no image of its name is none: it may be a scan that is called so.
    """
    beside = {(path.parent, stem_of(path)): path for path in images}
    places: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in images:
        if not any(map(_marks, _folders(root, path))):
            for place in (_folders(root, path), *_one_less(_folders(root, path))):
                places[*place, stem_of(path)].append(path)
    made = Sorted([])
    for path in images:
        of_lungs, found = _marked(root, path, beside, places)
        if not found:
            made.images.append(path)
        elif of_lungs and len(found) == 1:
            made.masks.setdefault(found[0], []).append(path)
        else:
            made.labels.append(path)
    return made


def _marked(
    root: Path,
    path: Path,
    beside: dict[tuple[Path, str], Path],
    places: dict[tuple[str, ...], list[Path]],
) -> tuple[bool, Sequence[Path]]:
    """Whether a file is called a mask of lungs, and the images that it may belong to."""
    stem = stem_of(path)
    for of_lungs, name in ((True, without_mask(stem)), (False, without_label(stem))):
        if name is not None and (image := beside.get((path.parent, name))):
            return of_lungs, [image]
    folders = _folders(root, path)
    names = filter(None, (stem, without_mask(stem), without_label(stem), stem + _CHANNEL))
    for name in names if any(map(_marks, folders)) else ():
        for i, place in enumerate(_one_less(folders)):
            if _marks(folders[i]) and (found := places.get((*place, name))):
                return bool(_MASKS.fullmatch(folders[i])), found
    return False, ()


def _marks(folder: str) -> bool:
    return bool(_MASKS.fullmatch(folder) or _LABELS.fullmatch(folder))


def _folders(root: Path, path: Path) -> tuple[str, ...]:
    return path.relative_to(root).parts[:-1]


def _one_less(folders: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (folders[:i] + folders[i + 1 :] for i in range(len(folders)))
