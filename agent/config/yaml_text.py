"""YAML as the configuration takes it: PyYAML's safe subset, and no key twice.

A module of its own, so that an agent without a file does not load PyYAML.
"""

from typing import Any

import yaml


def parse(text: str) -> object:
    """Return what ``text`` holds. Raises `ValueError` that says what is wrong, and where."""
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"is not valid YAML: {error.problem}{where}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"is not valid YAML: {error}") from error


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key written twice, where PyYAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is there twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)
