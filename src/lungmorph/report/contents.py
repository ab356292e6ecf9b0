"""What the page of one registration is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..quality import Assessment
from ..space import Affine, Landmarks, Transform, Volume


@dataclass(frozen=True)
class Report:
    """What the page is made of.

    Attributes:
        title: in one line, which pair.
        subtitle: what it is.
        fixed, moving: HU.
        fixed_lungs: bool, any grid.
        transform: fixed to moving points, LPS mm.
        start: the mapping to compare with: identity, or the pre-alignment.
        start_name: "as given" or "pre-aligned".
        assessment: see :func:`lungmorph.quality.assess`.
        landmarks: (fixed, moving), if there are any.
        method: rows of the table of how it was made.
        cards: more key figures, (title, value, note).
        transform_files: how the files of the transform are called, in the order in which a point goes through them.
        foreign_files: those of them that 3D Slicer does not understand.
    """

    title: str
    subtitle: str
    fixed: Volume
    moving: Volume
    fixed_lungs: Volume
    transform: Transform
    assessment: Assessment
    start: Transform = field(default_factory=Affine.identity)
    start_name: str = "as given"
    landmarks: tuple[Landmarks, Landmarks] | None = None
    method: Mapping[str, Any] = field(default_factory=dict)
    cards: Sequence[tuple[str, str, str]] = ()
    transform_files: Sequence[str] = ("transform.h5",)
    foreign_files: Sequence[str] = ()
