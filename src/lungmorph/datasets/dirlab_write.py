"""Write simulated breathing in the layout of DIR-Lab 4DCT, file by file as its packages are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import output_folder
from ..space import Grid, Landmarks, Volume

_PHASES = tuple(f"T{percent:02d}" for percent in range(0, 100, 10))
#: HU that a stored value can hold: from 0 (-1024 HU) up.
_LEAST, _MOST = -1024.0, 32767.0 - 1024.0


def write_case(
    root: Path,
    number: int,
    phases: Sequence[Volume],
    extremes: tuple[Landmarks, Landmarks],
    sampled: Sequence[Landmarks] = (),
) -> Path:
    """Write one package, ``root/Case1Pack`` (case 8 is ``Case8Deploy`` there), whole or not at all.

    The files hold no geometry: whoever reads them back needs the size and the spacing (unless they
    are the published ones of that case) and gets a frame that begins at 0 mm in the first voxel.

    Args:
        root: folder of packages; made if missing.
        number: of the case, 1 or more; names of files follow those of the real case.
        phases: T00 to T90, float HU, all on one grid whose axes are those of the world. Values are
            rounded; below -1024 HU they become -1024.
        extremes: points of T00 and of T50, LPS mm, rounded to voxels.
        sampled: points of T00, T10, ..., as many phases as given.

    Returns:
        The folder of the package.

    Raises:
        ValueError: not ten phases, other grids among them, landmarks that differ in number.
        InputError: a grid that is turned, landmarks outside the images, or the folder exists.
    """
    grid = _one_grid(phases)
    _same_number(extremes)
    _same_number(sampled)
    texts = {
        f"{_extreme_folder(number)}/{extremes_name(number, phase)}": points
        for phase, points in zip(("T00", "T50"), extremes, strict=True)
    }
    for phase, points in zip(_PHASES, sampled, strict=False):
        texts[f"Sampled4D/case{number}_4D-75_{phase}.txt"] = points
    lines = {name: _lines(points, grid, name) for name, points in texts.items()}
    with output_folder(Path(root) / package_name(number)) as folder:
        for phase, volume in zip(_PHASES, phases, strict=True):
            _write_image(volume, folder / "Images" / image_name(number, phase))
        for name, text in lines.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="ascii")
    return Path(root) / package_name(number)


def package_name(number: int) -> str:
    """The folder of a case as it comes out of DIR-Lab's archive."""
    return "Case8Deploy" if number == 8 else f"Case{number}Pack"


def image_name(number: int, phase: str) -> str:
    """The file of a phase ("T00") as DIR-Lab calls it, which differs from case to case."""
    ending = "_s" if number == 1 else "-ssm" if number <= 5 else ""
    return f"case{number}_{phase}{ending}.img"


def extremes_name(number: int, phase: str) -> str:
    """The file of the 300 landmarks of T00 or T50."""
    if number <= 5:
        return f"Case{number}_300_{phase}_xyz.txt"
    return f"case{number}_dirLab300_{phase}_xyz.txt"


def _extreme_folder(number: int) -> str:
    return "ExtremePhases" if number <= 5 else "extremePhases"


def _one_grid(phases: Sequence[Volume]) -> Grid:
    if len(phases) != len(_PHASES):
        raise ValueError(f"DIR-Lab has {len(_PHASES)} phases, not {len(phases)}")
    grid = phases[0].grid
    if not all(volume.grid.same_as(grid) for volume in phases):
        raise ValueError("the phases of a case lie on one grid")
    if np.abs(np.asarray(grid.direction) - np.eye(3)).max() > 1e-6:
        raise InputError(
            "phases for DIR-Lab's layout",
            expected="image axes that are those of the world (LPS)",
            found=str(grid),
            do="resample them first",
        )
    return grid


def _same_number(points: Sequence[Landmarks]) -> None:
    if len({len(marked) for marked in points}) > 1:
        raise ValueError(f"landmarks differ in number: {[len(marked) for marked in points]}")


def _write_image(volume: Volume, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    hu = volume.data.numpy(force=True)[::-1]  # slices run from head to foot in the files
    stored = np.rint(np.clip(hu, _LEAST, _MOST)) + 1024
    stored.astype("<i2").tofile(path)


def _lines(points: Landmarks, grid: Grid, name: str) -> str:
    """The text of a file of landmarks: 1-based voxel indices, slices from head to foot."""
    inside = grid.contains(points.points)
    if not inside.all():
        outside = f"{int((~inside).sum())} outside"
        raise InputError(name, expected=f"landmarks inside {grid}", found=outside)
    index = np.rint(grid.to_index(points.points)).astype(int)
    index = np.clip(index, 0, np.asarray(grid.size) - 1)  # half a voxel outside may round outwards
    index[:, 2] = grid.size[2] - 1 - index[:, 2]
    return "".join("\t".join(str(n) for n in row) + "\n" for row in (index + 1).tolist())
