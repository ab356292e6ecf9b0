"""YAML that executes nothing, and in which nothing is said twice."""

from __future__ import annotations

from typing import Any

import yaml


def yaml_content(text: str) -> Any:
    """What a text of YAML says.

    Raises:
        yaml.YAMLError: it is no YAML, or a key is twice in one mapping, of which YAML would take the last.
    """
    return yaml.load(text, Loader=_Loader)


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for n, key in enumerate(keys) if key in keys[:n]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"{twice} is there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
