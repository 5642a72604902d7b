"""Metrics of the GPU itself, in the names of OpenTelemetry's hardware conventions where it has them."""

from typing import Final

from agent.catalogue.attributes import (
    CLOCK,
    CONFIDENCE,
    GPU_CUDA,
    GPU_INDEX,
    GPU_INFOROM,
    GPU_PCI,
    GPU_TASK,
    HW_DRIVER,
    HW_FIRMWARE,
    HW_ID,
    HW_MODEL,
    HW_SERIAL,
    HW_TYPE,
    HW_VENDOR,
    LIMIT_TYPE,
    PROCESS_TYPE,
    SENSOR,
    THROTTLE_REASON,
    XID,
)
from agent.catalogue.metric import Attribute, Kind, Metric

FATAL_XIDS: Final = (
    46, 48, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143, 151, 155, 156, 158,
)  # fmt: skip
"""XIDs whose bucket in NVIDIA's catalogue (docs.nvidia.com/deploy/xid-errors) is a reset or a restart, as
`agent.xid` has them; their counters exist at 0, since `increase()` misses one born at 1."""

FOLDED: Final = "Mean over the export window."


def _gpu(
    name: str,
    kind: Kind,
    unit: str,
    description: str,
    *attributes: Attribute,
    fold: bool = False,
) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        unit=unit,
        description=f"{description} {FOLDED}" if fold else description,
        attributes=(HW_ID, *attributes),
        group="gpu",
        fold=fold,
    )


