"""Which of NVML's answers can be believed, and what they are in the catalogue's units and words.

Bounds, units and enumerations are from NVIDIA's public header (nvml.h in PyPI `nvidia-nvml-dev`). NVML's
marks for "not available" (all bits set) lie outside of every range here.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

MAX_BYTES: Final = 2**62
_MAX_TEMPERATURE: Final = 200
_MAX_MILLIWATTS: Final = 100_000_000
_MAX_MILLIJOULES: Final = 2**63
_MAX_NANOSECONDS: Final = 2**62
_MAX_MEGAHERTZ: Final = 100_000
_MAX_MEMORY: Final = 2**50
_MAX_COUNT: Final = 2**62
_NO_COUNT: Final = 0xFFFFFFFF
_PROFILER_SLACK: Final = 100.5
"""Two samples of performance counters are not taken at one instant: a hair over 100 % is 100 %."""
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
_REMAP_AVAILABILITY: Final = ("max", "high", "partial", "low", "none")
_FABRIC_STATES: Final = ("", "not_started", "in_progress", "completed")
_FABRIC_HEALTH: Final = ("", "healthy", "unhealthy", "limited_capacity")
_FABRIC_FAULTS: Final = (
    (0, 0x3, "degraded_bandwidth"),
    (2, 0x3, "route_recovery"),
    (4, 0x3, "route_unhealthy"),
    (6, 0x3, "access_timeout_recovery"),
)
_CONFIGURATION_SHIFT: Final = 8
_CONFIGURATION_MASK: Final = 0xF


class Refused(NamedTuple):
    """Stands in place of a value that cannot be true; ``seen`` is what the library said."""

    seen: str
    reason: str = "out_of_range"


Decode = Callable[[Any], tuple[object, ...]]
"""From what the library said to one value per field, `None` where it does not say, or `Refused`."""


def within(lowest: float, highest: float, *, times: float = 1, per: float = 1) -> Decode:
    """Return a decoder of one number that is believed from ``lowest`` to ``highest``, then converted."""

    def decode(raw: float) -> tuple[object, ...]:
        if not lowest <= raw <= highest:
            return (Refused(str(raw)),)
        if per == 1:
            return (raw * times,)  # an integer stays one
        return (raw * times / per,)

    return decode


def word(*words: str) -> Decode:
    """Return a decoder of an enumeration that counts from 0; a field's value may come as a double."""

    def decode(raw: float) -> tuple[object, ...]:
        if not 0 <= raw < len(words) or raw % 1:
            return (Refused(str(raw)),)
        return (words[int(raw)],)

    return decode


def flag(raw: float) -> tuple[object, ...]:
    """Return whether something is so: 0 or 1, and nothing else."""
    return (bool(raw) if raw in {0, 1} else Refused(str(raw)),)


def each(decode: Decode) -> Decode:
    """Return a decoder of several numbers of a kind."""
    return lambda listed: tuple(decode(one)[0] for one in listed)


def count(raw: float) -> tuple[object, ...]:
    """Return a number of things, which is whole; all bits set is none."""
    if not 0 <= raw <= _MAX_COUNT or raw == _NO_COUNT or raw % 1:
        return (Refused(str(raw)),)
    return (int(raw),)


def profiled_share(raw: float) -> tuple[object, ...]:
    """Return a share of 1 from the percentage of two samples of performance counters."""
    if not 0 <= raw <= _PROFILER_SLACK:
        return (Refused(str(raw)),)
    return (min(raw / 100, 1.0),)


def percent_pair(rates: Any) -> tuple[object, ...]:
    """Return the utilization of the GPU and of its memory."""
    return (*PERCENT(rates.gpu), *PERCENT(rates.memory))


def first_percent(answer: Any) -> tuple[object, ...]:
    """Return a utilization that comes with the length of its sample period."""
    return PERCENT(answer[0])


def memory(info: Any) -> tuple[object, ...]:
    """Total, used, free, reserved. Version 1 has no reserved: its `used` includes it."""
    total, parts = info.total, (info.used, info.free, getattr(info, "reserved", None))
    return _parts_of(total, parts)


