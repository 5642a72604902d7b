"""How a key of the configuration is declared: the field of a record that knows its parser and its meaning."""

from collections.abc import Callable
from dataclasses import Field, field
from typing import Any

from agent.config.values import Form


def option(
    form: Form, doc: str, *, example: str = "", default: Any = None, aside: bool = False
) -> Any:
    """Declare a value that may be left out.

    ``aside``: it goes with other keys or none, so the documented file holds it in a comment of its own.
    """
    meta = {"form": form, "doc": doc, "example": example, "aside": aside}
    return field(default=default, metadata=meta)


def required(form: Form, doc: str, *, example: str) -> Any:
    """Declare a value that must be given."""
    return field(metadata={"form": form, "doc": doc, "example": example})


def section(kind: type, doc: str, *, default: Any = None) -> Any:
    """Declare a mapping of further keys; ``default`` is an immutable record of them."""
    return field(default=default, metadata={"section": kind, "doc": doc})


def sections(kind: type, doc: str) -> Any:
    """Declare a list of such mappings."""
    return field(default=(), metadata={"section": kind, "doc": doc, "many": True})


def again(kind: Callable[[], type], doc: str, *, example: str, many: bool = False) -> Any:
    """Declare a mapping, or a list of them, of the kind that the key itself stands in.

    It is documented by its ``example``, because its keys would go on for ever.
    """
    meta = {"again": kind, "doc": doc, "example": example, "aside": True}
    if many:
        meta["many"] = True
    return field(default=() if many else None, metadata=meta)


def section_of(each: Field[Any]) -> type | None:
    """Return the record that a key's mappings become, or None where it holds a value."""
    if "again" in each.metadata:
        kind: type = each.metadata["again"]()
        return kind
    return each.metadata.get("section")
