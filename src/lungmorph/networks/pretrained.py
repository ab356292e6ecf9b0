"""Weights as one safetensors file that rebuilds its model: tensors, config, card, checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import InputError
from ..files import replacing
from .build import RegistrationNetwork, build
from .config import ModelConfig, config_from_json

DEFAULT_NAME = "three-level"
FORMAT_VERSION = "1"
Config = TypeVar("Config")
Network = TypeVar("Network", bound=nn.Module)
_FOLDER = Path(__file__).parent / "weights"
_SUFFIX = ".safetensors"


def available() -> list[str]:
    """Names of the weights that ship with the package."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def save_model(
    model: nn.Module,
    config: BaseModel,
    card: Mapping[str, Any],
    path: str | os.PathLike[str],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights, config and card as one safetensors file, whole or not at all.

    Args:
        model: whose ``state_dict`` is saved.
        config: that rebuilds it.
        card: what it was trained on, how good it is, its licence: anything that is JSON.
        path: of the file; its folder exists.
        dtype: ``torch.float16`` halves the file.

    Raises:
        InputError: no such folder, or nothing can be written.
    """
    tensors = {
        name: tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in model.state_dict().items()
    }
    metadata = {
        "format": f"lungmorph-{FORMAT_VERSION}",
        "config": config.model_dump_json(),
        "card": json.dumps(dict(card)),
        "sha256": _checksum(tensors),
    }
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))


def load_model(
    path_or_name: str | os.PathLike[str] = DEFAULT_NAME,
) -> tuple[RegistrationNetwork, ModelConfig, dict[str, Any]]:
    """The network in eval mode (float32, on the CPU), its config and its card.

    Args:
        path_or_name: a file that :func:`save_model` wrote, or one of the names that
            :func:`available` lists.

    Raises:
        InputError: no such file or name, and as :func:`load_weights`.
    """
    return load_weights(_find(path_or_name), config_from_json, build)


def load_weights(
    path: Path, parse: Callable[[str], Config], make: Callable[[Config], Network]
) -> tuple[Network, Config, dict[str, Any]]:
    """A network of any kind from a file of :func:`save_model`: in eval mode, float32, on the CPU.

    Args:
        path: of the file.
        parse: its config from JSON.
        make: the network from its config.

    Raises:
        InputError: not a whole safetensors file; not LungMorph weights; weights of another kind; a
            wrong checksum; tensors that do not fit the architecture.
    """
    tensors, metadata = _read(path)
    expected = f"weights written by LungMorph (format {FORMAT_VERSION})"
    if metadata.get("format") != f"lungmorph-{FORMAT_VERSION}":
        found = f"format {metadata['format']!r}" if "format" in metadata else "other tensors"
        raise InputError(path, expected=expected, found=found)
    missing = [key for key in ("config", "card", "sha256") if key not in metadata]
    if missing:
        raise InputError(path, expected=expected, found=f"no {', '.join(missing)} in its metadata")
    if _checksum(tensors) != metadata["sha256"]:
        raise InputError(
            path,
            expected=f"tensors with SHA-256 {metadata['sha256'][:12]}...",
            found=f"{_checksum(tensors)[:12]}...",
            do="the file is damaged or was changed: fetch it again",
        )
    try:
        config = parse(metadata["config"])
        card = json.loads(metadata["card"])
    except (ValidationError, json.JSONDecodeError) as error:
        # of pydantic, the first line names only the types of the program
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        found = f"a config or card that cannot be read ({why})"
        raise InputError(path, expected=expected, found=found) from error
    model = make(config)
    _check_fit(path, model.state_dict(), tensors)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return model.eval(), config, card


def _find(path_or_name: str | os.PathLike[str]) -> Path:
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = _FOLDER / f"{os.fspath(path_or_name)}{_SUFFIX}"
    if path.name == os.fspath(path_or_name) and shipped.is_file():
        return shipped
    names = ", ".join(available()) or "none"
    raise InputError(
        path_or_name,
        expected=f"a weights file or one of: {names}",
        found="a folder" if path.is_dir() else "no such file",
        do="of a training run, name the weights.safetensors in it" if path.is_dir() else "",
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(
            path,
            expected="a whole safetensors file",
            found=f"{path.stat().st_size} bytes that are not one ({error})",
            do="it may be truncated: fetch it again",
        ) from error


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _check_fit(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    wrong = [f"{name} is missing" for name in wanted if name not in found]
    wrong += [f"{name} is unknown" for name in found if name not in wanted]
    wrong += [
        f"{name} is {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(path, expected="tensors that fit its config", found=f"{wrong[0]}{more}")
