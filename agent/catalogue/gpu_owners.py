"""Metrics of who uses a GPU: processes summed up by owner, and memory that nobody owns.

A process id is never a label, and a node that starts a thousand jobs a day must not make a thousand
series at once: the largest owners of each GPU have series of their own, all others share one.
"""

from typing import Final

from agent.catalogue.attributes import CONTAINER_ID, HW_ID, OWNER_KIND, OWNER_NAME
from agent.catalogue.metric import Kind, Metric


def _owned(name: str, kind: Kind, unit: str, description: str) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        unit=unit,
        description=description,
        attributes=(HW_ID, OWNER_KIND, CONTAINER_ID, OWNER_NAME),
        group="gpu",
    )


OWNER_PROCESSES: Final = _owned(
    "hw.gpu.process.owner.processes",
    Kind.UP_DOWN_COUNTER,
    "{process}",
    "Processes of the owner with a context on the GPU.",
)
OWNER_MEMORY: Final = _owned(
    "hw.gpu.process.owner.memory.usage",
    Kind.UP_DOWN_COUNTER,
    "By",
    "Device memory that the owner's processes hold; absent while the driver does not tell it of each.",
)
OWNER_UTILIZATION: Final = _owned(
    "hw.gpu.process.owner.utilization",
    Kind.GAUGE,
    "1",
    "Share of time since the last sample in which kernels of the owner's processes ran, summed over "
    "the processes and 1 at most. Absent where the driver does not tell, as on GPUs divided by MIG.",
)
MEMORY_UNOWNED: Final = Metric(
    name="hw.gpu.memory.unowned",
    kind=Kind.UP_DOWN_COUNTER,
    unit="By",
    description="Device memory in use that no process owns, as after a crash that the driver did not "
    "clean up; 0 up to 512 MiB, which the driver may use itself. Absent where the agent cannot see "
    "every process, as in a container without the host's PID namespace.",
    attributes=(HW_ID,),
    group="gpu",
)

METRICS: Final = (OWNER_PROCESSES, OWNER_MEMORY, OWNER_UTILIZATION, MEMORY_UNOWNED)
