"""``lungmorph info``: what a file is, before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from .console import facts, print_json, print_whole, stdout, table

WEIGHTS_SUFFIX = ".safetensors"
#: What a training run leaves in its folder.
WEIGHTS = f"weights{WEIGHTS_SUFFIX}"
#: Name of the network that predicts errors.
ERROR_NETWORK = "error"


#: What the parts of a composite transform are called, in the order in which a point goes through them.
PARTS = "parts_in_order"


def info(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="Image, DICOM folder, transform, or model (name or file; `error` is the network of predicted errors).",
        ),
    ],
    series: Annotated[
        str | None, typer.Option(help="Look into one series of a DICOM folder.")
    ] = None,
    size: Annotated[
        str,
        typer.Option(help="For a model: extent of the lungs with their margin along x, y, z, mm."),
    ] = "300x240x300",
    spacing: Annotated[
        float | None,
        typer.Option(help="For a model: mm of the working lattice; its own if left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what an image, a DICOM folder, a transform or a model is.

    A model's cost is worked out for a region of --size, and compared with the memory of this machine.
    """
    from . import describe  # imports torch, which --help does without

    kind = kind_of(path)
    if kind == "folder" and series is None:
        found = describe.folder(Path(path))
    elif kind in ("folder", "image"):
        found = describe.image(Path(path), series)
    elif kind == "transform":
        found = describe.transform(Path(path))
    elif kind == "error network":
        found = describe.error_network(None if path == ERROR_NETWORK else path)
    else:
        found = describe.model(path, _extent(size), spacing)
    if as_json:
        print_json(found)
        return
    console = stdout()
    flat = {name: value for name, value in found.items() if not isinstance(value, list | dict)}
    console.print(
        facts([(_title(n), str(v)) for n, v in flat.items() if v is not None], title=str(path))
    )
    for name, value in found.items():
        if isinstance(value, dict):
            console.print(facts(list(_rows(value)), title=_title(name)))
        elif name == PARTS:
            # each its own facts: a table of all that any of them has is wider than a terminal
            for row in value:
                told = [(_title(n), str(v)) for n, v in row.items() if n != "step" and v != ""]
                console.print(facts(told, title=f"part {row['step']}"))
        elif isinstance(value, list) and value:
            heads = list(value[0])
            cells = [[str(row[head]) for head in heads] for row in value]
            # whole: of series alike but for their UID, the end of it is what is given to --series
            print_whole(table(cells, [_title(h) for h in heads], title=_title(name)))


def _rows(card: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Names and values, those of a dict within it below its name."""
    for name, value in card.items():
        title = "  " * depth + (_title(name) if depth == 0 else name)
        if isinstance(value, dict):
            yield title, ""
            yield from _rows(value, depth + 1)
        elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
            yield title, ""
            yield from _rows({str(n): part for n, part in enumerate(value)}, depth + 1)
        elif isinstance(value, list):
            yield title, ", ".join(map(_value, value))
        elif value not in (None, ""):
            yield title, _value(value)


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def kind_of(path: str) -> str:
    """Folder, image, transform, model or error network, from the name and, for images, the header.

    Raises:
        InputError: there is no such file, and no shipped model of that name.
    """
    place = Path(path)
    if place.is_dir():
        if (place / WEIGHTS).is_file():
            raise InputError(
                path,
                expected="an image, a transform or a model",
                found="the folder of a training run",
                do=f"name its weights: {place / WEIGHTS}",
            )
        return "folder"
    if place.name.lower().endswith(WEIGHTS_SUFFIX):
        from ..quality.error_weights import is_error_network

        return "error network" if is_error_network(place) else "model"
    if place.is_file():
        return "transform" if _is_transform(place) else "image"
    if place.name == path and not place.suffix:
        from ..networks import available

        if path == ERROR_NETWORK:
            return "error network"
        if path in available():
            return "model"
        names = ", ".join([*available(), ERROR_NETWORK])
        raise InputError(
            path, expected=f"a file, a folder or a shipped model ({names})", found="nothing"
        )
    raise InputError(path, expected="a file, a folder or a shipped model", found="nothing there")


def _is_transform(path: Path) -> bool:
    import SimpleITK as sitk

    from ..files.dicom_registration import is_dicom_registration
    from ..files.elastix import is_elastix
    from ..files.quiet import itk_name, quiet_itk
    from ..files.replace import file_suffix
    from ..files.transforms import TRANSFORM_FILES

    if is_dicom_registration(path):
        return True
    suffix = file_suffix(path)
    if suffix == ".txt":
        with open(path, "rb") as stream:
            of_itk = stream.read(22).startswith(b"#Insight Transform File")
        return of_itk or is_elastix(path)
    if suffix in TRANSFORM_FILES:
        return True

    reader = sitk.ImageFileReader()
    reader.SetFileName(itk_name(path))
    try:
        with quiet_itk():
            reader.ReadImageInformation()
    except RuntimeError:
        return False  # what is wrong with it, reading the image says better
    # colour pictures have three components too, but of whole numbers
    floats = (sitk.sitkVectorFloat32, sitk.sitkVectorFloat64)
    return reader.GetNumberOfComponents() == 3 and reader.GetPixelID() in floats


def _extent(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.lower().split("x"))
    except ValueError:
        x = y = z = 0.0
    if not all(20 <= length <= 2000 for length in (x, y, z)):
        raise InputError(
            "--size", expected="three lengths of 20 to 2000 mm, as 300x240x300", found=repr(text)
        )
    return x, y, z


def _title(name: Any) -> str:
    return str(name).replace("_", " ")
