"""What is counted of a registration: its name, its unit, and where in a record it stands.

A record is what is kept of one method on one case: see :mod:`.records`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InputError

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Quantity:
    """One figure of a case.

    Attributes:
        key: in CSV and JSON; ends in the unit.
        title: for people, without unit.
        unit: "mm", "%", "s", "MB", or "" for none.
        path: where it stands in a record.
        better: which way is better, if either is.
        digits: decimal places to print.
        total: how cases are summed up.
        tested: whether two methods are compared by it.
    """

    key: str
    title: str
    unit: str
    path: tuple[str, ...]
    better: Literal["low", "high"] | None = "low"
    digits: int = 2
    total: Literal["mean", "median", "max"] = "mean"
    tested: bool = False

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title

    def of(self, record: Record) -> float | None:
        """Its value in a record; None where it does not exist."""
        found: Any = record
        for name in self.path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return None
        return float(found) if math.isfinite(found) else None

    def text(self, value: float | None) -> str:
        """Its value as people read it."""
        return "-" if value is None else f"{value:.{self.digits}f}"


_STATISTICS = (
    ("mean", "mean"), ("sd", "SD"), ("median", "median"), ("p95", "95th percentile"), ("max", "max"),
)  # fmt: skip


def _landmark_quantities() -> list[Quantity]:
    found = []
    for when, kinds in (
        ("before", ("continuous", "snapped")),
        ("after", ("continuous", "snapped")),
    ):
        for kind in kinds:
            for name, called in _STATISTICS:
                key = "_".join(
                    part
                    for part in (
                        "lde", "before" if when == "before" else "",
                        "snapped" if kind == "snapped" else "", "" if name == "mean" else name, "mm",
                    )
                    if part
                )  # fmt: skip
                words = ["landmark error", "before" if when == "before" else ""]
                words += ["snapped" if kind == "snapped" else "", "" if name == "mean" else called]
                found.append(
                    Quantity(
                        key,
                        ", ".join(word for word in words if word),
                        "mm",
                        ("judged", "landmarks", when, kind, name),
                        better="low" if when == "after" else None,
                        tested=when == "after"
                        and name in ("mean", "median", "p95")
                        and (kind == "continuous" or name == "mean"),
                    )
                )
    return found


def _judged(key: str, title: str, unit: str, *path: str, **rest: Any) -> Quantity:
    return Quantity(key, title, unit, ("judged", *path), **rest)


QUANTITIES: tuple[Quantity, ...] = (
    *_landmark_quantities(),
    _judged("over_2mm_percent", "landmarks over 2 mm", "%", "landmarks", "over_2mm_percent", digits=1, tested=True),
    _judged("over_5mm_percent", "landmarks over 5 mm", "%", "landmarks", "over_5mm_percent", digits=1, tested=True),
    _judged("landmarks", "landmarks", "", "landmarks", "count", better=None, digits=0),
    _judged("landmarks_outside_field", "landmarks outside the field", "", "landmarks", "outside_field", digits=0),
    _judged("folded_percent", "folded", "%", "folding", "percent", digits=4, tested=True),
    _judged("folded_voxels", "folded voxels", "", "folding", "voxels", digits=0),
    _judged("jacobian_min", "least Jacobian", "", "folding", "min", better=None),
    _judged("jacobian_max", "largest Jacobian", "", "folding", "max", better=None),
    _judged("jacobian_mean", "mean Jacobian", "", "folding", "mean", better=None),
    _judged("sd_log_jacobian", "SD log J", "", "folding", "sd_log", better=None, digits=3, tested=True),
    _judged("sd_log_jacobian_learn2reg", "SD log J, Learn2Reg", "", "folding", "sd_log_learn2reg", better=None, digits=4),
    _judged("sd_log_jacobian_learn2reg_image", "SD log J, Learn2Reg, whole image", "", "folding", "sd_log_learn2reg_image", better=None, digits=4),
    _judged("clipped_percent_learn2reg", "clipped, Learn2Reg", "%", "folding", "percent_learn2reg", digits=4),
    _judged("lungs_outside_field_percent", "lung outside the field", "%", "folding", "outside_field_percent", digits=1),
    _judged("dice_before", "lung Dice, before", "", "overlap", "dice_before", better=None, digits=4),
    _judged("dice", "lung Dice", "", "overlap", "dice_after", better="high", digits=4, tested=True),
    _judged("surface_before_mm", "surface distance, before", "mm", "overlap", "surface_mean_before_mm", better=None),
    _judged("surface_mm", "surface distance", "mm", "overlap", "surface_mean_mm", tested=True),
    _judged("surface_p95_mm", "surface distance, 95 % Hausdorff", "mm", "overlap", "surface_p95_mm", tested=True),
    _judged("ncc_before", "NCC, before", "", "similarity", "ncc_before", better=None, digits=3),
    _judged("ncc", "NCC", "", "similarity", "ncc_after", better="high", digits=3, tested=True),
    _judged("lncc_before", "local NCC, before", "", "similarity", "lncc_before", better=None, digits=3),
    _judged("lncc", "local NCC", "", "similarity", "lncc_after", better="high", digits=3, tested=True),
    _judged("both_ways_mm", "inverse consistency", "mm", "inverse_consistency_mm", "mean", tested=True),
    _judged("both_ways_p95_mm", "inverse consistency, 95th percentile", "mm", "inverse_consistency_mm", "p95"),
    _judged("both_ways_max_mm", "inverse consistency, max", "mm", "inverse_consistency_mm", "max"),
    _judged("both_ways_counted_percent", "inverse consistency counted", "%", "inverse_consistency_mm", "counted_percent", better=None, digits=1),
    _judged("displacement_mm", "displacement", "mm", "displacement_mm", "mean", better=None),
    _judged("displacement_max_mm", "displacement, max", "mm", "displacement_mm", "max", better=None),
    Quantity("seconds", "time", "s", ("seconds",), digits=1, total="median", tested=True),
    Quantity("peak_mb", "peak memory", "MB", ("peak_mb",), digits=0, total="max", tested=True),
)  # fmt: skip

BY_KEY: dict[str, Quantity] = {quantity.key: quantity for quantity in QUANTITIES}


def checked(records: Iterable[Record]) -> list[Record]:
    """The records, each case at most once for every method.

    Raises:
        InputError: one is there twice.
    """
    found = list(records)
    seen: set[tuple[str, str]] = set()
    for record in found:
        key = (str(record["method"]), str(record["case"]))
        if key in seen:
            raise InputError(
                "records",
                expected="each case once for every method",
                found=f"{key[1]} of {key[0]} twice",
            )
        seen.add(key)
    return found


def is_done(record: Record) -> bool:
    """Whether the method finished the case and was judged."""
    return record.get("status") == "done" and record.get("judged") is not None


def methods_of(records: Iterable[Record]) -> list[str]:
    """Names of methods in the order in which they first appear."""
    return list(dict.fromkeys(str(record["method"]) for record in records))


def titles_of(records: Iterable[Record]) -> dict[str, str]:
    """What to call each method before people; its name where no title is given."""
    return {str(r["method"]): str(r.get("title") or r["method"]) for r in records}
