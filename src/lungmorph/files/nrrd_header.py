"""What ITK takes for granted in the header of an NRRD file: 1 mm where no spacing is given, and LPS."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from ..errors import InputError

_log = logging.getLogger(__name__)
_HEAD_BYTES = 1 << 16
#: Three axes of the patient by name (left-posterior-superior) or by letter (LPS), with time or without.
_PATIENT = r"(?:(?:left|right)-(?:anterior|posterior)-superior|[LR][AP]S)(?:-time|T)?"


def check_nrrd_vectors(path: Path) -> None:
    """Refuse vectors in another frame than LPS: ITK turns the axes of the image, and not the vectors.

    Raises:
        InputError: that.
    """
    space = _fields(path).get("space", "")
    if space and not re.fullmatch(r"left-posterior-superior|LPS", space, re.IGNORECASE):
        raise InputError(
            path,
            expected="vectors in a space of left-posterior-superior (LPS)",
            found=f"a space of {space}",
            do="write it in LPS, as 3D Slicer does",
        )


def check_nrrd_header(path: Path) -> None:
    """Refuse an NRRD that does not say how large its voxels are, or not in mm.

    Raises:
        InputError: an axis of a 3D image without spacing; another unit than mm.
    """
    fields = _fields(path)
    if not fields:
        return  # ITK refuses it
    told = fields.get("space directions") or fields.get("spacings") or ""
    axes = re.findall(r"\([^)]*\)|\S+", told)
    missing = [axis.lower() in ("none", "nan") for axis in axes] or [True]
    if fields.get("dimension") == "3" and any(missing):
        raise InputError(
            path,
            expected="a spacing in mm along every axis",
            found=f"space directions {told}" if told else "none in its header",
            do="write the spacing, in mm, into its header",
        )
    units = {unit.lower() for unit in re.findall(r'"([^"]*)"', fields.get("space units", ""))}
    if not units <= {"mm", "millimeter", "millimeters", "millimetre", "millimetres", ""}:
        raise InputError(path, expected="space units of mm", found=fields["space units"])
    if not re.fullmatch(_PATIENT, fields.get("space", ""), re.IGNORECASE):
        _log.warning(
            "%s does not say which way its axes run (space: LPS): its orientation is unknown", path
        )


def _fields(path: Path) -> dict[str, str]:
    """What the header says; nothing if it is no NRRD."""
    with open(path, "rb") as stream:
        head = re.split(rb"\r?\n\r?\n", stream.read(_HEAD_BYTES), maxsplit=1)[0].decode("latin-1")
    if not head.startswith("NRRD"):
        return {}
    return dict(re.findall(r"^([\w ]+): *(.*?)\s*$", head, re.MULTILINE))
