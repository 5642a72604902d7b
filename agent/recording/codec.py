"""Turns the driver's records into JSON and back, by their own types.

The records grow with every family of values, so nothing here names a field: what a record's annotations
say is what is written, and what is read is believed only where it has those types.
"""

import types
from collections.abc import Mapping
from functools import cache
from math import isfinite
from typing import Any, Union, get_args, get_origin, get_type_hints


class WrongShapeError(ValueError):
    """Data that is not what the type says; the message names the place."""


def encode(value: object) -> Any:
    """Return ``value`` as JSON has it; of a record, the fields that are not at their default."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _encode_record(value)
    if isinstance(value, Mapping):
        pairs = [[encode(key), encode(each)] for key, each in value.items()]
        return dict(pairs) if all(isinstance(key, str) for key in value) else pairs
    if isinstance(value, frozenset):
        return sorted(map(encode, value))
    if isinstance(value, tuple | list):
        return [encode(each) for each in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def _encode_record(record: Any) -> dict[str, Any]:
    defaults = record._field_defaults
    return {
        name: encode(value)
        for name, value in zip(record._fields, record, strict=True)
        if name not in defaults or value != defaults[name]
    }


def decode(hint: Any, data: object, unknown: set[str], place: str = "answer") -> Any:
    """Return ``data`` as a ``hint``; fields that the record does not have go to ``unknown``.

    Raises `WrongShapeError`.
    """
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        return _decode_union(hint, data, unknown, place)
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        return _decode_record(hint, data, unknown, place)
    if origin in {tuple, frozenset} and isinstance(data, list):
        return _decode_series(hint, origin, data, unknown, place)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _decode_mapping(hint, data, unknown, place)
    if hint is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if isinstance(hint, type) and type(data) is hint:
        return data
    raise WrongShapeError(f"{place} is {_short(data)}, which is no {hint}")


def _decode_union(hint: Any, data: object, unknown: set[str], place: str) -> Any:
    choices = get_args(hint)
    if data is None and type(None) in choices:
        return None
    for choice in choices:
        if choice is not type(None):
            try:
                return decode(choice, data, unknown, place)
            except WrongShapeError:
                if choice is choices[-1] or choices[-1] is type(None):
                    raise
    raise WrongShapeError(f"{place} is {_short(data)}, which is no {hint}")


def _decode_record(hint: Any, data: object, unknown: set[str], place: str) -> Any:
    if not isinstance(data, dict):
        raise WrongShapeError(f"{place} is {_short(data)}, which is no record")
    hints = _hints(hint)
    unknown |= {f"{hint.__name__}.{name}" for name in data if name not in hints}
    values = {
        name: decode(hints[name], each, unknown, f"{place}.{name}")
        for name, each in data.items()
        if name in hints
    }
    lacking = [name for name in hint._fields if name not in values | hint._field_defaults]
    if lacking:
        raise WrongShapeError(f"{place} lacks {', '.join(lacking)}")
    return hint(**values)


def _decode_series(hint: Any, origin: type, data: list[Any], unknown: set[str], place: str) -> Any:
    kinds = get_args(hint)
    if origin is frozenset or kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(data)
    if len(kinds) != len(data):
        raise WrongShapeError(f"{place} has {len(data)} parts and not {len(kinds)}")
    return origin(
        decode(kind, each, unknown, f"{place}[{index}]")
        for index, (kind, each) in enumerate(zip(kinds, data, strict=True))
    )


def _decode_mapping(hint: Any, data: object, unknown: set[str], place: str) -> dict[Any, Any]:
    key_hint, value_hint = get_args(hint)
    pairs = list(data.items()) if isinstance(data, dict) else data
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        raise WrongShapeError(f"{place} is {_short(data)}, which is no mapping")
    return {
        decode(key_hint, key, unknown, place): decode(
            value_hint, each, unknown, f"{place}[{key!r}]"
        )
        for key, each in pairs
    }


def _is_pair(data: object) -> bool:
    return isinstance(data, list | tuple) and len(data) == 2


@cache
def _hints(record: Any) -> dict[str, Any]:
    return get_type_hints(record)


def _short(data: object) -> str:
    said = repr(data)
    return said if len(said) <= 60 else f"{said[:57]}..."
