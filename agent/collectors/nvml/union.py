"""Reads the union in which NVML hands out values: only one member is valid, and its type says which."""

from typing import Any, Final

_MEMBERS: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""By nvmlValueType_t in NVIDIA's public header."""


def number(value: Any, value_type: int) -> float | None:
    """Return the number in an ``nvmlValue_t``; `None` for a type that is not known."""
    if not 0 <= value_type < len(_MEMBERS):
        return None
    read: float = getattr(value, _MEMBERS[value_type])
    return read