def bar1(info: Any) -> tuple[object, ...]:
    """Return BAR1's size and what of it is mapped."""
    return _parts_of(info.bar1Total, (info.bar1Used,))


def _parts_of(total: int, parts: Sequence[int | None]) -> tuple[object, ...]:
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
def reasons(mask: int) -> tuple[object, ...]:
    """Return the reasons for which the clocks are held down."""
    if not 0 <= mask <= 0xFFFFFFFF:
        return (Refused(hex(mask)),)
    return (frozenset(reason for bit, reason in THROTTLE_BITS if mask & bit),)


def text(raw: object) -> tuple[object, ...]:
    """Return the text, bytes decoded and "N/A" as the empty text that it stands for."""
    said = raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
    said = said.strip()
    return ("" if said.lower() in _ABSENT_TEXTS else said,)


def fan_speeds(percents: Sequence[int]) -> tuple[object, ...]:
    """Return the speed of each fan as a share of its highest; `None` for a board without fans."""
    speeds = {str(index): PERCENT(percent)[0] for index, percent in enumerate(percents)}
    wrong = next((speed for speed in speeds.values() if isinstance(speed, Refused)), None)
    return (wrong or speeds or None,)


def banks(histogram: Any) -> tuple[object, ...]:
    """Return how many banks have how many spare rows left."""
    found = {name: count(getattr(histogram, name))[0] for name in _REMAP_AVAILABILITY}
    wrong = next((number for number in found.values() if isinstance(number, Refused)), None)
    return (wrong or found,)


def fabric(info: Any) -> tuple[object, ...]:
    """Return state, failure, health and faults of the GPU's registration with the NVLink fabric.

    ``state`` is one byte in the header, and the binding reads four: the others are padding.
    """
    state = info.state & 0xFF
    if not 0 < state < len(_FABRIC_STATES):
        return (Refused(str(state)) if state else None, None, None, None)
    completed = _FABRIC_STATES[state] == "completed"
    summary = getattr(info, "healthSummary", 0)
    health: object = Refused(str(summary))
    if summary < len(_FABRIC_HEALTH):
        health = _FABRIC_HEALTH[summary] or None
    return (
        _FABRIC_STATES[state],
        info.status != 0 if completed else None,
        health,
        fabric_faults(getattr(info, "healthMask", 0)) or None,
    )


@lru_cache(maxsize=64)
def fabric_faults(mask: int) -> dict[str, bool]:
    """Return the faults that the driver can report: two bits each, 1 is so, 2 is not so."""
    faults = {
        name: value == 1
        for shift, bits, name in _FABRIC_FAULTS
        if (value := mask >> shift & bits) in {1, 2}
    }
    configuration = mask >> _CONFIGURATION_SHIFT & _CONFIGURATION_MASK
    if configuration:
        faults["incorrect_configuration"] = configuration != 1
    return faults


PERCENT: Final = within(0, 100, per=100)
CELSIUS: Final = within(-60, _MAX_TEMPERATURE)
CELSIUS_LIMIT: Final = within(1, _MAX_TEMPERATURE)
CELSIUS_MARGIN: Final = within(-200, _MAX_TEMPERATURE)
WATTS: Final = within(0, _MAX_MILLIWATTS, per=1000)
JOULES: Final = within(0, _MAX_MILLIJOULES, per=1000)
HERTZ: Final = within(0, _MAX_MEGAHERTZ, times=1e6)
SECONDS: Final = within(0, _MAX_NANOSECONDS, per=1_000_000_000)
BYTES: Final = within(0, MAX_BYTES)
KIBIBYTES: Final = within(0, MAX_BYTES >> 10, times=1024)
MEGABYTES_A_SECOND: Final = within(0, 10_000_000, times=1_000_000)
KILOBYTES_A_SECOND: Final = within(0, 1_000_000_000, times=1000)
MEBIBYTES_A_SECOND: Final = within(0, 100_000_000, times=1024 * 1024)
