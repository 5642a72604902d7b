"""Which field of DCGM gives which metric: names and units from dcgm_fields.h and default-counters.csv.

Fields are known by name alone: whoever configures dcgm-exporter chooses their ``# TYPE``, and it gets
lost where the page is grouped in an unusual way.

`DCGM_FI_DEV_XID_ERRORS` is left out on purpose. It is the number of the last XID, kept until the next:
it cannot tell one XID from ten of them, nor a new one from last week's, so no counter follows from it.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

from agent.catalogue import Metric, gpu

_MIB: Final = 2.0**20
_MEGA: Final = 1e6
_HUNDRED: Final = 100.0
_THOUSAND: Final = 1000.0


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field and what it means. ``names`` are its names, the preferred one first.

    A value is multiplied by ``times`` and divided by ``per`` (division is exact where multiplying by a
    fraction is not); outside of ``lowest`` to ``highest``, in DCGM's unit, it cannot be true.
    ``zero_is_absent``: DCGM says 0 where the board has no such sensor.
    """

    names: tuple[str, ...]
    metric: Metric
    attributes: tuple[str, ...] = ()
    times: float = 1.0
    per: float = 1.0
    lowest: float = 0.0
    highest: float = inf
    zero_is_absent: bool = False


def _field(name: str) -> str:
    return f"DCGM_FI_DEV_{name}"


def _memory(name: str, metric: Metric) -> Field:
    return Field(names=(_field(name),), metric=metric, times=_MIB)


def _share(name: str, metric: Metric, *attributes: str) -> Field:
    return Field(
        names=(_field(name),), metric=metric, attributes=attributes, per=_HUNDRED, highest=_HUNDRED
    )


def _celsius(name: str, metric: Metric, *attributes: str, absent: bool = False) -> Field:
    return Field(
        names=(_field(name),),
        metric=metric,
        attributes=attributes,
        lowest=-60,
        highest=200,
        zero_is_absent=absent,
    )


def _clock(name: str, metric: Metric, domain: str) -> Field:
    return Field(
        names=(_field(name),), metric=metric, attributes=(domain,), times=_MEGA, highest=100_000
    )


def _plain(metric: Metric, *names: str, highest: float, attributes: tuple[str, ...] = ()) -> Field:
    return Field(
        names=tuple(map(_field, names)), metric=metric, attributes=attributes, highest=highest
    )


FIELDS: Final = (
    _memory("FB_TOTAL", gpu.MEMORY_LIMIT),
    _memory("FB_USED", gpu.MEMORY_USAGE),
    _memory("FB_FREE", gpu.MEMORY_FREE),
    _memory("FB_RESERVED", gpu.MEMORY_RESERVED),
    _share("GPU_UTIL", gpu.UTILIZATION, "general"),
    _share("ENC_UTIL", gpu.UTILIZATION, "encoder"),
    _share("DEC_UTIL", gpu.UTILIZATION, "decoder"),
    _share("MEM_COPY_UTIL", gpu.MEMORY_CONTROLLER),
    _celsius("GPU_TEMP", gpu.TEMPERATURE, "gpu"),
    _celsius("MEMORY_TEMP", gpu.TEMPERATURE, "memory", absent=True),
    _celsius("SLOWDOWN_TEMP", gpu.TEMPERATURE_LIMIT, "gpu", "throttled", absent=True),
    _celsius("SHUTDOWN_TEMP", gpu.TEMPERATURE_LIMIT, "gpu", "high.critical", absent=True),
    _celsius("GPU_MAX_OP_TEMP", gpu.TEMPERATURE_LIMIT, "gpu", "high.degraded", absent=True),
    _celsius("MEM_MAX_OP_TEMP", gpu.TEMPERATURE_LIMIT, "memory", "high.degraded", absent=True),
    _plain(gpu.POWER, "POWER_USAGE", highest=100_000, attributes=("gpu",)),
    # What is enforced can be lower than what was asked for; the default set has neither.
    _plain(gpu.POWER_LIMIT, "ENFORCED_POWER_LIMIT", "POWER_MGMT_LIMIT", highest=100_000),
    Field(
        names=(_field("TOTAL_ENERGY_CONSUMPTION"),),
        metric=gpu.ENERGY,
        attributes=("gpu",),
        per=_THOUSAND,
    ),
    _clock("SM_CLOCK", gpu.CLOCK_FREQUENCY, "sm"),
    _clock("MEM_CLOCK", gpu.CLOCK_FREQUENCY, "memory"),
    _clock("VIDEO_CLOCK", gpu.CLOCK_FREQUENCY, "video"),
    _clock("MAX_SM_CLOCK", gpu.CLOCK_LIMIT, "sm"),
    _clock("MAX_MEM_CLOCK", gpu.CLOCK_LIMIT, "memory"),
    _clock("MAX_VIDEO_CLOCK", gpu.CLOCK_LIMIT, "video"),
    _plain(gpu.PERFORMANCE_STATE, "PSTATE", highest=15),
    _plain(gpu.PCIE_GENERATION, "PCIE_LINK_GEN", highest=16),
    _plain(gpu.PCIE_GENERATION_LIMIT, "PCIE_MAX_LINK_GEN", highest=16),
    _plain(gpu.PCIE_WIDTH, "PCIE_LINK_WIDTH", highest=64),
    _plain(gpu.PCIE_WIDTH_LIMIT, "PCIE_MAX_LINK_WIDTH", highest=64),
)

THROTTLE_FIELDS: Final = (_field("CLOCKS_EVENT_REASONS"), _field("CLOCK_THROTTLE_REASONS"))
"""A mask of reasons; NVIDIA renamed it from the second to the first."""
THROTTLE_BITS: Final = (
    (0x04, "sw_power_cap"),
    (0x08, "hw_slowdown"),
    (0x10, "sync_boost"),
    (0x20, "sw_thermal"),
    (0x40, "hw_thermal"),
    (0x80, "hw_power_brake"),
)
"""The same bits as in NVML (nvml.h, nvmlClocksEventReasons); idle and user settings are no throttling."""

NAMES: Final = frozenset(name for field in FIELDS for name in field.names) | set(THROTTLE_FIELDS)
"""Every sample name that is read."""

_BLANKS: Final = (
    (2_147_483_632.0, 2_147_483_647.0),  # DCGM_INT32_BLANK and the reasons after it
    (140_737_488_355_328.0, 140_737_488_355_343.0),  # DCGM_FP64_BLANK
    (9_223_372_036_854_775_792.0, inf),  # DCGM_INT64_BLANK
)


def is_blank(value: float) -> bool:
    """Tell whether a value is one of DCGM's ways to say that there is none (not found, not supported...)."""
    return any(low <= value <= high for low, high in _BLANKS)
