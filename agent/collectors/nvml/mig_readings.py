"""From how MIG divides a GPU to readings of the catalogue."""

from collections.abc import Iterator
from typing import Final

from agent.catalogue import Metric, gpu_mig
from agent.collectors.nvml.driver import GpuProcess, Mig, MigDevice, Processes
from agent.snapshot import Reading

_OF_DEVICE: Final[tuple[tuple[str, Metric], ...]] = (
    ("memory_total", gpu_mig.MIG_MEMORY_LIMIT),
    ("memory_used", gpu_mig.MIG_MEMORY_USAGE),
    ("memory_free", gpu_mig.MIG_MEMORY_FREE),
    ("utilization", gpu_mig.MIG_UTILIZATION),
    ("sm_active", gpu_mig.MIG_SM_ACTIVE),
    ("sm_occupancy", gpu_mig.MIG_SM_OCCUPANCY),
    ("memory_bandwidth_utilization", gpu_mig.MIG_MEMORY_BANDWIDTH),
)


def mig_readings(uuid: str, mig: Mig, processes: Processes) -> Iterator[Reading]:
    """Return what is known of the parts of the GPU ``uuid``; nothing of one that is not divided."""
    if not mig.enabled:
        return
    yield Reading(gpu_mig.MIG_DEVICES, (uuid,), len(mig.devices))
    for device in mig.devices:
        yield _info(uuid, device)
        yield from _moving(device)
        yield from _of_processes(device, processes)


def _info(parent: str, device: MigDevice) -> Reading:
    numbers = str(device.gpu_instance), str(device.compute_instance)
    return Reading(gpu_mig.MIG_INFO, (device.uuid, parent, device.profile, *numbers), 1)


def _moving(device: MigDevice) -> Iterator[Reading]:
    for field, metric in _OF_DEVICE:
        value = getattr(device, field)
        if value is not None:
            yield Reading(metric, (device.uuid,), value)
    for pipe, share in (device.pipe_active or {}).items():
        yield Reading(gpu_mig.MIG_PIPE_ACTIVE, (device.uuid, pipe), share)


def _of_processes(device: MigDevice, processes: Processes) -> Iterator[Reading]:
    """Count those of the GPU's processes that use this part; a part of the list would look whole."""
    if processes.compute is None:
        return
    ours: dict[int, GpuProcess] = {}
    for one in (*processes.compute, *(processes.graphics or ())):
        if (one.gpu_instance, one.compute_instance) == (
            device.gpu_instance,
            device.compute_instance,
        ):
            ours[one.pid] = one
    yield Reading(gpu_mig.MIG_PROCESSES, (device.uuid,), len(ours))
    held = [one.memory for one in ours.values()]
    if None not in held:
        yield Reading(gpu_mig.MIG_PROCESS_MEMORY, (device.uuid,), sum(filter(None, held)))
