"""What a command was given, looked at before anything is computed: scans, landmarks, an output folder, a device."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..space import Landmarks, Volume

#: Between the file of a scan and which series or phase of it was taken, in its name.
SERIES, PHASE = ", series ", ", phase "


def scan(path: Path, series: str | None, phase: str | None) -> Volume:
    """An image file, a DICOM series, or a phase of a 4D CT in a DICOM folder."""
    from ..files import read_image, read_phase

    return read_image(path, series) if phase is None else read_phase(path, phase, series)


def scan_name(path: Path, series: str | None, phase: str | None) -> str:
    """What the scan is called, and what `lungmorph report` finds it by."""
    chosen = ((SERIES, series), (PHASE, phase))
    return str(path) + "".join(f"{key}{value}" for key, value in chosen if value is not None)


def read_points(
    file: Path,
    frame: str,
    image: Path | None,
    series: str | None,
    first: int | None,
    phase: str | None = None,
) -> Landmarks:
    """Landmarks from any file; for a list of indices (.txt), through the image that it counts.

    Raises:
        InputError: a list of indices without an image or without where counting starts.
    """
    from ..files import read_landmarks

    if file.suffix.lower() != ".txt":
        return read_landmarks(file, frame)
    if image is None or first is None:
        raise InputError(
            file,
            expected="to be told " + ("its image" if image is None else "where counting starts"),
            found="a list of voxel indices alone",
            do="pass --like IMAGE" if image is None else "pass --first-index 0 or --first-index 1",
        )
    return read_landmarks(file, frame, image=scan(image, series, phase), first=first)


def make_sure_of(output: Path, overwrite: bool) -> None:
    """Refuse, before minutes of work, an output folder that could not be written after them.

    Raises:
        InputError: as :func:`lungmorph.files.output_folder`.
    """
    from ..files import output_folder

    class Enough(Exception):
        pass

    # leaving by an exception takes back everything that was made
    with suppress(Enough), output_folder(output, overwrite):
        raise Enough


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or this machine does not have.

    Raises:
        InputError: with what there is instead.
    """
    import torch

    try:
        # a value has to come back: torch knows devices ("meta") that hold none
        float(torch.zeros(1, device=device)[0])
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"] + [f"cuda:{n}" for n in range(torch.cuda.device_count())]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise InputError(
            "device", expected=f"one of {', '.join(there)}", found=repr(device)
        ) from error
