"""Records of an evaluation as the runner keeps them, from lists of errors."""

from __future__ import annotations

from typing import Any

import numpy as np


def spread(values: np.ndarray) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(values.max()),
    }


def judged(errors: list[float] | None, **changed: Any) -> dict[str, Any]:
    """What the judge finds, every section there; landmarks 10 mm apart before."""
    marks = None
    if errors is not None:
        found = np.array(errors)
        moved = np.linspace(8.0, 12.0, len(found))
        marks = {
            "count": len(found),
            "before": {"continuous": spread(moved), "snapped": spread(moved + 0.1)},
            "after": {
                "continuous": spread(found),
                "snapped": spread(0.9 * found),
                "errors_mm": found.tolist(),
                "displacements_mm": moved.tolist(),
            },
            "over_2mm_percent": float(100 * (found > 2).mean()),
            "over_5mm_percent": float(100 * (found > 5).mean()),
            "outside_field": 0,
        }
    return {
        "landmarks": marks,
        "folding": {
            "voxels": 2, "percent": 0.01, "min": -0.5, "max": 3.0, "mean": 1.1, "sd_log": 0.2,
            "sd_log_learn2reg": 0.05, "percent_learn2reg": 0.0, "sd_log_learn2reg_image": 0.04,
            "outside_field_percent": 0.0,
        },
        "overlap": {
            "dice_before": 0.9, "dice_after": 0.98, "surface_mean_before_mm": 4.0,
            "surface_mean_mm": 0.5, "surface_p95_mm": 1.5,
        },
        "similarity": {"ncc_before": 0.4, "lncc_before": 0.3, "ncc_after": 0.9, "lncc_after": 0.8},
        "inverse_consistency_mm": None,
        "displacement_mm": {"mean": 5.0, "max": 20.0},
    } | changed  # fmt: skip


def record(
    case: str, method: str = "a", errors: list[float] | None = None, **changed: Any
) -> dict[str, Any]:
    """A record that is done; ``errors`` None: without landmarks."""
    return {
        "case": case, "group": "", "patient": case, "method": method, "title": method.upper(),
        "status": "done", "message": "", "seconds": 10.0, "peak_mb": 900.0,
        "steps": {"network": 1.0, "refine": 4.0}, "settings": {}, "judged": judged(errors),
    } | changed  # fmt: skip


def failed(case: str, method: str = "a", message: str = "out of memory") -> dict[str, Any]:
    return record(case, method) | {
        "status": "failed", "message": message, "judged": None, "seconds": None, "peak_mb": None,
        "steps": {},
    }  # fmt: skip
