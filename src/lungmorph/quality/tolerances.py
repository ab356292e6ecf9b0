"""The limits of the checks: one file, read strictly."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import InputError

NAMES = (
    "landmark_error_mm", "landmark_p95_mm", "predicted_error_mm", "wrong_place_ml", "inverse_consistency_mm", "surface_mm",
    "dice", "folded_percent", "jacobian_low", "jacobian_high", "undecided_percent", "not_shown_percent", "outside_percent",
)  # fmt: skip


class Tolerance(BaseModel):
    """Of one check. See the head of ``tolerances.yaml`` for the keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    unit: str
    passing: float = Field(alias="pass")
    review: float | None
    voxel_up_to: float | None = None
    at_least: bool = False
    required: bool = False
    source: str

    @model_validator(mode="after")
    def _in_order(self) -> Tolerance:
        sign = -1.0 if self.at_least else 1.0
        if self.review is not None and sign * self.review < sign * self.passing:
            raise ValueError("review lies on the good side of pass")
        return self

    def limit(self, voxel_mm: float) -> float:
        """What passes, for scans whose longest voxel edge is ``voxel_mm``."""
        if self.voxel_up_to is None:
            return self.passing
        return max(self.passing, min(voxel_mm, self.voxel_up_to))

    def verdict(self, value: float, voxel_mm: float) -> str:
        """pass, review or fail."""
        limit = self.limit(voxel_mm)
        sign = -1.0 if self.at_least else 1.0
        if sign * value <= sign * limit:
            return "pass"
        if self.review is None or sign * value <= sign * self.review:
            return "review"
        return "fail"


def load_tolerances(path: str | Path | None = None) -> dict[str, Tolerance]:
    """All limits by name; those of the package if no file is given.

    Raises:
        InputError: the file is no YAML, lacks a check, has one that is not known, or a number in the wrong place.
    """
    where: Any = Path(path) if path else resources.files(__package__) / "tolerances.yaml"
    try:
        found = yaml.safe_load(where.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(where, expected="a YAML file of tolerances", found=str(error)) from None
    names = set(found) if isinstance(found, dict) else set()
    if names != set(NAMES):
        odd = ", ".join(sorted(map(str, names ^ set(NAMES)))) or "no checks"
        raise InputError(
            where,
            expected=f"the checks {', '.join(NAMES)}",
            found=f"missing or unknown: {odd}",
            do="start from a copy of src/lungmorph/quality/tolerances.yaml",
        )
    out = {}
    for name in NAMES:
        try:
            out[name] = Tolerance.model_validate(found[name])
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join([name, *map(str, first["loc"])])
            raise InputError(where, expected=f"{at} to be valid", found=first["msg"]) from None
    return out
