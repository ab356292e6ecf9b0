"""The error network that ships, and others of its kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..errors import InputError
from ..networks.pretrained import load_weights, save_model
from .error_network import ErrorConfig, ErrorNetwork

SHIPPED = Path(__file__).parent / "weights" / "error.safetensors"


def load_error_network(path: str | Path | None = None) -> tuple[ErrorNetwork, dict[str, Any]]:
    """The network in eval mode, and its card.

    Args:
        path: a file of :func:`save_error_network`; the weights that ship if None.

    Raises:
        InputError: no such file, or as :func:`lungmorph.networks.pretrained.load_weights`.
    """
    where = Path(path) if path is not None else SHIPPED
    if not where.is_file():
        raise InputError(where, expected="weights of an error network", found="no such file")
    network, _, card = load_weights(where, ErrorConfig.model_validate_json, ErrorNetwork)
    return network, card


def is_error_network(path: Path) -> bool:
    """Whether a file says that it holds one; False for what cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            config = json.loads((file.metadata() or {}).get("config", "{}"))
    except (OSError, SafetensorError, ValueError):
        return False
    return isinstance(config, dict) and config.get("kind") == "error"


def save_error_network(network: ErrorNetwork, card: Mapping[str, Any], path: str | Path) -> None:
    """Write weights, config and card as one safetensors file, whole or not at all."""
    save_model(network, network.config, card, path)
