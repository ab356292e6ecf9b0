"""A config as a file: YAML, a base to build on, dotted overrides, and errors that name the key."""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import InputError
from ..files import replacing
from .config import TrainingConfig

#: Keys whose values are files or folders: relative ones start at the config's folder.
_PATHS = {"path", "anatomies", "motions", "cache"}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a config.

    A key ``base`` names another config (relative to this one) that this one changes: mappings are
    merged key by key, lists and values replaced, a mapping of another ``kind`` replaced as a whole.

    Args:
        path: YAML, or JSON.
        overrides: ``key=value``, dotted, numbers for places in lists (``stages.0.max_steps=100``);
            values are YAML. Relative paths in them start where the program was started.

    Raises:
        InputError: no such file, not YAML, an unknown key (with the nearest known one), a value that
            does not fit.
    """
    path = Path(path)
    content = _read(path, ())
    for override in overrides:
        _override(content, override)
    _anchor(content, Path.cwd())  # paths in the file are anchored already
    try:
        config = TrainingConfig.model_validate(content)
    except ValidationError as error:
        raise _told(path, error, content) from error
    for key, said in _no_numbers(content, config.model_dump()):
        raise InputError(f"{path}: {key}", expected="a number", found=said)
    return config


def save_config(config: TrainingConfig, path: Path) -> None:
    """Write a config that :func:`load_config` reads, whole or not at all."""
    content = json.loads(config.model_dump_json())
    try:
        import yaml
    except ImportError:  # JSON is YAML too
        text = json.dumps(content, indent=2)
    else:
        text = yaml.safe_dump(content, sort_keys=False, width=100)
    with replacing(path) as temporary:
        temporary.write_text(text.rstrip() + "\n")


def _parsed(text: str) -> Any:
    """YAML; on a machine without PyYAML, which training does not need, JSON."""
    try:
        from ..plain_yaml import yaml_content
    except ImportError:
        return json.loads(text)
    return yaml_content(text)


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    expected = "a training config (YAML)"
    try:
        text = path.read_text()
    except OSError as error:
        found = "no such file" if not path.exists() else str(error.strerror)
        raise InputError(path, expected=expected, found=found) from error
    except UnicodeDecodeError as error:
        raise InputError(path, expected=expected, found="a file that is no text") from error
    try:
        content = _parsed(text)
    except Exception as error:  # yaml's errors, or json's; their common base is Exception
        found = " ".join(str(error).split())
        raise InputError(path, expected=expected, found=f"no YAML ({found})") from error
    if not isinstance(content, dict):
        raise InputError(path, expected=expected, found=f"a {type(content).__name__}")
    _anchor(content, path.resolve().parent)
    base = content.pop("base", None)
    if base is None:
        return content
    below = (path.resolve().parent / str(base)).resolve()
    if below in above:
        raise InputError(path, expected="a base that is not built on it", found=str(base))
    return _merged(_read(below, (*above, path.resolve())), content)


def _merged(base: Any, change: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    if "kind" in change and change["kind"] != base.get("kind"):
        return change
    return base | {key: _merged(base.get(key), value) for key, value in change.items()}


def _anchor(content: Any, folder: Path) -> None:
    """Relative paths in a config's content, from its folder on."""
    if isinstance(content, list):
        for item in content:
            _anchor(item, folder)
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key in _PATHS and isinstance(value, str):
            content[key] = str(folder / Path(value).expanduser())
        elif key in _PATHS and isinstance(value, list):
            content[key] = [
                str(folder / Path(v).expanduser()) if isinstance(v, str) else v for v in value
            ]
        elif key == "init" and isinstance(value, str) and (folder / value).is_file():
            content[key] = str(folder / value)
        else:
            _anchor(value, folder)


def _override(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(
            f"override {override!r}", expected="KEY=VALUE", found="no =" if key else "no key"
        )
    try:
        value = _parsed(text)
    except Exception as error:
        raise InputError(
            f"override {override!r}", expected="a YAML value after =", found=repr(text)
        ) from error
    *way, last = key.split(".")
    if not all((*way, last)):
        raise InputError(f"override {override!r}", expected="KEY=VALUE", found="a key with a gap")
    here: Any = content
    for done, part in enumerate(way):
        here = _inside(here, part, ".".join(way[:done]))
    if isinstance(here, list):
        here[_place(here, last, ".".join(way))] = value
    elif isinstance(here, dict) and last.isdecimal():
        raise _no_list(".".join(way))
    elif isinstance(here, dict):
        here[last] = value
    else:
        raise InputError(
            f"override {override!r}",
            expected="a key that holds others",
            found=f"{'.'.join(way)}={here!r}",
        )


def _inside(here: Any, part: str, way: str) -> Any:
    if isinstance(here, list):
        return here[_place(here, part, way)]
    if not isinstance(here, dict):
        raise InputError(
            f"override of {way}.{part}", expected="a key that holds others", found=repr(here)
        )
    if part.isdecimal():
        raise _no_list(way)
    if here.get(part) is None:
        here[part] = {}
    return here[part]


def _no_list(way: str) -> InputError:
    return InputError(
        f"override of {way}",
        expected="a list of that name in the config",
        found="none",
        do=f"give the whole list: {way}=[...]",
    )


def _place(items: list[Any], part: str, way: str) -> int:
    if not part.isdecimal() or int(part) >= len(items):
        raise InputError(
            f"override of {way}", expected=f"a place 0 to {len(items) - 1} in its list", found=part
        )
    return int(part)


# ---------------------------------------------------------------- errors for people


def _no_numbers(content: Any, taken: Any, way: str = "") -> Iterator[tuple[str, str]]:
    """Keys where true or false was taken as 1 or 0, and what was said; YAML reads yes, no, on and off so."""
    if isinstance(content, bool) and not isinstance(taken, bool):
        yield way, str(content).lower()
    keys: Any = ()
    if isinstance(content, dict):
        keys = content
    elif isinstance(content, list):
        keys = range(len(content))
    for key in keys:
        yield from _no_numbers(content[key], taken[key], f"{way}.{key}" if way else str(key))


def _told(path: Path, error: ValidationError, content: dict[str, Any]) -> InputError:
    """The first error as one line; an unknown key is told first, as it explains what is missing."""
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
