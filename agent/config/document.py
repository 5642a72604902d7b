"""Writes the configuration down: as commented YAML with every default, and as a JSON schema."""

import textwrap
from dataclasses import MISSING, Field, fields
from typing import Any, Final

from agent.config.fields import section_of
from agent.config.profiles import RECURSIVE
from agent.config.settings import Config
from agent.config.values import Address

_WIDTH: Final = 96


def default_yaml() -> str:
    """Return a configuration file that holds every key, commented out, with its meaning."""
    head = _comment(
        "Warpwatch configuration. Every key is optional; what is commented out is the default or an "
        "example: take the # away from the keys that you set. Each can be set by the environment as "
        "well (WARPWATCH_LISTEN, WARPWATCH_SERVERS_0_URL, WARPWATCH_DCGM_URL). Flags win over the "
        "environment, the environment wins over this file."
    )
    return "\n".join([*head, *(line for each in fields(Config) for line in _document(each)), ""])


def _document(each: Field[Any]) -> list[str]:
    head = ["", *_comment(each.metadata["doc"])]
    if "section" not in each.metadata:
        return [*head, f"#{each.name}: {_shown(each)}"]
    return [*head, f"#{each.name}:", *(f"#{line}" for line in _section(each, "  "))]


def _section(section: Field[Any], indent: str) -> list[str]:
    """Return the keys of a section, and of those within it, each with its meaning above it."""
    many = "many" in section.metadata
    deeper = indent + ("  " if many else "")
    lines: list[str] = []
    for position, each in enumerate(fields(section.metadata["section"])):
        lead = f"{indent}- " if many and position == 0 else deeper
        lines += (f"{deeper}{line}" for line in _comment(each.metadata["doc"]))
        if each.metadata.get("aside"):
            lines.append(f"{deeper}# {each.name}: {_shown(each)}")
            continue
        if "section" in each.metadata:
            lines += [f"{lead}{each.name}:", *_section(each, f"{deeper}  ")]
        else:
            lines.append(f"{lead}{each.name}: {_shown(each)}")
    return lines


def _shown(each: Field[Any]) -> str:
    value: str = each.metadata["example"]
    return f'"{value}"' if value.startswith("[::") else value


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]


def json_schema() -> dict[str, object]:
    """Return a JSON schema (draft 2020-12) of the configuration file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Warpwatch configuration",
        **_object(Config),
        "$defs": {kind.__name__: _object(kind) for kind in RECURSIVE},
    }


def _object(kind: type) -> dict[str, object]:
    properties: dict[str, object] = {}
    for each in fields(kind):
        section = section_of(each)
        if section is None:
            schema: dict[str, object] = dict(each.metadata["form"].schema)
            if each.default not in (MISSING, None, ()):
                schema["default"] = _plain(each.default)
        else:
            schema = _reference(section) if section in RECURSIVE else _object(section)
            if each.metadata.get("many"):
                schema = {"type": "array", "items": schema}
        properties[each.name] = {"description": each.metadata["doc"], **schema}
    required = [each.name for each in fields(kind) if each.default is MISSING]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": required} if required else {}),
    }


def _reference(kind: type) -> dict[str, object]:
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Address) else value
