"""JSON without what JSON does not have."""

import json

import pytest

from lungmorph.cli.console import print_json
from lungmorph.plain_json import json_text


def test_numbers_that_do_not_exist_are_null() -> None:
    nan, inf = float("nan"), float("inf")
    found = {"a": nan, "b": [1.5, -inf], "c": ({"d": inf}, 2), "e": True}
    expected = {"a": None, "b": [1.5, None], "c": [{"d": None}, 2], "e": True}
    assert json.loads(json_text(found)) == expected


def test_what_commands_print_is_read_by_all(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"error_mm": float("nan")})
    assert "NaN" not in capsys.readouterr().out
