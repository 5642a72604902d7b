"""Reads the union in which NVML hands out values: only one member is valid, and its type says which."""

from collections.abc import Callable
from struct import pack, unpack
from typing import Final

_SIGN: Final = 1 << 63
_BY_TYPE: Final[tuple[Callable[[int], float], ...]] = (
    lambda bits: float(unpack("=d", pack("=Q", bits))[0]),
    lambda bits: bits & 0xFFFFFFFF,
    lambda bits: bits,
    lambda bits: bits,
    lambda bits: (bits ^ _SIGN) - _SIGN,
    lambda bits: ((bits & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000,
    lambda bits: bits & 0xFFFF,
)
"""The number in the union's bytes, by nvmlValueType_t: double, unsigned of 32 and twice of 64 bits,
signed of 64 and 32 bits, unsigned of 16 bits. All machines with an NVIDIA driver are little-endian."""


def reader(value_type: int) -> Callable[[int], float] | None:
    """Return what reads the eight bytes of an ``nvmlValue_t``; `None` for a type that is not known."""
    return _BY_TYPE[value_type] if 0 <= value_type < len(_BY_TYPE) else None
