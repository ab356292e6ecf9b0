"""Learn2Reg releases since 2021: a folder a task, with a dataset file beside its folders::

    LungCT/LungCT_dataset.json
    LungCT/imagesTr/LungCT_0001_0000.nii.gz     fixed (LungCT: exhale)
    LungCT/imagesTr/LungCT_0001_0001.nii.gz     moving (LungCT: inhale)
    LungCT/masksTr, keypointsTr, landmarksTr    the same names, points as .csv without header
    LungCT/imagesTs, masksTs, landmarksTs       test cases, where they were given out

A file of points has the three indices of one image a row. The dataset file lists pairs
(``training_paired_images``, ``registration_val``, ``test_paired_images``, ``registration_test``) and
what belongs to every image. A pair may be in several lists; what is kept for validation or test is not
for training. Files of a pair lie where the image lies, in the folder named ``masks`` (``keypoints``,
``landmarks``) instead of ``images``: so the challenge finds them too, and where its own dataset files
say otherwise they are mistaken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from .case import Case, noted
from .learn2reg_pair import ImageFiles, PairFiles, PointFiles, read_pair

TASKS = ("LungCT", "NLST")
#: First the lists whose word counts more.
LISTS = {
    "registration_test": "test",
    "test_paired_images": "test",
    "registration_val": "validation",
    "training_paired_images": "train",
}
IMAGES = {"imagesTr": "train", "imagesTs": "test"}
_IMAGE = re.compile(r"(?P<task>\w+?)_(?P<subject>\d{4})_(?P<scan>\d{4})\.nii(?:\.gz)?")


@dataclass
class _Listed:
    """What the dataset file says."""

    pairs: dict[tuple[str, str], str] = field(default_factory=dict)  # (fixed, moving): split
    belongings: dict[str, set[str]] = field(default_factory=dict)  # stem of an image: mask, ...
    names: tuple[str, str] = ("fixed", "moving")


def is_release(folder: Path) -> bool:
    """Whether it is the folder of a lung task, by its dataset file or by the names of its images."""
    return any(_is_lung_task(path.name) for path in folder.glob("*_dataset.json")) or any(
        _is_lung_task(path.name)
        for images in IMAGES
        if (folder / images).is_dir()
        for path in (folder / images).iterdir()
        if _IMAGE.fullmatch(path.name)
    )


def read_cases(folder: Path, problems: list[str], notes: list[str]) -> list[Case]:
    """The cases of one task: those of the dataset file, and further pairs that lie there."""
    listed = _listed(folder, problems, notes)
    pairs = {
        (_there(folder, fixed), _there(folder, moving)): split
        for (fixed, moving), split in listed.pairs.items()
    }
    mentioned = {image for pair in pairs for image in pair}
    for pair, split in _pairs_by_name(folder).items():
        if not mentioned & set(pair):
            pairs[pair] = split
    kept, withheld = [], []
    for (fixed, moving), split in pairs.items():
        there = (folder / fixed).is_file() or (folder / moving).is_file()
        if split == "test" and not there:
            withheld.append(fixed)
        else:
            kept.append((fixed, moving, split))
    if withheld:
        notes.append(
            f"{folder}: {len(withheld)} test pairs of the dataset file are left out, none of their "
            f"images is here (the first: {withheld[0]})"
        )
    subjects = [_subject(fixed) for fixed, _, _ in kept]
    return [
        read_pair(_pair(folder, listed, fixed, moving, split, subjects.count(_subject(fixed)) == 1))
        for fixed, moving, split in kept
    ]


def refuse_other_task(folders: Iterable[Path]) -> None:
    """Say so where a dataset file in one of the folders is of a task without lungs.

    Raises:
        InputError: there is one.
    """
    for path in (path for folder in folders for path in sorted(folder.glob("*_dataset.json"))):
        raise InputError(
            path,
            expected=f"a lung task of Learn2Reg ({', '.join(TASKS)})",
            found=path.name.removesuffix("_dataset.json"),
        )


def _is_lung_task(name: str) -> bool:
    return name.startswith(TASKS)


# ------------------------------------------------------------------ pairs


def _pair(
    folder: Path, listed: _Listed, fixed: str, moving: str, split: str, only: bool
) -> PairFiles:
    """The files of a pair; ``only``: no other pair is of the same subject."""
    images = folder / fixed, folder / moving
    masks = _companions(images, "mask", "masks", "", listed) or (None, None)
    subject = _subject(fixed)
    kinds = (("landmarks", True), ("keypoints", False))
    points = [
        (kind, expert, _companions(images, kind, kind, ".csv", listed)) for kind, expert in kinds
    ]
    return PairFiles(
        id=subject if only else f"{subject}_{_number(fixed)}_{_subject(moving)}_{_number(moving)}",
        patient=subject,
        group=subject.rpartition("_")[0],
        split=split,
        fixed=ImageFiles(listed.names[0], images[0], masks[0]),
        moving=ImageFiles(listed.names[1], images[1], masks[1]),
        points=[PointFiles(kind, expert, files) for kind, expert, files in points if files],
    )


def _companions(
    images: tuple[Path, Path], key: str, place: str, suffix: str, listed: _Listed
) -> tuple[Path, Path] | None:
    """The files that go with two images; None where neither is there nor listed for either."""
    first, second = (
        image.parent.with_name(image.parent.name.replace("images", place))
        / (image.name.split(".")[0] + suffix if suffix else image.name)
        for image in images
    )
    told = any(key in listed.belongings.get(_stem(image.name), ()) for image in images)
    return (first, second) if told or first.is_file() or second.is_file() else None


def _pairs_by_name(folder: Path) -> dict[tuple[str, str], str]:
    """Images 0000 and 0001 of one subject."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for images in IMAGES:
        for path in sorted((folder / images).glob("*.nii*")):
            match = _IMAGE.fullmatch(path.name)
            if match and _is_lung_task(path.name):
                of_subject = found.setdefault((images, match["subject"]), {})
                of_subject[match["scan"]] = f"{images}/{path.name}"
    return {
        (scans["0000"], scans["0001"]): IMAGES[images]
        for (images, _), scans in found.items()
        if {"0000", "0001"} <= set(scans)
    }


