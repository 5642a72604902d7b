"""Which field of DCGM gives which metric: names and units from dcgm_fields.h and default-counters.csv.

Fields are known by name alone: whoever configures dcgm-exporter chooses their ``# TYPE``, and it gets
lost where the page is grouped in an unusual way. DCGM 4.6 renamed many fields; the exporter shows whichever
name its configuration has, so both are read.

Some fields are left out on purpose:

- `DCGM_FI_DEV_XID_ERRORS` is the number of the last XID, kept until the next: it cannot tell one XID from
  ten of them, nor a new one from last week's. `DCGM_EXP_XID_ERRORS_COUNT` and
  `DCGM_EXP_CLOCK_EVENTS_COUNT` count within a moving window, so what they say twice may be one event.
- `DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL` is a rate (whatever its type) of both directions together.
- `DCGM_FI_DEV_FB_USED_PERCENT` is a share of what is not reserved, ours of all there is.
- `DCGM_FI_DEV_VGPU_LICENSE_STATUS`, `DCGM_EXP_GPU_HEALTH_STATUS` and `DCGM_EXP_P2P_STATUS` are about what
  no metric of the catalogue is about.
"""

from typing import Final

from agent.catalogue import Metric, gpu, gpu_health
from agent.collectors.dcgm.errors import ERROR_FIELDS
from agent.collectors.dcgm.field import (
    CELSIUS,
    MEGAHERTZ,
    MIB,
    MILLIJOULES,
    NANOSECONDS,
    PERCENT,
    WATTS,
    Field,
    Unit,
    is_blank,
    named,
)
from agent.collectors.dcgm.profiling import PROFILING_FIELDS
from agent.collectors.dcgm.states import STATES, THROTTLE_BITS

__all__ = ["FIELDS", "NAMES", "STATES", "THROTTLE_BITS", "is_blank"]

_DEV: Final = "DCGM_FI_DEV_"
_GPU: Final = "gpu"
_MEMORY: Final = "memory"


def _measured(
    unit: Unit,
    metric: Metric,
    *names: str,
    attributes: tuple[str, ...] = (),
    highest: float,
) -> Field:
    return Field(
        names=named(_DEV, names), metric=metric, attributes=attributes, unit=unit, highest=highest
    )


def _memory(name: str, metric: Metric) -> Field:
    return _measured(MIB, metric, name, highest=2.0**30)


def _share(metric: Metric, *names: str, of: tuple[str, ...] = ()) -> Field:
    return _measured(PERCENT, metric, *names, attributes=of, highest=100)


def _celsius(metric: Metric, *names: str, of: tuple[str, ...], absent: bool = False) -> Field:
    return Field(
        names=named(_DEV, names),
        metric=metric,
        attributes=of,
        unit=CELSIUS,
        lowest=-60,
        highest=200,
        zero_is_absent=absent,
    )


def _limit(sensor: str, kind: str, *names: str) -> Field:
    return _celsius(gpu.TEMPERATURE_LIMIT, *names, of=(sensor, kind), absent=True)


def _clock(metric: Metric, domain: str, name: str) -> Field:
    return _measured(MEGAHERTZ, metric, name, attributes=(domain,), highest=100_000)


def _watts(metric: Metric, *names: str, of: tuple[str, ...] = ()) -> Field:
    return _measured(WATTS, metric, *names, attributes=of, highest=100_000)


def _throttled(reason: str, name: str) -> Field:
    """Return a throttle time: DCGM gives NVML's nanoseconds, though its exporter said "us" until 2025."""
    return _measured(
        NANOSECONDS,
        gpu_health.THROTTLE_TIME,
        f"{name}_VIOLATION",
        attributes=(reason,),
        highest=2.0**62,
    )


def _plain(metric: Metric, *names: str, highest: float) -> Field:
    return Field(names=named(_DEV, names), metric=metric, highest=highest, whole=True)


