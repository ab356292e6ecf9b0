"""A file that ITK writes, whole or not at all, also where the disk runs full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .geometry import PathLike
from .quiet import itk_name, itk_reason, quiet_itk
from .replace import replacing

#: More than the smallest piece in which any usual file system hands out its space.
_PROBE_BYTES = 1 << 16


@contextmanager
def replacing_by_itk(path: PathLike) -> Iterator[Path]:
    """As :func:`lungmorph.files.replacing`, for a file that ITK writes into the temporary path.

    Raises:
        InputError: as there; ITK refuses; the disk is full; as :func:`itk_name`.
    """
    itk_name(path)
    with replacing(path) as temporary:
        try:
            with quiet_itk():
                yield temporary
        except RuntimeError as error:
            _check_room(temporary)  # says it better than ITK
            raise InputError(
                path, expected="a file that can be written", found=itk_reason(error)
            ) from error
        _check_room(temporary)


def _check_room(written: Path) -> None:
    """Raise OSError if the disk takes nothing more.

    Most of ITK's writers (NIfTI, NRRD, text, MATLAB) do not look whether the disk took what they wrote:
    a file that was cut off looks like any other. A write that fails has filled the disk, so that the
    next one fails as well, and Python tells.
    """
    size = written.stat().st_size if written.exists() else 0
    with open(written, "ab") as stream:
        stream.write(bytes(_PROBE_BYTES))
        stream.flush()
        stream.truncate(size)
