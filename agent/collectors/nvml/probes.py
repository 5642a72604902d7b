"""What is asked of NVML, as tables: which call, which older call instead, and what can be believed.

Every function takes the binding's module as an argument, so that importing this file loads no library.
Calls, units and bounds are from NVIDIA's public header (nvml.h in PyPI `nvidia-nvml-dev`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

_FIELD_MEMORY_TEMPERATURE: Final = 82
_FIELD_TOTAL_ENERGY: Final = 83
_MAX_TEMPERATURE: Final = 200
_MAX_MILLIWATTS: Final = 100_000_000
_MAX_MILLIJOULES: Final = 2**63
_MAX_MEGAHERTZ: Final = 100_000
_MAX_MEMORY: Final = 2**50
_ABSENT_TEXTS: Final = frozenset({"n/a", "[n/a]", "unknown", "[not supported]"})
THROTTLE_BITS: Final = (
    (0x04, "sw_power_cap"),
    (0x08, "hw_slowdown"),
    (0x10, "sync_boost"),
    (0x20, "sw_thermal"),
    (0x40, "hw_thermal"),
    (0x80, "hw_power_brake"),
)
"""nvmlClocksEventReason*, without idle and settings of the clocks, which hold nothing down by force."""


class Refused(NamedTuple):
    """Stands in place of a value that cannot be true; ``seen`` is what the library said."""

    seen: str


Read = Callable[[Any, Any], Any]
"""A call: from the binding's module and a device handle to what the library said."""
Decode = Callable[[Any], tuple[object, ...]]
"""From what the library said to one value per field, `None` where it does not say, or `Refused`."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """One question to a device, and the fields of `Sample` or `Identity` that it fills.

    ``reads`` are alternatives, the best first: the next one is tried where the driver or the device lacks
    the one before. ``chooses``: the call names one of many sensors or clocks, so that "invalid argument"
    means that the driver does not know this one, and not that the device is in trouble.
    """

    fields: tuple[str, ...]
    reads: tuple[Read, ...]
    decode: Decode
    chooses: bool = False


class FieldValue(NamedTuple):
    """A field of the batch call; ``instead`` asks for the same where the batch lacks it."""

    field: str
    number: int
    decode: Decode
    instead: Probe | None = None


def within(lowest: float, highest: float, *, times: float = 1, per: float = 1) -> Decode:
    """Return a decoder of one number that is believed from ``lowest`` to ``highest``, then converted.

    NVML's marks for "not available" (all bits set) lie outside of every range here.
    """

    def decode(raw: float) -> tuple[object, ...]:
        if not lowest <= raw <= highest:
            return (Refused(str(raw)),)
        return (raw if times == per else raw * times / per,)

    return decode


def _utilization(rates: Any) -> tuple[object, ...]:
    return (*_PERCENT(rates.gpu), *_PERCENT(rates.memory))


def _first_percent(answer: Any) -> tuple[object, ...]:
    return _PERCENT(answer[0])  # the other one is the length of the sample period


def _memory(info: Any) -> tuple[object, ...]:
    """Total, used, free, reserved. Version 1 has no reserved: its `used` includes it."""
    total, parts = info.total, (info.used, info.free, getattr(info, "reserved", None))
    if not 0 < total < _MAX_MEMORY:
        return tuple(None if part is None else Refused(str(part)) for part in (total, *parts))
    return (
        total,
        *(
            Refused(f"{part} of {total} bytes") if part is not None and part > total else part
            for part in parts
        ),
    )


@lru_cache(maxsize=256)
def _reasons(mask: int) -> tuple[object, ...]:
    if not 0 <= mask <= 0xFFFFFFFF:
        return (Refused(hex(mask)),)
    return (frozenset(reason for bit, reason in THROTTLE_BITS if mask & bit),)


def _text(raw: object) -> tuple[object, ...]:
    """Return the text, bytes decoded and "N/A" as the empty text that it stands for."""
    said = raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
    said = said.strip()
    return ("" if said.lower() in _ABSENT_TEXTS else said,)


_PERCENT: Final = within(0, 100, per=100)
_CELSIUS: Final = within(-60, _MAX_TEMPERATURE)
_CELSIUS_LIMIT: Final = within(1, _MAX_TEMPERATURE)
_WATTS: Final = within(0, _MAX_MILLIWATTS, per=1000)
_JOULES: Final = within(0, _MAX_MILLIJOULES, per=1000)
_HERTZ: Final = within(0, _MAX_MEGAHERTZ, times=1_000_000)


def _clock(field: str, domain: str) -> Probe:
    return Probe(
        (field,),
        (lambda nvml, device: nvml.nvmlDeviceGetClockInfo(device, getattr(nvml, domain)),),
        _HERTZ,
        chooses=True,
    )


def _clock_limit(field: str, domain: str) -> Probe:
    return Probe(
        (field,),
        (lambda nvml, device: nvml.nvmlDeviceGetMaxClockInfo(device, getattr(nvml, domain)),),
        _HERTZ,
        chooses=True,
    )


def _threshold(field: str, name: str) -> Probe:
    threshold = f"NVML_TEMPERATURE_THRESHOLD_{name}"
    return Probe(
        (field,),
        (
            lambda nvml, device: nvml.nvmlDeviceGetTemperatureThreshold(
                device, getattr(nvml, threshold)
            ),
        ),
        _CELSIUS_LIMIT,
        chooses=True,
    )


def _simple(field: str, decode: Decode, *calls: str) -> Probe:
    return Probe((field,), tuple(map(_call, calls)), decode)


def _call(name: str) -> Read:
    return lambda nvml, device: getattr(nvml, name)(device)


UUID: Final = _simple("uuid", _text, "nvmlDeviceGetUUID")

STATIC: Final = (
    _simple("model", _text, "nvmlDeviceGetName"),
    _simple("serial", _text, "nvmlDeviceGetSerial"),
    Probe(
        ("pci_bus_id",),
        (lambda nvml, device: nvml.nvmlDeviceGetPciInfo_v3(device).busId,),
        _text,
    ),
    _simple("vbios", _text, "nvmlDeviceGetVbiosVersion"),
    _clock_limit("graphics_clock_limit", "NVML_CLOCK_GRAPHICS"),
    _clock_limit("sm_clock_limit", "NVML_CLOCK_SM"),
    _clock_limit("memory_clock_limit", "NVML_CLOCK_MEM"),
    _clock_limit("video_clock_limit", "NVML_CLOCK_VIDEO"),
    _simple("pcie_generation_limit", within(0, 16), "nvmlDeviceGetMaxPcieLinkGeneration"),
    _simple("pcie_width_limit", within(0, 64), "nvmlDeviceGetMaxPcieLinkWidth"),
    _threshold("slowdown_temperature", "SLOWDOWN"),
    _threshold("shutdown_temperature", "SHUTDOWN"),
    _threshold("maximum_temperature", "GPU_MAX"),
    _threshold("maximum_memory_temperature", "MEM_MAX"),
    _simple(
        "throttle_reasons",
        _reasons,
        "nvmlDeviceGetSupportedClocksEventReasons",
        "nvmlDeviceGetSupportedClocksThrottleReasons",
    ),
)
"""Asked once while the driver is open."""

MOVING: Final = (
    Probe(
        ("memory_total", "memory_used", "memory_free", "memory_reserved"),
        (
            lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device, nvml.nvmlMemory_v2),
            lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device),
        ),
        _memory,
    ),
    Probe(
        ("utilization", "memory_controller_utilization"),
        (_call("nvmlDeviceGetUtilizationRates"),),
        _utilization,
    ),
    _simple("encoder_utilization", _first_percent, "nvmlDeviceGetEncoderUtilization"),
    _simple("decoder_utilization", _first_percent, "nvmlDeviceGetDecoderUtilization"),
    Probe(
        ("temperature",),
        (
            lambda nvml, device: nvml.nvmlDeviceGetTemperatureV(device, nvml.NVML_TEMPERATURE_GPU),
            lambda nvml, device: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
        ),
        _CELSIUS,
    ),
    _simple("temperature_margin", within(-200, 200), "nvmlDeviceGetMarginTemperature"),
    _simple("power", _WATTS, "nvmlDeviceGetPowerUsage"),
    _simple("power_limit", _WATTS, "nvmlDeviceGetEnforcedPowerLimit"),
    _clock("graphics_clock", "NVML_CLOCK_GRAPHICS"),
    _clock("sm_clock", "NVML_CLOCK_SM"),
    _clock("memory_clock", "NVML_CLOCK_MEM"),
    _clock("video_clock", "NVML_CLOCK_VIDEO"),
    _simple("performance_state", within(0, 15), "nvmlDeviceGetPerformanceState"),
    _simple("pcie_generation", within(0, 16), "nvmlDeviceGetCurrPcieLinkGeneration"),
    _simple("pcie_width", within(0, 64), "nvmlDeviceGetCurrPcieLinkWidth"),
    _simple(
        "throttle_reasons",
        _reasons,
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    ),
)
"""Asked at every sample, one call each."""

BATCH: Final = (
    FieldValue("memory_temperature", _FIELD_MEMORY_TEMPERATURE, _CELSIUS),
    FieldValue(
        "energy",
        _FIELD_TOTAL_ENERGY,
        _JOULES,
        _simple("energy", _JOULES, "nvmlDeviceGetTotalEnergyConsumption"),
    ),
)
"""Asked at every sample, all in one call."""

PROCESS_LISTS: Final = tuple(
    Probe((kind.lower(),), (_call(f"{call}_v3"), _call(f"{call}_v2")), lambda listed: (listed,))
    for kind in ("Compute", "Graphics")
    for call in (f"nvmlDeviceGet{kind}RunningProcesses",)
)
