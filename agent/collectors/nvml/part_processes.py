"""Who uses the parts of a divided GPU, for an agent that may not see them all at once.

The driver lists the processes of a GPU that MIG divides only to those who are privileged, and those of one
part to everybody (nvml.h): so where the whole list is refused, or is empty, the parts are asked one by one.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from agent.collectors.nvml import codes
from agent.collectors.nvml.driver import FieldProblem
from agent.collectors.nvml.mig import Instance

_NOBODY: Final = 0xFFFFFFFF
"""Instead of an instance's number, where the driver does not say it."""
_GONE: Final = frozenset({codes.INVALID_ARGUMENT, codes.NOT_FOUND})


class PartProcess:
    """An entry of a part's list: what the binding says, and whose list it is where the entry is silent."""

    def __init__(self, entry: Any, part: Instance) -> None:
        said = entry.gpuInstanceId not in {None, _NOBODY}
        self.pid: int = entry.pid
        self.usedGpuMemory: int | None = entry.usedGpuMemory
        self.gpuInstanceId: int = entry.gpuInstanceId if said else part.gpu_instance
        self.computeInstanceId: int = entry.computeInstanceId if said else part.compute_instance


def of_parts(
    nvml: Any,
    kind: str,
    read: Callable[[Any], Iterable[Any]],
    parts: Iterable[Instance],
    problems: list[FieldProblem],
) -> list[PartProcess] | None:
    """Return the entries of all parts; `None` where one refuses or cannot: some would look like all.

    ``read`` gives the list of a handle. A part that has just gone has no processes. Raises `GpuLost` and
    `DriverGone`.
    """
    found: list[PartProcess] = []
    for part in parts:
        try:
            found += (PartProcess(entry, part) for entry in read(part.handle))
        except nvml.NVMLError as error:
            if error.value in _GONE:
                continue
            if error.value in codes.LACKING:
                return None
            failure = codes.fault(error)
            problems.append(FieldProblem(kind, failure.reason, f"{part.uuid}: {failure}"))
            return None
    return found