def _subject(image: str) -> str:
    """``LungCT_0001`` of ``imagesTr/LungCT_0001_0000.nii.gz``."""
    return _stem(image).rpartition("_")[0]


def _number(image: str) -> str:
    return _stem(image).rpartition("_")[2]


def _stem(image: str) -> str:
    return PurePosixPath(image).name.split(".")[0]


def _there(folder: Path, image: str) -> str:
    """The image as it lies there: the lists say ``.nii.gz``, and people unpack them to ``.nii``."""
    other = image.removesuffix(".gz") if image.endswith(".gz") else f"{image}.gz"
    return other if not (folder / image).is_file() and (folder / other).is_file() else image


# ------------------------------------------------------------------ the dataset file


def _listed(folder: Path, problems: list[str], notes: list[str]) -> _Listed:
    found = _Listed()
    for path in sorted(folder.glob("*_dataset.json")):
        if _is_lung_task(path.name):
            noted(problems, partial(_read, path, found, problems))
    if not found.pairs:
        notes.append(f"{folder}: no list of pairs; they are taken from the names of the images")
    return found


def _read(path: Path, found: _Listed, problems: list[str]) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, expected="a dataset file in JSON", found=str(error)) from error
    if not isinstance(content, dict):
        raise InputError(path, expected="a JSON object", found=type(content).__name__)
    for key, split in LISTS.items():
        for entry in _entries(content, key):
            pair = noted(problems, partial(_listed_pair, path, key, entry))
            if pair is not None:
                found.pairs.setdefault(pair, split)
    for key in ("training", "test"):
        for entry in _entries(content, key):
            if isinstance(entry, dict) and isinstance(image := entry.get("image"), str):
                found.belongings[_stem(image)] = set(entry) - {"image"}
    shift = content.get("img_shift")
    if isinstance(shift, dict):
        names = str(shift.get("fixed", "")), str(shift.get("moving", ""))
        if all(re.fullmatch(r"\w+", name) for name in names) and names[0] != names[1]:
            found.names = names


def _entries(content: dict[str, Any], key: str) -> list[Any]:
    entries = content.get(key)
    return entries if isinstance(entries, list) else []


def _listed_pair(path: Path, key: str, entry: Any) -> tuple[str, str]:
    """(fixed, moving), relative to the folder of the dataset file."""
    images = []
    for role in ("fixed", "moving"):
        image = entry.get(role) if isinstance(entry, dict) else None
        place = PurePosixPath(str(image))
        if (
            not isinstance(image, str)
            or place.is_absolute()
            or ".." in place.parts
            or not _IMAGE.fullmatch(place.name)
        ):
            raise InputError(
                path,
                expected=f"the {role} image of a pair in {key}",
                found=json.dumps(entry)[:100],
            )
        images.append(place.as_posix())
    if images[0] == images[1]:
        raise InputError(
            path, expected=f"two images in a pair of {key}", found=f"{images[0]} twice"
        )
    return images[0], images[1]
