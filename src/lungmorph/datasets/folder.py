"""A folder of pairs of one's own: found by the words in the names, or by a pattern that is given.

Without a pattern the names have to say which scan is which: fixed and moving, exhale and inhale (or exp
and insp), baseline and followup, T00 and T50 (of phases T00 to T90); the first of the two is fixed.
Whatever else a name says is the case; if it says nothing else, the folder is. ``X_mask``, ``X_lungmask`` or ``X_lungs`` beside an image ``X``, or
``X`` in a folder of masks, is its lung mask, ``X_landmarks.csv`` (or ``.fcsv``, ``.mrk.json``) has its points,
``landmarks.csv`` or ``CASE_landmarks.csv`` the pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from .case import Case, Dataset, LandmarkSet, Scan, natural_order
from .folder_images import Found, by_pattern, by_words, images_below, stem_of
from .folder_masks import sort_masks
from .image_scan import image_scan
from .landmark_files import pair_set, scan_set
from .phases import EXHALE, INHALE, phase_name
from .scan_names import PAIRS

_POINTS = (".csv", ".fcsv", ".mrk.json")
_Group = list[Found]


def recognises(root: Path) -> bool:
    """Whether the names in a folder make up at least one pair."""
    if not root.is_dir():
        return False
    groups = _grouped(by_words(root, sort_masks(root, list(images_below(root))).images))
    return any(_pairs(group) for group in groups.values())


def open_dataset(root: Path, *, pattern: str | None = None) -> Dataset:
    """Read a folder of pairs.

    Args:
        root: the folder.
        pattern: path of an image below it, with the fields {id}, {scan}, {patient} and {phase} (of
            which each takes as much as it can, though no "/") and ``*`` for anything.

    Raises:
        InputError: not a folder; a pattern that is none or fits nothing; no case of which it is clear
            which scan is fixed and which is moving.
    """
    if not root.is_dir():
        raise InputError(root, expected="a folder", found="a file")
    sorted_out = sort_masks(root, list(images_below(root)))
    images, masks = sorted_out.images, sorted_out.masks
    found = by_words(root, images) if pattern is None else by_pattern(root, images, pattern)
    groups = _grouped(found)
    names = _ids(root, list(groups))
    in_folder: dict[Path, set[tuple[str, ...]]] = defaultdict(set)
    for image in found:
        in_folder[image.named.parent].add(image.key)
    cases, unclear = [], []
    for key, group in groups.items():
        problems: list[str] = []
        try:
            pair = _pair(names[key], group)
        except InputError as error:
            unclear.append(error)
            problems.append(str(error))
            pair = ("", "")
        alone = all(len(in_folder[image.named.parent]) == 1 for image in group)
        cases.append(_case(names[key], group, pair, masks, alone, problems))
    if unclear and len(unclear) == len(cases):
        raise unclear[0]
    cases.sort(key=lambda case: natural_order(case.id))
    aside = sorted(set(images) - {image.path for image in found})
    notes = [
        *_left(root, aside, "for their names say no scan"),
        *_left(root, sorted_out.labels, "for nothing says that they are the lungs of one image"),
    ]
    return Dataset("folder", "a folder of pairs", root, tuple(cases), notes=tuple(notes))


def _grouped(found: Sequence[Found]) -> dict[tuple[str, ...], _Group]:
    groups: dict[tuple[str, ...], _Group] = defaultdict(list)
    for image in found:
        groups[image.key].append(image)
    return groups


def _ids(root: Path, keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """What a case is called: the last part of its key that says something, or all where that is not enough."""
    said = {key: [part for part in key if part] or [root.resolve().name] for key in keys}
    last = {key: parts[-1] for key, parts in said.items()}
    enough = len(set(last.values())) == len(keys)
    return last if enough else {key: "_".join(parts) for key, parts in said.items()}


# ------------------------------------------------------------------ which is fixed, which is moving


def _pairs(group: _Group) -> set[tuple[str, str]]:
    """Every reading of the names as (fixed, moving); phases tell more than words beside them."""
    inhale, exhale = ([i.scan for i in group if i.percent == p] for p in (INHALE, EXHALE))
    readings = {(a, b) for a in inhale for b in exhale}
    for kind in PAIRS if not readings else ():
        fixed, moving = (
            [i.scan for i in group if (kind, side) in i.words.sides] for side in (0, 1)
        )
        readings |= {(a, b) for a in fixed for b in moving}
    return readings


def _pair(case: str, group: _Group) -> tuple[str, str]:
    files: dict[str, list[Path]] = defaultdict(list)
    for image in group:
        files[image.scan].append(image.path)
    for scan, paths in files.items():
        if len(paths) > 1:
            raise InputError(
                f"case {case}",
                expected=f"one image {scan}",
                found=" and ".join(str(path) for path in paths),
                do="keep one of them, or write a table (see docs/datasets.md)",
            )
    readings = _pairs(group)
    if len(readings) == 1:
        return readings.pop()
    listed = ", ".join(str(image.path) for image in group)
    percents = {image.percent for image in group}
    if not readings and percents != {None}:
        lacking = [phase_name(p) for p in (INHALE, EXHALE) if p not in percents]
        raise InputError(
            f"case {case}",
            expected=f"the phases {phase_name(INHALE)} and {phase_name(EXHALE)}",
            found=f"no {' and no '.join(lacking)}, only {listed}",
            do="copy it there, or say in a table which scans are the pair (see docs/datasets.md)",
        )
    if len(files) == 1:
        raise InputError(
            f"case {case}",
            expected="two scans",
            found=f"{group[0].path} alone",
            do="put the other one beside it",
        )
    raise InputError(
        f"case {case}",
        expected="names that say which scan is fixed and which is moving",
        found=listed + (f" ({len(readings)} readings)" if readings else ""),
        do="say it in a table (see docs/datasets.md)",
    )


# ------------------------------------------------------------------ one case


def _case(
    name: str,
    group: _Group,
    pair: tuple[str, str],
    masks: Mapping[Path, Sequence[Path]],
    alone: bool,
    problems: list[str],
) -> Case:
    scans = []
    for image in sorted(group, key=lambda image: natural_order(image.scan)):
        own = masks.get(image.path, ())
        if len(own) > 1:
            problems.append(
                f"{image.path}: expected one lung mask, found {' and '.join(map(str, own))}"
            )
        mask = own[0] if len(own) == 1 else None
        scan = image_scan(image.scan, image.path, problems, percent=image.percent, lungs=mask)
        scans += [scan] if scan else []
    return Case(
        id=name,
        patient=group[0].patient or name,
        scans=tuple(scans),
        fixed=pair[0],
        moving=pair[1],
        landmark_sets=tuple(_landmarks(name, group, pair, scans, alone, problems)),
        problems=tuple(problems),
        notes=(f"from the names: {pair[0]} is fixed, {pair[1]} is moving",) if all(pair) else (),
    )


def _landmarks(
    name: str,
    group: _Group,
    pair: tuple[str, str],
    scans: Sequence[Scan],
    alone: bool,
    problems: list[str],
) -> list[LandmarkSet]:
    """Pairs first, then the points of single scans."""
    sets = []
    folders = sorted({image.named.parent for image in group})
    titles = {f"{title}_landmarks.csv" for title in (name, group[0].key[-1]) if title}
    titles |= {"landmarks.csv"} if alone else set()
    files = [folder / title for folder in folders for title in sorted(titles)]
    for path in dict.fromkeys(path for path in files if path.is_file()):
        sets += pair_set(path, *pair, problems) if all(pair) else []
    points = {image.scan: file for image in group if (file := _points(image.named))}
    if points:
        sets += scan_set("landmarks", points, {scan.name: scan.grid for scan in scans}, problems)
    return sets


def _points(image: Path) -> Path | None:
    paths = (image.with_name(f"{stem_of(image)}_landmarks{suffix}") for suffix in _POINTS)
    return next((path for path in paths if path.is_file()), None)


def _left(root: Path, aside: Sequence[Path], why: str) -> list[str]:
    if not aside:
        return []
    names = ", ".join(path.relative_to(root).as_posix() for path in aside[:5])
    more = ", ..." if len(aside) > 5 else ""
    count = "1 image" if len(aside) == 1 else f"{len(aside)} images"
    return [f"left aside, {why}: {count} ({names}{more})"]
