"""How many transforms a file holds: of several that no composite joins, SimpleITK takes the first and says nothing."""

from __future__ import annotations

import mmap
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError
from .replace import file_suffix

#: What stands once for every transform: in HDF5 the name of a data set, in MATLAB's format that of a variable.
_MARKS = {".h5": b"TransformType", ".hdf5": b"TransformType", ".hdf": b"TransformType", ".mat": b"fixed\0"}  # fmt: skip
#: Deeper than this nobody nests composites.
_DEEPEST = 20


def leaves(transform: sitk.Transform) -> list[sitk.Transform]:
    """The transforms of a composite, of any nesting; of another transform itself."""
    if not isinstance(transform, sitk.CompositeTransform) or is_wrapped(transform):
        return [transform]
    parts = (
        transform.GetNthTransform(n).Downcast() for n in range(transform.GetNumberOfTransforms())
    )
    return [leaf for part in parts for leaf in leaves(part)]


def is_wrapped(transform: sitk.Transform) -> bool:
    """Whether SimpleITK does not know its type: it calls it a composite, whose only part is itself again, for ever."""
    for _ in range(_DEEPEST):
        if (
            not isinstance(transform, sitk.CompositeTransform)
            or transform.GetNumberOfTransforms() != 1
        ):
            return False
        transform = transform.GetNthTransform(0).Downcast()
    return True


def check_only_one(path: Path, read: sitk.Transform) -> None:
    """Refuse a file with more transforms than SimpleITK made of it.

    Args:
        path: of any format of ITK.
        read: what SimpleITK read.

    Raises:
        InputError: several, and no composite that says their order.
    """
    mark = _MARKS.get(file_suffix(path))
    if mark is None:
        with open(path, "rb") as stream:
            found = sum(
                line.startswith(b"Transform:") and not line[10:].strip().startswith(b"Composite")
                for line in stream
            )
    else:
        # a composite is itself one of those that are counted
        found = _count(path, mark) - isinstance(read, sitk.CompositeTransform)
    expected = len(leaves(read))
    if found > max(expected, 1):
        raise InputError(
            path,
            expected="one transform, or a composite that says the order of several",
            found=f"{found} transforms side by side",
            do="write a CompositeTransform, or each into a file of its own",
        )


def _count(path: Path, mark: bytes) -> int:
    with (
        open(path, "rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as whole,
    ):
        count, at = 0, whole.find(mark)
        while at >= 0:
            count, at = count + 1, whole.find(mark, at + len(mark))
    return count
