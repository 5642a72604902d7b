"""Metrics of what a GPU does inside and moves: profiling, PCIe, NVLink and its fabric."""

from typing import Final

from agent.catalogue.attributes import (
    DIRECTION,
    ERROR_TYPE,
    FABRIC_FAULT,
    FABRIC_HEALTH,
    FABRIC_STATE,
    HW_ID,
    NVLINK,
    NVLINK_STATE,
    PIPE,
)
from agent.catalogue.gpu import FOLDED
from agent.catalogue.metric import Attribute, Kind, Metric


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


IO = _gpu(
    "hw.gpu.io",
    Kind.COUNTER,
    "By",
    "Bytes over PCIe since the agent first saw the GPU's own counters, wraps of theirs accounted for.",
    DIRECTION,
)
PCIE_THROUGHPUT = _gpu(
    "hw.gpu.pcie.throughput",
    Kind.GAUGE,
    "By/s",
    "Bytes per second over PCIe: between two samples where the GPU can profile, "
    "else over 20 ms once in a while.",
    DIRECTION,
    fold=True,
)
PCIE_REPLAYS = _gpu(
    "hw.gpu.pcie.replays",
    Kind.COUNTER,
    "{replay}",
    "PCIe packets that had to be sent again.",
)
NVLINKS = _gpu(
    "hw.gpu.nvlink.links",
    Kind.UP_DOWN_COUNTER,
    "{link}",
    "NVLinks of the GPU by state.",
    NVLINK_STATE,
)
NVLINK_IO = _gpu(
    "hw.gpu.nvlink.io",
    Kind.COUNTER,
    "By",
    "Payload bytes over all NVLinks of the GPU.",
    DIRECTION,
)
NVLINK_THROUGHPUT = _gpu(
    "hw.gpu.nvlink.throughput",
    Kind.GAUGE,
    "By/s",
    "Bytes per second over all NVLinks between two samples (GPUs that can profile).",
    DIRECTION,
    fold=True,
)
NVLINK_BANDWIDTH = _gpu(
    "hw.gpu.nvlink.bandwidth.limit",
    Kind.GAUGE,
    "By/s",
    "Speed of all active NVLinks together, per direction.",
)
NVLINK_ERRORS = _gpu(
    "hw.gpu.nvlink.errors",
    Kind.COUNTER,
    "{error}",
    "Errors over all NVLinks of the GPU, by kind (crc, replay, recovery and others).",
    ERROR_TYPE,
)
NVLINK_LINK_STATE = _gpu(
    "hw.gpu.nvlink.link.state",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 for the state that the link is in, 0 for the others (only with per-link detail).",
    NVLINK,
    NVLINK_STATE,
)
NVLINK_LINK_IO = _gpu(
    "hw.gpu.nvlink.link.io",
    Kind.COUNTER,
    "By",
    "Payload bytes over the link (only with per-link detail).",
    NVLINK,
    DIRECTION,
)
NVLINK_LINK_BANDWIDTH = _gpu(
    "hw.gpu.nvlink.link.bandwidth.limit",
    Kind.GAUGE,
    "By/s",
    "Speed of the link, per direction (only with per-link detail).",
    NVLINK,
)
NVLINK_LINK_ERRORS = _gpu(
    "hw.gpu.nvlink.link.errors",
    Kind.COUNTER,
    "{error}",
    "Errors of the link, by kind (only with per-link detail).",
    NVLINK,
    ERROR_TYPE,
)
FABRIC_REGISTRATION = _gpu(
    "hw.gpu.fabric.registration",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 for the state of the GPU's registration with the NVLink fabric, 0 for those that it was in before.",
    FABRIC_STATE,
)
FABRIC_FAILED = _gpu(
    "hw.gpu.fabric.failed",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 where the registration with the NVLink fabric ended with an error.",
)
FABRIC_SUMMARY = _gpu(
    "hw.gpu.fabric.summary",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 for the driver's verdict on the fabric, 0 for those that it gave before.",
    FABRIC_HEALTH,
)
FABRIC_FAULTS = _gpu(
    "hw.gpu.fabric.faults",
    Kind.UP_DOWN_COUNTER,
    "1",
    "1 while the fault is there, of those that the driver can report.",
    FABRIC_FAULT,
)
SM_ACTIVE = _gpu(
    "hw.gpu.sm.active",
    Kind.GAUGE,
    "1",
    "Share of the streaming multiprocessors that were busy, on average between two samples.",
    fold=True,
)
SM_OCCUPANCY = _gpu(
    "hw.gpu.sm.occupancy",
    Kind.GAUGE,
    "1",
    "Warps that were active as a share of the most there can be, between two samples.",
    fold=True,
)
PIPE_ACTIVE = _gpu(
    "hw.gpu.pipe.active",
    Kind.GAUGE,
    "1",
    "Share of the time in which the arithmetic units worked, between two samples.",
    PIPE,
    fold=True,
)
MEMORY_BANDWIDTH = _gpu(
    "hw.gpu.memory.bandwidth.utilization",
    Kind.GAUGE,
    "1",
    "Device memory bandwidth used as a share of the most there can be, between two samples.",
    fold=True,
)

METRICS: Final = (
    IO,
    PCIE_THROUGHPUT,
    PCIE_REPLAYS,
    NVLINKS,
    NVLINK_IO,
    NVLINK_THROUGHPUT,
    NVLINK_BANDWIDTH,
    NVLINK_ERRORS,
    NVLINK_LINK_STATE,
    NVLINK_LINK_IO,
    NVLINK_LINK_BANDWIDTH,
    NVLINK_LINK_ERRORS,
    FABRIC_REGISTRATION,
    FABRIC_FAILED,
    FABRIC_SUMMARY,
    FABRIC_FAULTS,
    SM_ACTIVE,
    SM_OCCUPANCY,
    PIPE_ACTIVE,
    MEMORY_BANDWIDTH,
)
