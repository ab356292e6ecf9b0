"""The documents and the program say the same: every option, and every command line that is shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lungmorph.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").glob("*.md"))]


def verbs(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    command = command or get_command(app)
    if not hasattr(command, "commands"):
        yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from verbs(below, f"{name} {word}".strip())


VERBS = dict(verbs())


def options(verb: str) -> set[str]:
    found = VERBS[verb].params
    return {o for p in found for o in (*p.opts, *p.secondary_opts) if o.startswith("--")}


def sections() -> dict[str, str]:
    """The sections of docs/cli.md by the verbs in their headings."""
    parts = re.split(r"^## ", (ROOT / "docs/cli.md").read_text(encoding="utf-8"), flags=re.M)[1:]
    found = {}
    for part in parts:
        heading, _, text = part.partition("\n")
        for verb in re.findall(r"`lungmorph ([a-z]+(?: (?:check|convert))?)", heading):
            found[verb] = text
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_described(verb: str) -> None:
    text = sections()[verb]
    # -o OUT stands in the heading
    missing = options(verb) - set(re.findall(r"--[a-z][a-z-]*", text)) - {"--output"}
    if verb == "register":
        missing -= {"--report"}  # the default; --no-report is described
    assert not missing


def test_no_option_is_described_that_is_not_there() -> None:
    for text in set(sections().values()):
        here = [verb for verb, own in sections().items() if own == text]
        known = set().union(*(options(verb) for verb in here))
        assert set(re.findall(r"--[a-z][a-z-]*", text)) <= known, here


def shown() -> list[tuple[str, str]]:
    """Every command line in a block of shell on a page."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip().startswith("lungmorph "):
                    found.append((page.name, line.strip()))
    return found


@pytest.mark.parametrize(("page", "line"), shown())
def test_a_command_line_of_the_documents_is_understood(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words == ["--help"]:
        return
    count = 2 if words[0] == "data" else 1
    VERBS[" ".join(words[:count])].make_context("lungmorph", words[count:])
