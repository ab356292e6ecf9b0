"""A config as a file: YAML, a base to build on, dotted overrides, and errors that name the key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import InputError
from ..files import replacing
from .config import TrainingConfig
from .config_errors import no_numbers, told

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
        raise told(path, error, content) from error
    for key, said in no_numbers(content, config.model_dump()):
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
