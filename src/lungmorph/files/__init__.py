"""Every file format, read and written: images, DICOM series, transforms, landmarks, result folders.

Bad input is refused with one clear line (:class:`lungmorph.errors.InputError`); what is written
appears whole or not at all. What reads DICOM is imported on first use: most runs have none to read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .headers import read_grid
from .images import read_image, read_mask, write_image
from .landmarks import (
    read_landmark_pairs,
    read_landmarks,
    write_landmark_pairs,
    write_landmarks,
)
from .output import output_folder
from .replace import remove_unfinished, replacing
from .transforms import is_of_itk, read_transform, to_itk, write_transform

if TYPE_CHECKING:
    from .dicom import Series, list_series
    from .dicom_phases import read_phase

_HOMES = {"Series": "dicom", "list_series": "dicom", "read_phase": "dicom_phases"}

__all__ = [
    "Series",
    "is_of_itk",
    "list_series",
    "output_folder",
    "read_grid",
    "read_image",
    "read_landmark_pairs",
    "read_landmarks",
    "read_mask",
    "read_phase",
    "read_transform",
    "remove_unfinished",
    "replacing",
    "to_itk",
    "write_image",
    "write_landmark_pairs",
    "write_landmarks",
    "write_transform",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
