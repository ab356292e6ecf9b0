"""The point lists of 3D Slicer: ``.mrk.json`` (today's) and ``.fcsv`` (older)."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..space import Landmarks
from ..space.grid import Float
from .tables import number_of, read_lines

#: (x, y, z) of RAS times this is LPS, and back.
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
#: Slicer before 4.11 wrote numbers.
_FCSV_SPACES = {"LPS": "LPS", "RAS": "RAS", "0": "RAS", "1": "LPS"}


def fcsv_points(path: Path) -> Float:
    """The points of a ``.fcsv``, (N, 3) LPS mm.

    Raises:
        InputError: the coordinate system is not said, a cell is no number, or no point.
    """
    space = None
    found = []
    for line, text in enumerate(read_lines(path), 1):
        if text.startswith("#"):
            match = re.match(r"#\s*CoordinateSystem\s*=\s*(\S+)", text)
            space = match.group(1) if match else space
        elif text.strip():
            cells = next(csv.reader([text]))
            if len(cells) < 4:
                raise InputError(
                    f"{path}, line {line}", expected="id,x,y,z,...", found=f"{len(cells)} cells"
                )
            found.append([number_of(path, line, cell) for cell in cells[1:4]])
    return _framed(path, found, _FCSV_SPACES.get(space or ""), space)


def markup_points(path: Path) -> Float:
    """The points of a ``.mrk.json``, (N, 3) LPS mm.

    Raises:
        InputError: not one list of Fiducial markups in mm, LPS or RAS, or a point without position.
    """
    try:
        lists = json.loads("\n".join(read_lines(path)))["markups"]
        kinds = [str(item.get("type")) for item in lists]
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise InputError(path, expected="3D Slicer markups", found="other JSON") from error
    if kinds != ["Fiducial"]:
        raise InputError(
            path,
            expected="one list of Fiducial markups",
            found=", ".join(kinds) or "none",
            do="export one point list",
        )
    markup = lists[0]
    unit = markup.get("coordinateUnits", "mm")
    if (unit[0] if isinstance(unit, list) and unit else unit) != "mm":
        raise InputError(path, expected="points in mm", found=f"coordinateUnits {unit}")
    found = []
    for number, point in enumerate(markup.get("controlPoints") or [], 1):
        status = point.get("positionStatus", "defined")
        position = point.get("position")
        if status != "defined" or not isinstance(position, list) or len(position) != 3:
            # leaving it out would pair all later points with the wrong partner
            raise InputError(
                path,
                expected="every point with a position",
                found=f"point {number} ({point.get('label', '')}) {status}",
                do="place it or delete it (also in the other list)",
            )
        found.append([number_of(path, 0, value) for value in position])
    space = markup.get("coordinateSystem", "LPS")  # the default of Slicer's markups schema
    return _framed(path, found, {"LPS": "LPS", "RAS": "RAS"}.get(str(space)), space)


def fcsv_text(landmarks: Landmarks) -> str:
    """Points as the text of a ``.fcsv``, LPS mm."""
    head = (
        "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n"
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
    )
    return head + "".join(
        f"{n},{x!r},{y!r},{z!r},0,0,0,1,1,1,0,{landmarks.frame}-{n},,\n"
        for n, (x, y, z) in enumerate(landmarks.points.tolist(), 1)
    )


def markups_text(landmarks: Landmarks) -> str:
    """Points as the text of a ``.mrk.json``, LPS mm."""
    points = [
        {
            "id": str(n),
            "label": f"{landmarks.frame}-{n}",
            "position": point,
            "selected": True,
            "locked": False,
            "visibility": True,
            "positionStatus": "defined",
        }
        for n, point in enumerate(landmarks.points.tolist(), 1)
    ]
    schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    whole = {
        "@schema": schema + "Resources/Schema/markups-schema-v1.0.3.json#",
        "markups": [
            {
                "type": "Fiducial",
                "coordinateSystem": "LPS",
                "coordinateUnits": "mm",
                "controlPoints": points,
            }
        ],
    }
    return json.dumps(whole, indent=1)


def _framed(path: Path, found: list[list[float]], space: str | None, said: object) -> Float:
    if space is None:
        raise InputError(
            path, expected="the coordinate system LPS or RAS", found=str(said or "none")
        )
    if not found:
        raise InputError(path, expected="points", found="none")
    values = np.asarray(found, dtype=np.float64)
    return values * RAS_TO_LPS if space == "RAS" else values