FIELDS: Final = (
    _clock(gpu.CLOCK_FREQUENCY, "sm", "SM_CLOCK"),
    _clock(gpu.CLOCK_FREQUENCY, _MEMORY, "MEM_CLOCK"),
    _clock(gpu.CLOCK_FREQUENCY, "video", "VIDEO_CLOCK"),
    _clock(gpu.CLOCK_LIMIT, "sm", "MAX_SM_CLOCK"),
    _clock(gpu.CLOCK_LIMIT, _MEMORY, "MAX_MEM_CLOCK"),
    _clock(gpu.CLOCK_LIMIT, "video", "MAX_VIDEO_CLOCK"),
    _celsius(gpu.TEMPERATURE, "MEMORY_TEMP", "MEMORY_TEMP_CELSIUS", of=(_MEMORY,), absent=True),
    _celsius(gpu.TEMPERATURE, "GPU_TEMP", "GPU_TEMP_CELSIUS", of=(_GPU,)),
    _limit(_GPU, "throttled", "SLOWDOWN_TEMP", "GPU_TEMP_SLOWDOWN_CELSIUS"),
    _limit(_GPU, "high.critical", "SHUTDOWN_TEMP", "GPU_TEMP_SHUTDOWN_CELSIUS"),
    _limit(_GPU, "high.degraded", "GPU_MAX_OP_TEMP", "GPU_MAX_OP_TEMP_CELSIUS"),
    _limit(_MEMORY, "high.degraded", "MEM_MAX_OP_TEMP", "MEMORY_MAX_OP_TEMP_CELSIUS"),
    _celsius(gpu.TEMPERATURE_MARGIN, "GPU_TEMP_LIMIT", "GPU_TEMP_MARGIN_CELSIUS", of=()),
    _watts(gpu.POWER, "POWER_USAGE", "BOARD_POWER_WATTS", of=(_GPU,)),
    _watts(gpu_health.POWER_INSTANT, "POWER_USAGE_INSTANT", "BOARD_POWER_RAW_WATTS"),
    # What is enforced can be lower than what was asked for; the default set has neither.
    _watts(
        gpu.POWER_LIMIT,
        *("ENFORCED_POWER_LIMIT", "BOARD_POWER_LIMIT_ENFORCED_WATTS"),
        *("POWER_MGMT_LIMIT", "BOARD_POWER_LIMIT_REQUESTED_WATTS"),
    ),
    _watts(
        gpu_health.POWER_DEFAULT_LIMIT, "POWER_MGMT_LIMIT_DEF", "BOARD_POWER_LIMIT_DEFAULT_WATTS"
    ),
    _watts(gpu_health.POWER_MINIMUM_LIMIT, "POWER_MGMT_LIMIT_MIN", "BOARD_POWER_LIMIT_MIN_WATTS"),
    _watts(gpu_health.POWER_MAXIMUM_LIMIT, "POWER_MGMT_LIMIT_MAX", "BOARD_POWER_LIMIT_MAX_WATTS"),
    _measured(
        MILLIJOULES, gpu.ENERGY, "TOTAL_ENERGY_CONSUMPTION", attributes=(_GPU,), highest=2.0**62
    ),
    _share(gpu.UTILIZATION, "GPU_UTIL", "GPU_UTIL_RATIO", of=("general",)),
    _share(gpu.MEMORY_CONTROLLER, "MEM_COPY_UTIL"),
    _share(gpu.UTILIZATION, "ENC_UTIL", of=("encoder",)),
    _share(gpu.UTILIZATION, "DEC_UTIL", of=("decoder",)),
    # One number for the board: the speed of its first fan.
    _share(gpu_health.FAN_SPEED, "FAN_SPEED", of=("0",)),
    _memory("FB_TOTAL", gpu.MEMORY_LIMIT),
    _memory("FB_FREE", gpu.MEMORY_FREE),
    _memory("FB_USED", gpu.MEMORY_USAGE),
    _memory("FB_RESERVED", gpu.MEMORY_RESERVED),
    _memory("BAR1_TOTAL", gpu_health.BAR1_LIMIT),
    _memory("BAR1_USED", gpu_health.BAR1_USAGE),
    _throttled("sw_power_cap", "POWER"),
    # NVML's policy "thermal" is what the driver does at the highest temperature of operation.
    _throttled("sw_thermal", "THERMAL"),
    _throttled("sync_boost", "SYNC_BOOST"),
    _throttled("board_limit", "BOARD_LIMIT"),
    _throttled("low_utilization", "LOW_UTIL"),
    _throttled("reliability", "RELIABILITY"),
    _plain(gpu.PERFORMANCE_STATE, "PSTATE", "GPU_PSTATE", highest=15),
    _plain(gpu.PCIE_GENERATION, "PCIE_LINK_GEN", highest=16),
    _plain(gpu.PCIE_GENERATION_LIMIT, "PCIE_MAX_LINK_GEN", highest=16),
    _plain(gpu.PCIE_WIDTH, "PCIE_LINK_WIDTH", highest=64),
    _plain(gpu.PCIE_WIDTH_LIMIT, "PCIE_MAX_LINK_WIDTH", highest=64),
    _plain(gpu_health.PERSISTENCE, "PERSISTENCE_MODE", "GPU_PERSISTENCE_MODE", highest=1),
    _plain(gpu_health.MIG_ENABLED, "MIG_MODE", highest=1),
    *ERROR_FIELDS,
    *PROFILING_FIELDS,
)
"""Where two fields give one series, the first one that has a value is read."""

NAMES: Final = frozenset(
    name
    for names in (*(each.names for each in FIELDS), *(each.names for each in STATES))
    for name in names
)
"""Every sample name that is read."""
