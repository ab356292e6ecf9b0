"""``lungmorph report``: the page of a result, or a list of many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from ..errors import InputError
from .console import progress_bar, stdout, use_threads
from .given import PHASE, SERIES, scan
from .options import Backward, LandmarkTable, Threads, Tolerances
from .quality import show

if TYPE_CHECKING:
    from ..space import Volume

TRANSFORM, METRICS, QUALITY = "transform.h5", "metrics.json", "quality.json"


def report(
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT", help="Folder that `lungmorph register` made, or a folder of such."
        ),
    ],
    fixed: Annotated[
        Path | None, typer.Option(help="The fixed scan, if it has moved since.")
    ] = None,
    moving: Annotated[
        Path | None, typer.Option(help="The moving scan, if it has moved since.")
    ] = None,
    backward: Backward = None,
    landmarks: LandmarkTable = None,
    tolerances: Tolerances = None,
    threads: Threads = None,
) -> None:
    """Write report.html and quality.json of a result anew; of a folder of results, index.html."""
    from ..report.index import write_index

    if not result.is_dir():
        raise InputError(result, expected="a folder of a result", found="no folder")
    if not (result / TRANSFORM).is_file():
        options = (fixed, moving, backward, landmarks, tolerances)
        _only_an_index(result, any(option is not None for option in options))
        page = write_index(result)
        stdout().print(f"written: [bold]{escape(str(page))}[/]")
        return
    use_threads(threads)
    from ..files import read_landmark_pairs, read_transform
    from ..quality import load_tolerances
    from ..registration.result import FIXED_LUNGS, LANDMARKS, MOVING_LUNGS
    from ..report.of_transform import write_quality_of

    both = fixed is not None and moving is not None
    settings = {} if both and not (result / METRICS).is_file() else _settings(result / METRICS)
    images = [
        _scan(result, side, given, settings)
        for side, given in (("fixed", fixed), ("moving", moving))
    ]
    kept = result / LANDMARKS
    pairs = landmarks or (kept if kept.is_file() else None)
    fixed_lungs, moving_lungs = (
        _lungs(result / name, image)
        for name, (image, _) in zip((FIXED_LUNGS, MOVING_LUNGS), images, strict=True)
    )
    mapping, limits = read_transform(result / TRANSFORM), load_tolerances(tolerances)
    with progress_bar(True) as progress:
        found = write_quality_of(
            result,
            images[0][0],
            images[1][0],
            mapping,
            names=(images[0][1], images[1][1]),
            transform_names=[TRANSFORM],
            fixed_mask=fixed_lungs,
            moving_mask=moving_lungs,
            landmarks=read_landmark_pairs(pairs) if pairs else None,
            backward=read_transform(backward) if backward else None,
            tolerances=limits,
            tolerances_name=str(tolerances) if tolerances else None,
            method={key: value for key, value in settings.items() if value is not None},
            progress=progress,
        )
    show(found)
    stdout().print(f"written: [bold]{escape(str(result / 'report.html'))}[/]")


def _only_an_index(folder: Path, asked_for_more: bool) -> None:
    """Refuse to list what was judged elsewhere, or to judge what can only be listed."""
    if (folder / QUALITY).is_file():
        raise InputError(
            folder,
            expected=f"a folder of `lungmorph register`, with its {TRANSFORM}",
            found="one of `lungmorph quality`, which keeps no transform",
            do="run `lungmorph quality` again, with the options it shall have",
        )
    if asked_for_more:
        raise InputError(
            folder,
            expected=f"a folder with a {TRANSFORM} to judge",
            found="a folder of results, of which an index is written",
            do="leave the options out, or name one of the results",
        )


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
        return dict(settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise InputError(
            path,
            expected="the settings that LungMorph wrote",
            found="no such file" if missing else "none that can be read",
            do="pass --fixed FILE and --moving FILE" if missing else "register again",
        ) from None


def _lungs(path: Path, image: Volume) -> Volume | None:
    """The mask that the registration used, on a grid of its own; None if an older version did not keep it."""
    if not path.is_file():
        return None
    from ..files import read_mask

    mask = read_mask(path)
    if not bool(mask.resample(image.grid).data.any()):
        raise InputError(path, expected="lungs within their scan", found="none of it there")
    return mask


def _scan(result: Path, side: str, given: Path | None, settings: dict[str, Any]) -> tuple[Any, str]:
    """The scan that was registered, and its name."""
    name = str(settings.get(side) or "")
    path, _, phase = name.partition(PHASE)
    path, _, series = path.partition(SERIES)
    if given is None and not (path and Path(path).exists()):
        raise InputError(
            result,
            expected=f"the {side} scan where it was",
            found=f"nothing at {path!r}" if path else "no name of it",
            do=f"pass --{side} FILE, or start from the same folder as then",
        )
    return scan(given or Path(path), series or None, phase or None), str(given or name)
