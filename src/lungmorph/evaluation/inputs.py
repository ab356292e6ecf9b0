"""A case made ready: read once, written once as the files that every method gets, and recognised again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..datasets import Case, Scan
from ..datasets.scan_files import ages
from ..errors import InputError
from ..files import write_image
from ..registration.lungs import lung_mask
from ..space import Landmarks, Volume
from .methods import PairFiles

INT16 = torch.iinfo(torch.int16)


@dataclass(frozen=True)
class Inputs:
    """The default pair of a case, in memory for the judge and on disk for the methods.

    Attributes:
        fixed, moving: HU.
        fixed_lungs, moving_lungs: masks on the same grids, of the dataset where it has them, else
            automatic.
        landmarks: (fixed, moving) or None.
        files: what the methods are given.
        sources: what each of those files was made from, for messages.
    """

    fixed: Volume
    moving: Volume
    fixed_lungs: Volume
    moving_lungs: Volume
    landmarks: tuple[Landmarks, Landmarks] | None
    files: PairFiles
    sources: dict[str, str]


def prepare(case: Case, folder: Path) -> Inputs:
    """Read the default pair of a case and write it, with lung masks, as NIfTI into ``folder``.

    Raises:
        InputError: a scan or mask cannot be read, shows no lung, or is missing.
    """
    scans = case.scan(case.fixed), case.scan(case.moving)
    images = [scan.load() for scan in scans]
    masks = [_lungs(scan, image) for scan, image in zip(scans, images, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    names = ("fixed", "moving", "fixed_mask", "moving_mask")
    paths = [folder / f"{name}.nii.gz" for name in names]
    for path, volume in zip(paths, [*images, *masks], strict=True):
        write_image(_as_stored(volume), path)
    return Inputs(
        images[0], images[1], masks[0], masks[1],
        case.landmarks(case.fixed, case.moving),
        PairFiles(
            paths[0], paths[1], paths[2], paths[3],
            masks_given=all(scan.lungs is not None for scan in scans),
        ),
        {str(path): str(scan.source) for path, scan in zip(paths, (*scans, *scans), strict=True)},
    )  # fmt: skip


def identity(case: Case) -> dict[str, Any]:
    """What tells whether a case is still the same: JSON-ready, without reading its images.

    Names, sizes and times of the files of both scans, their grids, and checksums of masks and landmarks.

    Raises:
        InputError: a scan is missing, or a mask cannot be read.
    """
    found: dict[str, Any] = {}
    for side, name in (("fixed", case.fixed), ("moving", case.moving)):
        scan = case.scan(name)
        mask = None if scan.lungs is None else _digest(scan.lungs().data.numpy().tobytes())
        found[side] = {"files": _files(scan), "grid": repr(scan.grid), "mask": mask}
    points = case.landmarks(case.fixed, case.moving)
    if points is not None:
        found["landmarks"] = _digest(b"".join(marks.points.tobytes() for marks in points))
    return found


def _lungs(scan: Scan, image: Volume) -> Volume:
    if scan.lungs is not None:
        return scan.lungs()
    return lung_mask(image, scan.source).resample(image.grid)


def _as_stored(volume: Volume) -> Volume:
    """Whole numbers as int16, which is what scanners write and what reads fastest."""
    data = volume.data
    if data.dtype == torch.bool:
        return volume
    whole = bool((data == data.round()).all())
    if whole and INT16.min <= float(data.min()) and float(data.max()) <= INT16.max:
        return Volume(data.to(torch.int16), volume.grid)
    return volume


def _files(scan: Scan) -> str:
    try:
        return _digest("\n".join(ages(scan)).encode())
    except OSError as error:
        raise InputError(
            scan.source, expected="a scan that can be read", found=error.strerror or str(error)
        ) from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
