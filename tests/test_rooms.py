"""The rooms of docs/architecture.md: who imports whom, and that no room is missing from the page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/lungmorph"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^\| `(\w+)/` \|", PAGE, re.M)
#: What the page says besides: arithmetic for space, and a result that saves itself with its page.
ALSO = {("space", "ops"), ("registration", "report"), ("registration", "quality")}


def imports(path: Path) -> Iterator[str]:
    """The rooms that a file imports from, in functions too."""
    package = ["lungmorph", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        start = package[: len(package) - node.level + 1]
        parts = [*start, *(node.module.split(".") if node.module else [])]
        yield from parts[1:2] or [name.name for name in node.names]


def test_the_page_names_every_room() -> None:
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(ROOMS) == there


def test_rooms_import_from_rooms_above_alone() -> None:
    wrong = {
        (room, other, path.name)
        for room in ROOMS
        for path in (PACKAGE / room).rglob("*.py")
        for other in imports(path)
        if other in ROOMS and ROOMS.index(other) > ROOMS.index(room) and (room, other) not in ALSO
    }
    assert not wrong


def test_a_result_alone_looks_upwards() -> None:
    looks = {path.name for path in (PACKAGE / "registration").rglob("*.py")
             if {"report", "quality"} & set(imports(path))}  # fmt: skip
    assert looks == {"result.py"}
