"""What all tests of training share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="module")
def quick_curves(request: pytest.FixtureRequest) -> Iterator[None]:
    """Drawing takes longer than these runs; one module looks at the drawing itself."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.module.__name__.endswith("test_curves"):
            patch.setattr("lungmorph.training.record.draw_curves", _empty)
        yield


def _empty(folder: Path) -> None:
    (folder / "curves.png").touch()