INFO = Metric(
    name="hw.gpu.info",
    kind=Kind.UP_DOWN_COUNTER,
    unit="1",
    description="Always 1; what is known of the GPU that does not change. Join it on hw_id.",
    attributes=(
        HW_ID,
        GPU_INDEX,
        HW_MODEL,
        HW_VENDOR,
        HW_SERIAL,
        GPU_PCI,
        HW_DRIVER,
        GPU_CUDA,
        HW_FIRMWARE,
        GPU_INFOROM,
    ),
    group="gpu",
    facts=True,
)
DEVICES = Metric(
    name="hw.gpu.devices",
    kind=Kind.UP_DOWN_COUNTER,
    unit="{gpu}",
    description="GPUs that are on this node or were since the agent started, lost ones included.",
    group="gpu",
)
LOST = _gpu(
    "hw.gpu.lost",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 while the GPU was seen and cannot be reached now (fallen off the bus, or no longer listed).",
)
MEMORY_LIMIT = _gpu("hw.gpu.memory.limit", Kind.UP_DOWN_COUNTER, "By", "Device memory there is.")
MEMORY_USAGE = _gpu(
    "hw.gpu.memory.usage",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Device memory allocated by processes; without what the driver reserves for itself.",
)
MEMORY_FREE = _gpu(
    "hw.gpu.memory.free", Kind.UP_DOWN_COUNTER, "By", "Device memory that can still be allocated."
)
MEMORY_RESERVED = _gpu(
    "hw.gpu.memory.reserved",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Device memory that the driver and firmware keep for themselves.",
)
MEMORY_UTILIZATION = _gpu(
    "hw.gpu.memory.utilization",
    Kind.GAUGE,
    "1",
    "Share of the device memory that is allocated (not how busy the memory is).",
)
UTILIZATION = _gpu(
    "hw.gpu.utilization",
    Kind.GAUGE,
    "1",
    "Share of time in which the engine was busy; for `general`, at least one kernel was running, "
    "however small.",
    GPU_TASK,
    fold=True,
)
MEMORY_CONTROLLER = _gpu(
    "hw.gpu.memory.controller.utilization",
    Kind.GAUGE,
    "1",
    "Share of time in which device memory was being read or written.",
    fold=True,
)
TEMPERATURE = _gpu("hw.temperature", Kind.GAUGE, "Cel", "Temperature of the sensor.", SENSOR)
TEMPERATURE_LIMIT = _gpu(
    "hw.temperature.limit",
    Kind.GAUGE,
    "Cel",
    "Temperature at which the board acts, by its own firmware.",
    SENSOR,
    LIMIT_TYPE,
)
TEMPERATURE_MARGIN = _gpu(
    "hw.gpu.temperature.margin",
    Kind.GAUGE,
    "Cel",
    "Degrees left until the driver slows the GPU down: NVML's own margin, else the slowdown limit "
    "less the temperature. 0 or less: it is slowing down.",
)
POWER = _gpu("hw.power", Kind.GAUGE, "W", "Power drawn by the board.", HW_TYPE, fold=True)
POWER_LIMIT = _gpu(
    "hw.gpu.power.limit",
    Kind.GAUGE,
    "W",
    "Power at which the driver holds the board (enforced limit).",
)
ENERGY = _gpu("hw.energy", Kind.COUNTER, "J", "Energy used since the driver was loaded.", HW_TYPE)
CLOCK_FREQUENCY = _gpu(
    "hw.gpu.clock.frequency", Kind.GAUGE, "Hz", "What the clock runs at.", CLOCK, fold=True
)
CLOCK_LIMIT = _gpu(
    "hw.gpu.clock.limit", Kind.GAUGE, "Hz", "Highest clock that the board supports.", CLOCK
)
PERFORMANCE_STATE = _gpu(
    "hw.gpu.performance_state",
    Kind.GAUGE,
    "{pstate}",
    "NVML's P-state: 0 is the fastest, 15 the slowest.",
)
PCIE_GENERATION = _gpu(
    "hw.gpu.pcie.link.generation",
    Kind.GAUGE,
    "{generation}",
    "PCIe generation of the link now; it drops while the GPU idles.",
)
PCIE_GENERATION_LIMIT = _gpu(
    "hw.gpu.pcie.link.generation.limit",
    Kind.GAUGE,
    "{generation}",
    "Highest PCIe generation of this GPU in this slot.",
)
PCIE_WIDTH = _gpu("hw.gpu.pcie.link.width", Kind.GAUGE, "{lane}", "PCIe lanes in use now.")
PCIE_WIDTH_LIMIT = _gpu(
    "hw.gpu.pcie.link.width.limit",
    Kind.GAUGE,
    "{lane}",
    "Most PCIe lanes of this GPU in this slot; fewer in use is a fault at any load.",
)
THROTTLE = _gpu(
    "hw.gpu.throttle.active",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 while the driver holds the clocks down for this reason.",
    THROTTLE_REASON,
)
PROCESSES = _gpu(
    "hw.gpu.processes",
    Kind.UP_DOWN_COUNTER,
    "{process}",
    "Processes with a context on the GPU.",
    PROCESS_TYPE,
)
PROCESS_MEMORY = _gpu(
    "hw.gpu.process.memory.usage",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Device memory that those processes hold, as far as the driver tells.",
    PROCESS_TYPE,
)
XID_EVENTS = _gpu(
    "hw.gpu.xid.events",
    Kind.COUNTER,
    "{event}",
    "XID errors since the agent started, by code; codes that need a reset or a reboot exist at 0.",
    XID,
)
OOM_EVENTS = _gpu(
    "hw.gpu.oom.events",
    Kind.COUNTER,
    "{event}",
    "GPU out-of-memory deaths since the agent started, inferred: a process that held the device "
    "nearly full vanished.",
    CONFIDENCE,
)

METRICS: Final = (
    INFO,
    DEVICES,
    LOST,
    MEMORY_LIMIT,
    MEMORY_USAGE,
    MEMORY_FREE,
    MEMORY_RESERVED,
    MEMORY_UTILIZATION,
    UTILIZATION,
    MEMORY_CONTROLLER,
    TEMPERATURE,
    TEMPERATURE_LIMIT,
    TEMPERATURE_MARGIN,
    POWER,
    POWER_LIMIT,
    ENERGY,
    CLOCK_FREQUENCY,
    CLOCK_LIMIT,
    PERFORMANCE_STATE,
    PCIE_GENERATION,
    PCIE_GENERATION_LIMIT,
    PCIE_WIDTH,
    PCIE_WIDTH_LIMIT,
    THROTTLE,
    PROCESSES,
    PROCESS_MEMORY,
    XID_EVENTS,
    OOM_EVENTS,
)
