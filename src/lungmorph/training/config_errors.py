"""What is wrong with a training config, told to people: the key as they wrote it, and the one that they may have meant."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import InputError
from .config import TrainingConfig


def no_numbers(content: Any, taken: Any, way: str = "") -> Iterator[tuple[str, str]]:
    """Keys where true or false was taken as 1 or 0, and what was said; YAML reads yes, no, on and off so."""
    if isinstance(content, bool) and not isinstance(taken, bool):
        yield way, str(content).lower()
    keys: Any = ()
    if isinstance(content, dict):
        keys = content
    elif isinstance(content, list):
        keys = range(len(content))
    for key in keys:
        yield from no_numbers(content[key], taken[key], f"{way}.{key}" if way else str(key))


def told(path: Path, error: ValidationError, content: dict[str, Any]) -> InputError:
    """The first error as one line; an unknown key is told first, as it explains what is missing."""
    for word in _stuck(content):
        do = f"write a space after its colon: {word.replace(':', ': ', 1)}"
        return InputError(path, expected="KEY: VALUE", found=repr(word), do=do)
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    loc = tuple(problem["loc"])
    name = _readable(loc, content)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(loc[:-1])
        near = _elsewhere(name) or difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
        return InputError(
            path,
            expected="known keys" if near else f"one of {', '.join(known)}",
            found=f"{name}",
            do=f"did you mean {near[0]!r}?" if near else "",
        )
    message = problem["msg"].replace("Value error, ", "")
    if problem["type"] == "missing":
        return InputError(path, expected=f"a value of {name}", found="none")
    if problem["type"].startswith("union_tag"):
        kinds, kind = problem["ctx"].get("expected_tags", ""), problem["ctx"].get("tag")
        where = f"{path}: {name}.kind"
        if kind is None:
            return InputError(where, expected="a kind", found="none")
        return InputError(where, expected=f"one of {kinds}", found=repr(kind))
    found = problem["input"]
    if problem["type"] == "value_error" and isinstance(found, dict):
        return InputError(path, expected=f"{name} without contradiction", found=message)
    if any(_is_tag_of_a_list(part) for part in loc):
        message = "a list of names, or a share from 0 to below 1"
    elif problem["type"] == "tuple_type":
        message = "a list"
    elif problem["type"] == "model_type":
        message = "a section"
    elif problem["type"] == "too_short":
        message = "a list with something in it"
    message = message.replace("Input should be ", "").replace("Input ", "")
    said = "a section" if isinstance(found, dict) and found else repr(found)
    return InputError(f"{path}: {name}", expected=message, found=said)


def _stuck(content: Any) -> Iterator[str]:
    """Words with a colon as keys without a value: in braces YAML reads so what has no space after it."""
    if isinstance(content, dict):
        yield from (str(k) for k, v in content.items() if v is None and ":" in str(k))
        content = list(content.values())
    if isinstance(content, list):
        for inner in content:
            yield from _stuck(inner)


def _readable(loc: tuple[int | str, ...], content: Any) -> str:
    """The dotted key: without the tags that pydantic adds where a section may be of several kinds."""
    out = []
    for part in loc:
        if isinstance(content, dict) and part not in content and content.get("kind") == part:
            continue
        if _is_tag_of_a_list(part):
            continue
        out.append(str(part))
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            content = None
    return ".".join(out) or "the config"


def _is_tag_of_a_list(part: int | str) -> bool:
    """Where pydantic tried to read a list, as one of two things that a value may be."""
    return isinstance(part, str) and part.startswith("tuple[")


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    kinds: list[Any] = [TrainingConfig]
    for part in loc:
        kinds = [found for kind in kinds for found in _step(kind, part)]
    return sorted({name for kind in kinds for name in kind.model_fields})


def _elsewhere(name: str) -> list[str]:
    """Where a dotted key that is not known belongs, if there is one of its name; another kind's is in its place."""
    ways = list(_ways(TrainingConfig))
    if re.sub(r"\.\d+\b", ".N", name) in ways:
        return []
    last = name.rpartition(".")[2]
    return sorted((way for way in ways if way.endswith(f".{last}")), key=len)[:1]


def _ways(kind: type[BaseModel], way: str = "") -> Iterator[str]:
    """All keys, dotted, N for a place in a list."""
    for name, field in kind.model_fields.items():
        yield way + name
        listed = ".N." if get_origin(field.annotation) is tuple else "."
        for inner in _models(field.annotation):
            yield from _ways(inner, way + name + listed)


def _step(kind: type[BaseModel], part: int | str) -> list[type[BaseModel]]:
    """The models that lie behind a key of a model; a place in a list or a tag of a kind changes nothing."""
    if isinstance(part, int):
        return [kind]
    if part in kind.model_fields:
        return _models(kind.model_fields[part].annotation)
    tag = kind.model_fields.get("kind")
    return [kind] if tag is not None and tag.default == part else []


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple):
        return [found for part in get_args(annotation) for found in _models(part)]
    return []
