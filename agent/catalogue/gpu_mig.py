"""Metrics of the parts that MIG divides a GPU into.

They have names of their own and are no series of `hw.gpu.*` with another id, so that a sum over GPUs never
counts the same memory twice: a GPU's own series always speak of the whole board. `hw.id` is the UUID of
the MIG device, which programs see as a GPU; the info series says to which GPU it belongs.

Memory and activity belong to the GPU instance. Where several compute instances share one, they are told
once, by the one with the lowest number, so that a sum over MIG devices is right as well.
"""

from typing import Final

from agent.catalogue.attributes import (
    COMPUTE_INSTANCE,
    GPU_INSTANCE,
    HW_ID,
    HW_PARENT,
    MIG_PROFILE,
    PIPE,
)
from agent.catalogue.metric import Attribute, Kind, Metric

_SHARED: Final = (
    "Compute instances that share a GPU instance tell it once, by the lowest of their numbers."
)


def _mig(name: str, kind: Kind, unit: str, description: str, *attributes: Attribute) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        unit=unit,
        description=description,
        attributes=(HW_ID, *attributes),
        group="gpu",
    )


def _shared(name: str, kind: Kind, unit: str, description: str, *attributes: Attribute) -> Metric:
    return _mig(name, kind, unit, f"{description} {_SHARED}", *attributes)


MIG_INFO: Final = Metric(
    name="hw.gpu.mig.info",
    kind=Kind.UP_DOWN_COUNTER,
    unit="1",
    description="Always 1; what is known of a MIG device. Join it on hw_id; hw_parent is the GPU.",
    attributes=(HW_ID, HW_PARENT, MIG_PROFILE, GPU_INSTANCE, COMPUTE_INSTANCE),
    group="gpu",
    facts=True,
)
MIG_DEVICES: Final = _mig(
    "hw.gpu.mig.devices",
    Kind.UP_DOWN_COUNTER,
    "{device}",
    "MIG devices (compute instances) of the GPU; absent while MIG is off.",
)
MIG_MEMORY_LIMIT: Final = _shared(
    "hw.gpu.mig.memory.limit", Kind.UP_DOWN_COUNTER, "By", "Memory that the instance has."
)
MIG_MEMORY_USAGE: Final = _shared(
    "hw.gpu.mig.memory.usage",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Memory of the instance that its processes allocated; it is part of the GPU's as well.",
)
MIG_MEMORY_FREE: Final = _shared(
    "hw.gpu.mig.memory.free",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Memory of the instance that can still be allocated.",
)
MIG_PROCESSES: Final = _mig(
    "hw.gpu.mig.processes",
    Kind.UP_DOWN_COUNTER,
    "{process}",
    "Processes with a context on the MIG device.",
)
MIG_PROCESS_MEMORY: Final = _mig(
    "hw.gpu.mig.process.memory.usage",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Memory that those processes hold, as far as the driver tells.",
)
MIG_UTILIZATION: Final = _shared(
    "hw.gpu.mig.utilization",
    Kind.GAUGE,
    "1",
    "Share of time between two samples in which the instance computed (GPUs that can profile, Hopper "
    "and newer; the driver has no other utilization of an instance).",
)
MIG_SM_ACTIVE: Final = _shared(
    "hw.gpu.mig.sm.active",
    Kind.GAUGE,
    "1",
    "Share of the instance's multiprocessors and time with work on them.",
)
MIG_SM_OCCUPANCY: Final = _shared(
    "hw.gpu.mig.sm.occupancy",
    Kind.GAUGE,
    "1",
    "Warps on the instance's multiprocessors, as a share of the most there could be.",
)
MIG_PIPE_ACTIVE: Final = _shared(
    "hw.gpu.mig.pipe.active",
    Kind.GAUGE,
    "1",
    "Share of time in which the pipe of the instance's multiprocessors was busy.",
    PIPE,
)
MIG_MEMORY_BANDWIDTH: Final = _shared(
    "hw.gpu.mig.memory.bandwidth.utilization",
    Kind.GAUGE,
    "1",
    "Share of the instance's memory bandwidth in use.",
)

METRICS: Final = (
    MIG_INFO,
    MIG_DEVICES,
    MIG_MEMORY_LIMIT,
    MIG_MEMORY_USAGE,
    MIG_MEMORY_FREE,
    MIG_PROCESSES,
    MIG_PROCESS_MEMORY,
    MIG_UTILIZATION,
    MIG_SM_ACTIVE,
    MIG_SM_OCCUPANCY,
    MIG_PIPE_ACTIVE,
    MIG_MEMORY_BANDWIDTH,
)
