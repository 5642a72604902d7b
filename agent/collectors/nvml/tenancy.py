"""Who has a share in a GPU: the parts that MIG divides it into, and what its processes are and do."""

from pathlib import Path
from typing import Any, Final

from agent.collectors.nvml.container import Containers, sees_every_process
from agent.collectors.nvml.driver import GpuProcess, Mig, Processes
from agent.collectors.nvml.mig import Instance, MigDevices
from agent.collectors.nvml.owners import each_once
from agent.collectors.nvml.process_usage import ProcessUsage

PROC: Final = Path("/proc")


class Tenancy:
    """Asks one GPU; `release` when it is not used any more.

    ``nvml`` is the binding's module, initialized; ``handle`` the device; ``proc`` where the kernel tells
    of processes.
    """

    def __init__(self, nvml: Any, handle: Any, proc: Path = PROC) -> None:
        self._mig = MigDevices(nvml, handle)
        self._usage = ProcessUsage(nvml, handle)
        self._containers = Containers(proc)
        self._complete = sees_every_process(proc)
        self._used: Processes | None = None
        self._placed = Processes()

    @property
    def switched(self) -> bool:
        """Whether MIG was switched on or off: then nothing is true any more of what the GPU lacked."""
        return self._mig.switched

    @property
    def parts(self) -> tuple[Instance, ...]:
        """What MIG divided the GPU into when it was last asked."""
        return self._mig.instances

    def mig(self, now: float) -> Mig:
        """Return into what MIG divides the GPU; ``now`` is seconds of any clock that goes forward."""
        return self._mig.read(now)

    def processes(self, listed: Processes) -> Processes:
        """Return the processes with what each uses and where it runs.

        It is the same object for as long as all of that is the same.
        """
        used = self._usage.of(listed)
        if used is not self._used:
            self._used, self._placed = used, self._place(used._replace(complete=self._complete))
        return self._placed

    def _place(self, used: Processes) -> Processes:
        containers = self._containers.of(one.pid for one in each_once(used))

        def placed(process: GpuProcess) -> GpuProcess:
            container = containers[process.pid]
            return process._replace(container=container) if container else process

        return used._replace(
            compute=used.compute and tuple(map(placed, used.compute)),
            graphics=used.graphics and tuple(map(placed, used.graphics)),
        )

    def release(self) -> None:
        """Free what the library holds for the parts of the GPU. Safe twice."""
        self._mig.release()
