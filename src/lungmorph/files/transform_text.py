"""ITK's transform files of text: whether they are whole, and what other text is taken for one.

ITK itself reads a text file that was cut off as whatever its type begins as, the identity.
"""

from __future__ import annotations

import re
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError
from .elastix import BEGINS
from .transform_count import leaves

#: How the text of other tools begins, and what its user can do.
_OTHERS = (
    (BEGINS, "a parameter file of elastix", "call it .txt, as elastix does"),
    ("MGH_GPUIT_BSP", "a B-spline of Plastimatch", "let Plastimatch write a field (vf_out=)"),
)
_HEAD_BYTES = 4096


def foreign_text(path: Path) -> tuple[str, str] | None:
    """What a text file that is no ITK transform is, and what to do about it; None if nobody knows."""
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES).decode("latin-1")
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    for begins, what, do in _OTHERS:
        if any(line.startswith(begins) for line in lines):
            return what, do
    rows = [line.split() for line in lines]
    if 3 <= len(rows) <= 4 and all(len(row) == 4 and _numbers(row) for row in rows):
        return (
            "a bare matrix, which says neither its frame nor its direction",
            "write it as an ITK affine transform (.tfm), fixed to moving points, LPS mm: that of Greedy or NiftyReg by"
            " c3d_affine_tool MATRIX -oitk FILE.tfm",
        )
    return None


def unknown_type(reason: str) -> tuple[str, str] | None:
    """Which transform SimpleITK cannot read, by what it says, and what to do about it; None if that is not the reason."""
    named = re.search(r'Could not create an instance of "([A-Za-z0-9]+)', reason)
    if named is None and "Transform is not of type" not in reason:
        return None
    return (
        f"a {named[1] if named else 'type'} that SimpleITK does not read",
        "save it as a displacement field: in 3D Slicer, module Transforms, Convert, with the fixed scan as reference",
    )


def check_whole_text(path: Path, read: sitk.Transform) -> None:
    """Refuse a text file that lacks parameters of the transform that ITK made of it.

    Args:
        path: ``.tfm`` or ``.txt``.
        read: what ITK read.

    Raises:
        InputError: a transform of the file has fewer parameters than its type.
    """
    found = _lengths(path)
    expected = [_own_lengths(leaf) for leaf in leaves(read)]
    whole = len(found) == len(expected) and all(
        here >= there for a, b in zip(found, expected, strict=True) for here, there in zip(a, b, strict=True)
    )  # fmt: skip
    if not whole:
        raise InputError(
            path,
            expected="a whole transform file: Parameters and FixedParameters of every transform",
            found="one that ends before them, or lacks some of their numbers",
            do="it is truncated: copy or write it again",
        )


def _lengths(path: Path) -> list[tuple[int, int]]:
    """Of every transform in the file but composites: how many parameters and fixed parameters stand there; -1 for no line."""
    lengths: list[list[int]] = []
    with open(path, encoding="latin-1") as stream:
        for line in stream:
            key, _, rest = line.partition(":")
            if key == "Transform" and not rest.strip().startswith("Composite"):
                lengths.append([-1, -1])
            elif key in ("Parameters", "FixedParameters") and lengths:
                lengths[-1][key == "FixedParameters"] = len(rest.split())
    return [(first, second) for first, second in lengths]


def _own_lengths(leaf: sitk.Transform) -> tuple[int, int]:
    # Euler3D has a fixed parameter more in ITK 5 than in files of older versions
    return leaf.GetNumberOfParameters(), min(
        leaf.GetNumberOfFixedParameters(), 18 if _has_grid(leaf) else 3
    )


def _has_grid(leaf: sitk.Transform) -> bool:
    return isinstance(leaf, (sitk.BSplineTransform, sitk.DisplacementFieldTransform))


def _numbers(words: list[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False
