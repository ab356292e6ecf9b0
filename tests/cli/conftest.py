"""What several tests of the command line need."""

from __future__ import annotations

from typing import Any

import pytest
from tests.evaluation.pairs import SHIFT, shifting


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A shift in the place of LungMorph's presets; what was asked for, and the shift to be had."""
    asked: dict[str, Any] = {"shift": SHIFT}

    def methods(presets: list[str], **options: Any) -> list[Any]:
        asked.update(presets=presets, **options)
        return [shifting(asked["shift"], f"lungmorph-{preset}") for preset in presets]

    monkeypatch.setattr("lungmorph.evaluation.methods.lungmorph_methods", methods)
    return asked
