"""The limits of the checks: one file, read strictly."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator

from ..errors import InputError
from ..plain_yaml import yaml_content

NAMES = (
    "landmark_error_mm", "landmark_p95_mm", "predicted_error_mm", "wrong_place_ml", "inverse_consistency_mm", "surface_mm",
    "dice", "folded_percent", "jacobian_low", "jacobian_high", "undecided_percent", "not_shown_percent", "outside_percent",
)  # fmt: skip


#: A limit: a number, no truth value and no NaN.
Limit = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class Tolerance(BaseModel):
    """Of one check. See the head of ``tolerances.yaml`` for the keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1)
    unit: str
    passing: Limit = Field(alias="pass")
    review: Limit | None
    voxel_up_to: Limit | None = None
    at_least: StrictBool = False
    required: StrictBool = False
    source: str

    @model_validator(mode="after")
    def _in_order(self) -> Tolerance:
        sign = -1.0 if self.at_least else 1.0
        if self.review is not None and sign * self.review < sign * self.passing:
            raise ValueError("review lies on the good side of pass")
        if self.voxel_up_to is not None:
            if self.voxel_up_to < self.passing:
                raise ValueError("voxel_up_to lies below pass")
            if self.review is not None and self.voxel_up_to > self.review:
                raise ValueError("voxel_up_to lies above review")
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
    own = resources.files(__package__) / "tolerances.yaml"
    where: Any = Path(path) if path else own
    try:
        found = yaml_content(where.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise InputError(where, expected="a YAML file of tolerances", found=said) from None
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
    if path:
        _check_meaning(where, out, load_tolerances())
    return out


def _check_meaning(where: Path, given: dict[str, Tolerance], own: dict[str, Tolerance]) -> None:
    """Limits may be set; which side of one is good, in which unit, and what has to be known, may not."""
    for name, tolerance in given.items():
        if tolerance.at_least != own[name].at_least:
            raise InputError(
                where,
                expected=f"{name}.at_least: {str(own[name].at_least).lower()}",
                found=str(tolerance.at_least).lower(),
            )
        if tolerance.unit != own[name].unit:
            raise InputError(
                where,
                expected=f"{name}.unit: {own[name].unit!r}",
                found=repr(tolerance.unit),
                do="limits are in the units of the figures",
            )
        if own[name].required and not tolerance.required:
            raise InputError(
                where,
                expected=f"{name}.required: true",
                found="false",
                do="nothing passes that could not be computed",
            )
    if given["dice"].passing > 1:
        raise InputError(where, expected="dice.pass up to 1", found=f"{given['dice'].passing:g}")
