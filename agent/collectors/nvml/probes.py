"""What is asked of NVML call by call, as tables: which call, and which older call instead.

Every function takes the binding's module as an argument, so that importing this file loads no library.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from agent.collectors.nvml import decoding, prepared
from agent.collectors.nvml.arrays import ProcessList
from agent.collectors.nvml.decoding import (
    CELSIUS,
    CELSIUS_LIMIT,
    CELSIUS_MARGIN,
    HERTZ,
    WATTS,
    Decode,
    first_percent,
    percent_pair,
    reasons,
    text,
    within,
)

_SM_CLOCK: Final = 1
"""NVML_CLOCK_SM."""
Key = str | tuple[str, Any]
"""A field of a record, or an entry of a field that is a mapping."""
Read = Callable[[Any, Any], Any]
"""A call: from the binding's module and a device handle to what the library said."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """One question to a device, and the fields of `Sample`, `Condition` or `Identity` that it fills.

    ``reads`` are alternatives, the best first: the next one is tried where the driver or the device lacks
    the one before. ``chooses``: the call names one of many sensors or clocks, so that "invalid argument"
    means that the driver does not know this one, and not that the device is in trouble.
    """

    fields: tuple[Key, ...]
    reads: tuple[Read, ...]
    decode: Decode
    chooses: bool = False


def _clock(field: str, domain: str) -> Probe:
    return Probe(
        (field,),
        (lambda nvml, device: nvml.nvmlDeviceGetClockInfo(device, getattr(nvml, domain)),),
        HERTZ,
        chooses=True,
    )


def _clock_limit(field: str, domain: str) -> Probe:
    return Probe(
        (field,),
        (lambda nvml, device: nvml.nvmlDeviceGetMaxClockInfo(device, getattr(nvml, domain)),),
        HERTZ,
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
        CELSIUS_LIMIT,
        chooses=True,
    )


def simple(field: str, decode: Decode, *calls: str) -> Probe:
    """Return a question for one field, by functions that take nothing but the device."""
    return Probe((field,), tuple(map(call, calls)), decode)


def call(name: str) -> Read:
    """Return a call of a function that takes nothing but the device."""
    return lambda nvml, device: getattr(nvml, name)(device)


UUID: Final = simple("uuid", text, "nvmlDeviceGetUUID")

STATIC: Final = (
    simple("model", text, "nvmlDeviceGetName"),
    simple("serial", text, "nvmlDeviceGetSerial"),
    Probe(
        ("pci_bus_id",),
        (lambda nvml, device: nvml.nvmlDeviceGetPciInfo_v3(device).busId,),
        text,
    ),
    simple("vbios", text, "nvmlDeviceGetVbiosVersion"),
    simple("inforom", text, "nvmlDeviceGetInforomImageVersion"),
    simple("power_default_limit", WATTS, "nvmlDeviceGetPowerManagementDefaultLimit"),
    Probe(
        ("power_minimum_limit", "power_maximum_limit"),
        (call("nvmlDeviceGetPowerManagementLimitConstraints"),),
        decoding.each(WATTS),
    ),
    _clock_limit("graphics_clock_limit", "NVML_CLOCK_GRAPHICS"),
    _clock_limit("sm_clock_limit", "NVML_CLOCK_SM"),
    _clock_limit("memory_clock_limit", "NVML_CLOCK_MEM"),
    _clock_limit("video_clock_limit", "NVML_CLOCK_VIDEO"),
    simple("pcie_generation_limit", within(0, 16), "nvmlDeviceGetMaxPcieLinkGeneration"),
    simple("pcie_width_limit", within(0, 64), "nvmlDeviceGetMaxPcieLinkWidth"),
    _threshold("slowdown_temperature", "SLOWDOWN"),
    _threshold("shutdown_temperature", "SHUTDOWN"),
    _threshold("maximum_temperature", "GPU_MAX"),
    _threshold("maximum_memory_temperature", "MEM_MAX"),
    simple(
        "throttle_reasons",
        reasons,
        "nvmlDeviceGetSupportedClocksEventReasons",
        "nvmlDeviceGetSupportedClocksThrottleReasons",
    ),
)
"""Asked once while the driver is open."""


def moving() -> tuple[Probe, ...]:
    """Return the questions of one device at every sample, one call each."""
    return (
        Probe(
            ("memory_total", "memory_used", "memory_free", "memory_reserved"),
            (prepared.memory(), call("nvmlDeviceGetMemoryInfo")),
            decoding.memory,
        ),
        Probe(
            ("utilization", "memory_controller_utilization"),
            (prepared.utilization(),),
            percent_pair,
        ),
        Probe(
            ("temperature",),
            (prepared.temperature(), prepared.a_number("nvmlDeviceGetTemperature", 0)),
            CELSIUS,
        ),
        Probe(("temperature_margin",), (prepared.margin(),), CELSIUS_MARGIN),
        Probe(("power",), (prepared.a_number("nvmlDeviceGetPowerUsage"),), WATTS),
        Probe(
            ("sm_clock",),
            (prepared.a_number("nvmlDeviceGetClockInfo", _SM_CLOCK),),
            HERTZ,
            chooses=True,
        ),
        Probe(
            ("throttle_reasons",),
            (
                prepared.a_mask("nvmlDeviceGetCurrentClocksEventReasons"),
                prepared.a_mask("nvmlDeviceGetCurrentClocksThrottleReasons"),
            ),
            reasons,
        ),
    )


SELDOM: Final = (
    simple("encoder_utilization", first_percent, "nvmlDeviceGetEncoderUtilization"),
    simple("decoder_utilization", first_percent, "nvmlDeviceGetDecoderUtilization"),
    simple("jpeg_utilization", first_percent, "nvmlDeviceGetJpgUtilization"),
    simple("ofa_utilization", first_percent, "nvmlDeviceGetOfaUtilization"),
    _clock("graphics_clock", "NVML_CLOCK_GRAPHICS"),
    _clock("memory_clock", "NVML_CLOCK_MEM"),
    _clock("video_clock", "NVML_CLOCK_VIDEO"),
    simple("performance_state", within(0, 15), "nvmlDeviceGetPerformanceState"),
    simple("pcie_generation", within(0, 16), "nvmlDeviceGetCurrPcieLinkGeneration"),
    simple("pcie_width", within(0, 64), "nvmlDeviceGetCurrPcieLinkWidth"),
)
"""Asked every few seconds, one call each, and told with every sample in between."""


def process_lists() -> tuple[Probe, ...]:
    """Return the questions of one device for its processes, which remember what they last gave."""
    return tuple(
        Probe(
            (kind.lower(),),
            (ProcessList(f"{name}_v3"), ProcessList(f"{name}_v2")),
            lambda listed: (listed,),
        )
        for kind in ("Compute", "Graphics")
        for name in (f"nvmlDeviceGet{kind}RunningProcesses",)
    )


def label(key: Key) -> str:
    """Return the name of a field, or of a mapping's entry, for people."""
    if isinstance(key, str):
        return key
    entry = key[1] if isinstance(key[1], tuple) else (key[1],)
    return " ".join((key[0], *map(str, entry)))
