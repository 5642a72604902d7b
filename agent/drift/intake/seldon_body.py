"""Seldon Core's own protocol: `data` with names beside an array, a tensor, a text or any JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.drift.intake.refusal import RefusedError

_KINDS: Final = ("data", "jsonData", "strData", "binData")


def is_seldon(content: Mapping[str, Any]) -> bool:
    """Tell whether a body is of this protocol."""
    data = content.get("data")
    return isinstance(data, Mapping) or any(key in content for key in _KINDS[1:])


def instances(content: Mapping[str, Any]) -> list[object]:
    """Return the rows of a message: objects where its columns have names, else lists or single values.

    Raises `RefusedError`.
    """
    if isinstance(content.get("data"), Mapping):
        return _of_data(content["data"])
    if "jsonData" in content:
        told = content["jsonData"]
        return told if isinstance(told, list) else [told]
    if "strData" in content:
        return [content["strData"]]
    raise RefusedError(415, "wrong_type", "binData holds no features that can be told apart")


def _of_data(data: Mapping[str, Any]) -> list[object]:
    names = data.get("names")
    if isinstance(data.get("ndarray"), list):
        rows = data["ndarray"]
    elif isinstance(data.get("tensor"), Mapping):
        rows = _of_tensor(data["tensor"])
    else:
        raise RefusedError(400, "malformed", "data has neither an ndarray nor a tensor")
    return [_named(row, names) for row in rows]


def _of_tensor(tensor: Mapping[str, Any]) -> list[object]:
    shape, values = tensor.get("shape"), tensor.get("values")
    if (
        not isinstance(shape, list)
        or len(shape) not in {1, 2}
        or any(type(size) is not int or size < 0 for size in shape)
        or not isinstance(values, list)
    ):
        raise RefusedError(400, "malformed", "a tensor has a shape of one or two sizes, and values")
    width = shape[1] if len(shape) == 2 else 1
    if shape[0] * width != len(values) or not width:
        raise RefusedError(400, "malformed", "a tensor's data does not have the size of its shape")
    if len(shape) == 1:
        return values
    return [values[row * width : (row + 1) * width] for row in range(shape[0])]


def _named(row: object, names: object) -> object:
    """Return a row as an object, where there is a name for each of its values."""
    if isinstance(row, list) and isinstance(names, Sequence) and len(names) == len(row) > 0:
        return dict(zip(map(str, names), row, strict=True))
    return row
