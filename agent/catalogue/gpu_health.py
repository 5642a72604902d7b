"""Metrics of how well a GPU is and how it is set: limits, throttling, memory errors, modes, the verdict."""

from typing import Final

from agent.catalogue.attributes import (
    COMPUTE_MODE,
    ERROR_TYPE,
    FAN,
    HW_ID,
    HW_TYPE,
    MEMORY_LOCATION,
    RECOVERY_ACTION,
    REMAP_AVAILABILITY,
    RETIREMENT_CAUSE,
    THROTTLE_REASON,
)
from agent.catalogue.metric import Attribute, Kind, Metric


def _gpu(name: str, kind: Kind, unit: str, description: str, *attributes: Attribute) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        unit=unit,
        description=description,
        attributes=(HW_ID, *attributes),
        group="gpu",
    )


BAR1_LIMIT = _gpu(
    "hw.gpu.bar1.limit",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Address space through which the host and peers reach device memory (BAR1).",
)
BAR1_USAGE = _gpu(
    "hw.gpu.bar1.usage",
    Kind.UP_DOWN_COUNTER,
    "By",
    "BAR1 space that is mapped; when it is full, peer-to-peer and RDMA mappings fail.",
)
FAN_SPEED = _gpu(
    "hw.fan.speed_ratio",
    Kind.GAUGE,
    "1",
    "Fan speed as the share of its highest that the driver intends; not the measured speed.",
    FAN,
)
POWER_INSTANT = _gpu(
    "hw.gpu.power.instant",
    Kind.GAUGE,
    "W",
    "Power drawn at the moment of the sample.",
)
POWER_AVERAGE = _gpu(
    "hw.gpu.power.average",
    Kind.GAUGE,
    "W",
    "Power drawn on average of the last second, by the driver's own reckoning.",
)
POWER_DEFAULT_LIMIT = _gpu(
    "hw.gpu.power.limit.default",
    Kind.GAUGE,
    "W",
    "Power limit that the board starts with.",
)
POWER_MINIMUM_LIMIT = _gpu(
    "hw.gpu.power.limit.minimum",
    Kind.GAUGE,
    "W",
    "Lowest power limit that can be set.",
)
POWER_MAXIMUM_LIMIT = _gpu(
    "hw.gpu.power.limit.maximum",
    Kind.GAUGE,
    "W",
    "Highest power limit that can be set.",
)
THROTTLE_TIME = _gpu(
    "hw.gpu.throttle.time",
    Kind.COUNTER,
    "s",
    "Time for which the clocks were held down, by reason, as the driver counts it; "
    "several reasons can count at once.",
    THROTTLE_REASON,
)
RECOVERY = _gpu(
    "hw.gpu.recovery.required",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 for the action that the driver asks for now, 0 for those that it asked for before; `none` is a "
    "healthy GPU.",
    RECOVERY_ACTION,
)
ECC_ERRORS = _gpu(
    "hw.errors",
    Kind.COUNTER,
    "{error}",
    "ECC errors of the GPU since its driver was loaded, by memory and kind (corrected, uncorrected).",
    HW_TYPE,
    ERROR_TYPE,
    MEMORY_LOCATION,
)
ECC_LIFETIME_ERRORS = _gpu(
    "hw.gpu.ecc.lifetime.errors",
    Kind.COUNTER,
    "{error}",
    "ECC errors over the life of the board (InfoROM), by memory and kind (corrected, uncorrected).",
    ERROR_TYPE,
    MEMORY_LOCATION,
)
ECC_ENABLED = _gpu(
    "hw.gpu.ecc.enabled",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 while ECC is on.",
)
ECC_ENABLED_PENDING = _gpu(
    "hw.gpu.ecc.enabled.pending",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 where ECC will be on after the next reset.",
)
SRAM_THRESHOLD = _gpu(
    "hw.gpu.ecc.sram.threshold_exceeded",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 once the uncorrected SRAM errors passed NVIDIA's threshold for a field diagnosis.",
)
RETIRED_PAGES = _gpu(
    "hw.gpu.memory.retired_pages",
    Kind.UP_DOWN_COUNTER,
    "{page}",
    "Pages of device memory that are out of use for good, by cause (before Ampere).",
    RETIREMENT_CAUSE,
)
RETIRED_PAGES_PENDING = _gpu(
    "hw.gpu.memory.retired_pages.pending",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 where pages wait for a reset to be retired.",
)
REMAPPED_ROWS = _gpu(
    "hw.gpu.memory.remapped_rows",
    Kind.UP_DOWN_COUNTER,
    "{row}",
    "Rows of device memory replaced by spares, by kind of error (Ampere and newer).",
    ERROR_TYPE,
)
ROW_REMAP_PENDING = _gpu(
    "hw.gpu.memory.row_remap.pending",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 where rows wait for a reset to be replaced.",
)
ROW_REMAP_FAILURE = _gpu(
    "hw.gpu.memory.row_remap.failure",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 once a row could not be replaced: the board is to be exchanged.",
)
ROW_REMAP_BANKS = _gpu(
    "hw.gpu.memory.row_remap.banks",
    Kind.UP_DOWN_COUNTER,
    "{bank}",
    "Banks of device memory by how many spare rows they have left; what never was more than 0 is absent.",
    REMAP_AVAILABILITY,
)
PERSISTENCE = _gpu(
    "hw.gpu.persistence_mode",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 while the driver stays loaded without a client; off makes every call slow.",
)
COMPUTE = _gpu(
    "hw.gpu.compute_mode",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 for the compute mode that is set, 0 for those that were set before.",
    COMPUTE_MODE,
)
MIG_ENABLED = _gpu(
    "hw.gpu.mig.enabled",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 while the GPU is divided by MIG.",
)
MIG_ENABLED_PENDING = _gpu(
    "hw.gpu.mig.enabled.pending",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 where MIG will be on after the next reset.",
)

METRICS: Final = (
    BAR1_LIMIT,
    BAR1_USAGE,
    FAN_SPEED,
    POWER_INSTANT,
    POWER_AVERAGE,
    POWER_DEFAULT_LIMIT,
    POWER_MINIMUM_LIMIT,
    POWER_MAXIMUM_LIMIT,
    THROTTLE_TIME,
    RECOVERY,
    ECC_ERRORS,
    ECC_LIFETIME_ERRORS,
    ECC_ENABLED,
    ECC_ENABLED_PENDING,
    SRAM_THRESHOLD,
    RETIRED_PAGES,
    RETIRED_PAGES_PENDING,
    REMAPPED_ROWS,
    ROW_REMAP_PENDING,
    ROW_REMAP_FAILURE,
    ROW_REMAP_BANKS,
    PERSISTENCE,
    COMPUTE,
    MIG_ENABLED,
    MIG_ENABLED_PENDING,
)
