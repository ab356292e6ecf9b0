"""A file that ITK writes, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .geometry import PathLike
from .quiet import itk_name, itk_reason, quiet_itk
from .replace import replacing


@contextmanager
def replacing_by_itk(path: PathLike) -> Iterator[Path]:
    """As :func:`lungmorph.files.replacing`, for a file that ITK writes into the temporary path.

    Raises:
        InputError: as there; ITK refuses; as :func:`lungmorph.files.quiet.itk_name`.
    """
    itk_name(path)
    try:
        with replacing(path) as temporary, quiet_itk():
            yield temporary
    except RuntimeError as error:
        raise InputError(
            path, expected="a file that can be written", found=itk_reason(error)
        ) from error
