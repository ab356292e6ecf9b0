"""Transforms of elastix: its parameter files (``TransformParameters.0.txt``), each of which may name the one before.

Source: the manual of elastix 5, section 2.6 and appendix A. The parameters are those of ITK's transforms; matrices of direction stand
column by column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import SimpleITK as sitk
import torch

from ..errors import InputError
from ..space import Affine, Composite, DisplacementField, Transform

#: How such a file begins, after comments and other parameters.
BEGINS = '(Transform "'
EXPORT = 'let elastix write an ITK transform, (WriteITKCompositeTransform "true"), or a field: transformix -def all'

_HEAD_BYTES = 4096
_BEFORE = ("InitialTransformParameterFileName", "InitialTransformParametersFileName")
_SPLINES = ("BSplineTransform", "RecursiveBSplineTransform")

_Fields = dict[str, list[str]]


def is_elastix(path: Path) -> bool:
    """Whether a text file holds the parameters of a transform of elastix."""
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES).decode("latin-1")
    return any(line.strip().startswith(BEGINS) for line in head.splitlines())


def read_elastix(path: Path, convert: Callable[[sitk.Transform, Path], Transform]) -> Transform:
    """Read a chain of transforms, fixed to moving points, LPS mm, from its last file.

    Args:
        path: the file that elastix wrote last. The files before it are looked for where it names them, then beside it.
        convert: makes a transform of one of ITK's.

    Raises:
        InputError: a file that is missing, not whole, or of a type without a counterpart in ITK; deformations that are added to others.
    """
    chain = [path]
    while name := _before(_fields(chain[0])):
        chain.insert(0, _found(name, chain))
    whole: Transform = Affine.identity()
    parts: list[Transform] = []
    for file in chain:
        fields = _fields(file)
        found = convert(_itk(file, fields), file)
        if parts and _text(fields, "HowToCombineTransforms", "Compose") == "Add":
            whole = _sum(file, whole, found)
            parts = list(whole.parts) if isinstance(whole, Composite) else [whole]
        else:
            parts.append(found)
            whole = found if len(parts) == 1 else Composite(list(parts))
    return whole


def _found(name: str, chain: Sequence[Path]) -> Path:
    """The file that the first of a chain names: where that is, or beside it, as the folder may have moved since."""
    places = [Path(name), chain[0].parent / Path(name).name]
    there = [place for place in places if place.is_file()]
    new = [place for place in there if not any(place.samefile(known) for known in chain)]
    if not there:
        raise InputError(
            chain[0],
            expected=f"the transform before it, {name}",
            found="no such file, neither there nor beside it",
            do="copy it beside this one",
        )
    if not new:
        _refuse(chain[0], "a chain that ends", f"{name}, which comes after it")
    if len(new) > 1 and not Path(name).is_absolute() and new[0].read_bytes() != new[1].read_bytes():
        raise InputError(
            chain[0],
            expected=f"one {name} before it",
            found=f"another at {new[0]} than at {new[1]}",
            do="start from another folder, or name it in full in this file",
        )
    return new[0]


def _before(fields: _Fields) -> str:
    """Name of the file before; empty for the first."""
    name = next((_text(fields, key) for key in _BEFORE if key in fields), "")
    return "" if name == "NoInitialTransform" else name


def _sum(path: Path, first: Transform, second: Transform) -> Transform:
    """first(x) + second(x) - x, the older way to combine two."""
    if isinstance(first, Affine) and isinstance(second, Affine):
        return Affine(first.matrix + second.matrix - np.eye(4))
    if not (isinstance(first, Affine) and isinstance(second, DisplacementField)):
        _refuse(path, "a transform that is added to a linear one", "one added to a deformation")
    # first(x) + u(x) is first(x + u(x) turned back)
    back = torch.as_tensor(np.linalg.inv(first.linear), dtype=torch.float32)
    turned = torch.einsum("ij,jzyx->izyx", back, second.data)
    return Composite([DisplacementField(turned, second.grid), first])


def _itk(path: Path, fields: _Fields) -> sitk.Transform:
    if _text(fields, "FixedImageDimension", "3") != "3":
        _refuse(path, "a 3D transform", f"{_text(fields, 'FixedImageDimension')}D")
    if _text(fields, "UseDirectionCosines", "true") != "true" and not np.allclose(
        _numbers(path, fields, "Direction", 9), np.eye(3).ravel()
    ):
        _refuse(
            path, '(UseDirectionCosines "true")', "a transform that ignores how its scan is turned"
        )
    kind = _text(fields, "Transform")
    if kind in _SPLINES:
        return _spline(path, fields)
    made: sitk.Transform
    if kind == "TranslationTransform":
        made = sitk.TranslationTransform(3)
    elif kind == "EulerTransform":
        made = sitk.Euler3DTransform()
        made.SetComputeZYX(_text(fields, "ComputeZYX", "false") == "true")
    elif kind == "SimilarityTransform":
        made = sitk.Similarity3DTransform()
    elif kind == "AffineTransform":
        made = sitk.AffineTransform(3)
    else:
        _refuse(path, "a translation, Euler, similarity, affine or B-spline transform", kind)
    if not isinstance(made, sitk.TranslationTransform):
        made.SetCenter(_numbers(path, fields, "CenterOfRotationPoint", 3))
    made.SetParameters(_numbers(path, fields, "TransformParameters", made.GetNumberOfParameters()))
    return made


def _spline(path: Path, fields: _Fields) -> sitk.BSplineTransform:
    if _text(fields, "UseCyclicTransform", "false") == "true":
        _refuse(path, "a B-spline that does not repeat itself", "a cyclic one")
    order = int(_text(fields, "BSplineTransformSplineOrder", "3"))
    size = _numbers(path, fields, "GridSize", 3)
    spacing = _numbers(path, fields, "GridSpacing", 3)
    direction = np.eye(3)
    if "GridDirection" in fields:
        direction = np.reshape(_numbers(path, fields, "GridDirection", 9), (3, 3)).T
    index = _numbers(path, fields, "GridIndex", 3) if "GridIndex" in fields else [0.0] * 3
    origin = _numbers(path, fields, "GridOrigin", 3) + direction @ np.multiply(index, spacing)
    made = sitk.BSplineTransform(3, order)
    made.SetFixedParameters([*size, *origin.tolist(), *spacing, *direction.ravel().tolist()])
    made.SetParameters(_numbers(path, fields, "TransformParameters", made.GetNumberOfParameters()))
    return made


def _fields(path: Path) -> _Fields:
    """Every parameter and its values, strings without their quotes."""
    text = path.read_text(encoding="latin-1")
    rows = re.findall(r"^[ \t]*\((\w+)[ \t]+(.*)\)", text, re.MULTILINE)
    return {
        name: [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|([^\s"]+)', values)]
        for name, values in rows
    }


def _text(fields: _Fields, name: str, otherwise: str = "") -> str:
    return next(iter(fields.get(name) or [otherwise]))


def _numbers(path: Path, fields: _Fields, name: str, count: int) -> Sequence[float]:
    try:
        found = [float(word) for word in fields.get(name, ())]
    except ValueError:
        _refuse(path, f"({name} ...) with {count} numbers", "other words")
    if len(found) != count:
        _refuse(path, f"({name} ...) with {count} numbers", f"{len(found)}")
    return found


def _refuse(path: Path, expected: str, found: str) -> NoReturn:
    raise InputError(path, expected=expected, found=found, do=EXPORT)
