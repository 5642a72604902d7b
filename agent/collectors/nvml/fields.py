"""The values that NVML gives by number, all of a device in one call, and read raw.

The binding's own wrapper makes and fills an array at each call; here the array is kept and the answers are
unpacked from its bytes, which costs a tenth (nvml.md). The same bytes keep two traps in sight: each field
has a return code of its own, and its value lies in the member of a union that its type names.
"""

import ctypes
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any, Final, NamedTuple

from agent.collectors.nvml.condition import (
    ECC_MODE,
    ENERGY,
    PAGES_PENDING,
    POWER_LIMIT,
    REPLAYS,
    ROW_REMAP,
    ecc_field,
    ecc_probe,
    retired_probe,
    violation_probe,
)
from agent.collectors.nvml.decoding import (
    BYTES,
    CELSIUS,
    JOULES,
    KIBIBYTES,
    SECONDS,
    WATTS,
    Decode,
    Refused,
    count,
    flag,
    word,
)
from agent.collectors.nvml.probes import Key, Probe
from agent.collectors.nvml.union import reader

ALL_LINKS: Final = 0xFFFFFFFF
"""Scope of an NVLink field that is summed over all links; 0 would be link 0 alone."""
UNSIGNED_INT: Final = 1
_ANSWER: Final = Struct("=24xIIQ")
"""nvmlFieldValue_t, behind its ids and times: type, return code, and the union's eight bytes."""


class FieldValue(NamedTuple):
    """A field of the batch call; ``instead`` asks for the same where the batch lacks it."""

    key: Key
    number: int
    decode: Decode
    instead: "Probe | FieldValue | None" = None
    scope: int = 0


class FieldBatch:
    """Fields of one device that are asked together. ``nvml`` is the binding's module, initialized."""

    def __init__(self, nvml: Any, handle: Any, wanted: Sequence[FieldValue]) -> None:
        self.wanted = tuple(wanted)
        self._handle = handle
        self._call = getattr(nvml.nvmlLib, "nvmlDeviceGetFieldValues", None)
        self._lacking: int = nvml.NVML_ERROR_FUNCTION_NOT_FOUND
        self._array = (nvml.c_nvmlFieldValue_t * len(self.wanted))()
        for cell, one in zip(self._array, self.wanted, strict=True):
            cell.fieldId, cell.scopeId = one.number, one.scope
        self._count = ctypes.c_int(len(self.wanted))
        self._first = ctypes.byref(self._array)

    def ask(self) -> int:
        """Make the call and return its code: success says nothing of the single fields."""
        if self._call is None:
            return self._lacking
        return int(self._call(self._handle, self._count, self._first))

    def answers(self) -> Iterator[tuple[FieldValue, tuple[int, int, int]]]:
        """Return what the last call said, field by field: type, return code, and the union's bytes."""
        return zip(self.wanted, _ANSWER.iter_unpack(self._array), strict=True)


def decoded(wanted: FieldValue, kind: int, bits: int) -> object:
    """Return a field's value from the bytes of the union, read as its type says."""
    read = reader(kind)
    if read is None:
        return Refused(f"value of unknown type {kind}")
    return wanted.decode(read(bits))[0]


def _nvlink(direction: str, kibibytes: int, count_of_bytes: int) -> FieldValue:
    key = ("nvlink_bytes", direction)
    newer = FieldValue(key, count_of_bytes, BYTES, scope=ALL_LINKS)
    return FieldValue(key, kibibytes, KIBIBYTES, newer, ALL_LINKS)


def _throttled(reason: str, number: int, policy: int) -> FieldValue:
    probe = violation_probe(reason, policy)
    return FieldValue(("throttle_time", reason), number, SECONDS, probe)


def _ecc(location: str, *numbers: int | None) -> Iterator[FieldValue]:
    """Yield the fields of one memory: single- and double-bit errors, volatile and then lifetime."""
    kinds = ("corrected", "uncorrected")
    asked = [(kind, lifetime) for lifetime in (False, True) for kind in kinds]
    for (kind, lifetime), number in zip(asked, numbers, strict=True):
        if number is not None:
            key = (ecc_field(lifetime), (kind, location))
            yield FieldValue(key, number, count, ecc_probe(kind, lifetime, location))


QUICK: Final = (
    FieldValue("memory_temperature", 82, CELSIUS),
    FieldValue("energy", 83, JOULES, ENERGY),
    FieldValue("power_average", 185, WATTS),
    FieldValue("power_instant", 186, WATTS),
    FieldValue("power_limit", 190, WATTS, POWER_LIMIT),
    FieldValue(
        "recovery_action",
        230,
        word(
            "none",
            "gpu_reset",
            "node_reboot",
            "drain_p2p",
            "drain_and_reset",
            "recover_imex_domain",
            "bus_reset",
            "system_reboot",
        ),
    ),
    _throttled("sw_power_cap", 74, 0),
    FieldValue(("throttle_time", "sw_thermal"), 269, SECONDS, _throttled("sw_thermal", 75, 1)),
    _throttled("sync_boost", 76, 2),
    _throttled("board_limit", 77, 3),
    _throttled("low_utilization", 78, 4),
    _throttled("reliability", 79, 5),
    FieldValue(("throttle_time", "hw_thermal"), 270, SECONDS),
    FieldValue(("throttle_time", "hw_power_brake"), 271, SECONDS),
    FieldValue(("pcie_bytes", "transmit"), 197, BYTES),
    FieldValue(("pcie_bytes", "receive"), 198, BYTES),
    FieldValue("pcie_replays", 94, count, REPLAYS),
    _nvlink("transmit", 138, 202),
    _nvlink("receive", 139, 204),
)
"""Asked at every sample, for `Sample`."""

SLOW_FIELDS: Final = (
    FieldValue("ecc_enabled", 1, flag, ECC_MODE),
    FieldValue("ecc_enabled_pending", 2, flag, ECC_MODE),
    *_ecc("l1_cache", 7, 8, 18, 19),
    *_ecc("l2_cache", 9, 10, 20, 21),
    *_ecc("dram", 11, 12, 22, 23),
    *_ecc("register_file", 13, 14, 24, 25),
    *_ecc("texture_memory", 15, 16, 26, 27),
    *_ecc("cbu", None, 17, None, 28),
    FieldValue(("retired_pages", "single_bit_ecc"), 29, count, retired_probe("single_bit_ecc", 0)),
    FieldValue(("retired_pages", "double_bit_ecc"), 30, count, retired_probe("double_bit_ecc", 1)),
    FieldValue("retired_pages_pending", 31, flag, PAGES_PENDING),
    FieldValue(("remapped_rows", "corrected"), 142, count, ROW_REMAP),
    FieldValue(("remapped_rows", "uncorrected"), 143, count, ROW_REMAP),
    FieldValue("row_remap_pending", 144, flag, ROW_REMAP),
    FieldValue("row_remap_failure", 145, flag, ROW_REMAP),
)
"""Asked every few seconds in the same call, for `Condition`."""
