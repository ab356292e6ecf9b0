"""The program as a function."""

from __future__ import annotations

import pytest

from lungmorph.cli import main


def call(*arguments: object) -> int:
    """Run it; returns its exit code."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)
