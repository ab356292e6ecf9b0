"""``lungmorph apply``: move an image, a mask or landmarks with a transform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..errors import InputError
from .console import print_json, stdout, use_threads
from .given import read_points
from .options import Threads

if TYPE_CHECKING:
    from torch import Tensor

    from ..space import Grid, Landmarks, Transform, Volume
    from ..space.grid import Float

#: An image with at most so many values, all whole and none negative, is taken for a mask or labels.
MOST_LABELS = 64
#: Lattice on which an inverse is looked at, mm.
CHECKED_MM = 5.0


def apply(
    transform: Annotated[
        Path,
        typer.Argument(
            metavar="TRANSFORM", help="transform.h5, displacement.nii.gz, .tfm, DICOM REG, ..."
        ),
    ],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT", help="Image, mask or landmarks (.csv, .mrk.json, .fcsv, .txt)."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    like: Annotated[
        Path | None,
        typer.Option(help="Image on whose grid the output lies: FIXED, or MOVING with --inverse."),
    ] = None,
    inverse: Annotated[
        bool,
        typer.Option(
            "--inverse",
            help="The other way: points from moving to fixed, images from fixed to moving.",
        ),
    ] = False,
    mask: Annotated[
        bool | None,
        typer.Option(
            "--mask/--image",
            help="Labels (nearest voxel) or grey values (linear); seen from the values if left out.",
        ),
    ] = None,
    series: Annotated[str | None, typer.Option(help="If INPUT is a DICOM folder.")] = None,
    first_index: Annotated[
        int | None, typer.Option(min=0, max=1, help="Where a .txt of indices starts to count.")
    ] = None,
    threads: Threads = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say what was done as JSON.")] = False,
) -> None:
    """Move INPUT with a transform that maps fixed points to moving points.

    Points go with it: landmarks of the fixed image come out in the moving image.

    Images are pulled against it: the moving image or mask comes out on the grid of the fixed image.

    --inverse turns both round.
    """
    use_threads(threads)
    if output.exists() and not overwrite:
        raise InputError(
            output,
            expected="a new file",
            found="one that exists",
            do="choose another name or pass --overwrite",
        )
    from ..files import read_image, read_transform
    from ..files.landmarks import POINT_FILES
    from ..files.replace import file_suffix

    mapping = read_transform(transform)
    if file_suffix(source) in POINT_FILES:
        start, end = ("moving", "fixed") if inverse else ("fixed", "moving")
        points = read_points(source, start, like, None, first_index)
        said = _move_points(mapping, points, output, inverse)
        line = f"{len(points)} landmarks of the {start} image, now in the [bold]{end}[/] image (LPS mm)"
    else:
        start, end = ("fixed", "moving") if inverse else ("moving", "fixed")
        if like is None:
            raise InputError(
                "--like",
                expected=f"the {end} image, on whose grid the output lies",
                found="nothing",
                do=f"pass --like {end.upper()}",
            )
        volume, grid = read_image(source, series), read_image(like).grid
        said = _warp(mapping, volume, grid, output, inverse, mask)
        line = f"{said['kind']} of the {start} image, now on the grid of the [bold]{end}[/] image"
    said |= {"output": str(output), "from": start, "frame": end}
    if as_json:
        print_json(said)
        return
    missed = said.get("inverse_residual_mm")
    note = "" if missed is None else f"; there and back, 95 % miss by less than {missed:.3f} mm"
    if beyond := said.get("beyond_percent"):
        note += f"; [bold]{beyond:.3g} %[/] lie beyond the edge of the transform, where displacements are zero"
    stdout().print(f"{line}{note}: {escape(str(output))}")


def _move_points(
    mapping: Transform, points: Landmarks, output: Path, inverse: bool
) -> dict[str, object]:
    import numpy as np

    from ..files import write_landmarks

    said: dict[str, object] = {"kind": "landmarks", "count": len(points)}
    moved = (mapping.inverse() if inverse else mapping).apply(points)
    said["beyond_percent"] = _beyond(mapping, moved.points if inverse else points.points)
    if inverse:
        missed = np.linalg.norm(mapping.apply(moved.points) - points.points, axis=1)
        said["inverse_residual_mm"] = float(np.percentile(missed, 95))
    write_landmarks(moved, output)
    return said


def _warp(
    mapping: Transform, volume: Volume, grid: Grid, output: Path, inverse: bool, mask: bool | None
) -> dict[str, object]:
    from ..files import write_image
    from ..space import Volume

    said: dict[str, object] = {}
    labels = looks_like_labels(volume) if mask is None else mask
    said["kind"] = "labels" if labels else "image"
    if labels:
        volume = Volume(volume.data.round().int(), volume.grid)
    if inverse:
        mapping, missed = _inverse_on(mapping, grid)
        said["inverse_residual_mm"] = missed
    else:
        said["beyond_percent"] = _beyond(mapping, _spread(grid))
    # outside the source there is air; in an image that is no CT, its darkest value
    fill = 0.0 if labels else max(-1024.0, float(volume.data.min()))
    write_image(mapping.warp(volume, grid, fill=fill), output)
    return said


def looks_like_labels(volume: Volume) -> bool:
    """Whether an image holds few whole numbers and none below 0."""
    data = volume.data
    if float(data.min()) < 0 or float(data.max()) > 32767 or not bool((data == data.round()).all()):
        return False
    return data.unique().numel() <= MOST_LABELS


def _inverse_on(mapping: Transform, grid: Grid) -> tuple[Transform, float]:
    """The inverse, and by how many mm 95 % of its points miss themselves at most."""
    from ..space import DisplacementField
    from ..space import Grid as AnyGrid
    from ..space.sampling import world_points

    if isinstance(mapping, DisplacementField):
        around = AnyGrid.covering(*grid.bounds(), max(mapping.grid.spacing))
        found, residual = mapping.inverse_with_residual(around)
        return found, _most(residual.data)
    back = mapping.inverse()
    points = world_points(AnyGrid.covering(*grid.bounds(), CHECKED_MM))
    return back, _most((mapping.map_points(back.map_points(points)) - points).norm(dim=-1))


def _spread(grid: Grid) -> Float:
    """Centres (N, 3) of some voxels of a grid, those of its edges among them, LPS mm."""
    import numpy as np

    axes = [np.linspace(0, n - 1, min(n, 40)) for n in grid.size]
    return grid.to_world(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3))


def _beyond(mapping: Transform, points: Float) -> float:
    """Percent of points (..., 3), LPS mm, at which the mapping is not known."""
    return 100.0 * float((~mapping.covers(points)).mean()) if len(points) else 0.0


def _most(missed: Tensor) -> float:
    """95 % are at most this."""
    import numpy as np

    return float(np.percentile(missed.numpy(), 95))
