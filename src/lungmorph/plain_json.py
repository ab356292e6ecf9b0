"""JSON that every reader takes: it has no NaN and no infinity."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any) -> str:
    """Text of what :func:`numbers_only` leaves, indented."""
    return json.dumps(numbers_only(value), indent=2, allow_nan=False)


def numbers_only(value: Any) -> Any:
    """The same with None for every number that does not exist."""
    if isinstance(value, dict):
        return {key: numbers_only(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [numbers_only(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
