"""LungMorph: unsupervised deformable registration of 3D lung CT with multi-level networks.

>>> import lungmorph
>>> result = lungmorph.register("inhale.nii.gz", "exhale.nii.gz")  # doctest: +SKIP

Names are resolved on first use, so that ``import lungmorph`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "register": "registration.register",
    "Registration": "registration.result",
    "Grid": "space",
    "Volume": "space",
    "Landmarks": "space",
    "Affine": "space",
    "DisplacementField": "space",
    "Composite": "space",
    "read_image": "files",
    "write_image": "files",
    "read_transform": "files",
    "write_transform": "files",
    "InputError": "errors",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
