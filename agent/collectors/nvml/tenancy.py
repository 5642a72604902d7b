"""Who has a share in a GPU: the parts that MIG divides it into, and what its processes are and do."""

from collections.abc import Iterable
from math import inf
from pathlib import Path
from typing import Any, Final

from agent.collectors.nvml.container import Containers, sees_every_process
from agent.collectors.nvml.driver import GpuProcess, Mig, Processes
from agent.collectors.nvml.mig import Instance, MigDevices
from agent.collectors.nvml.owners import each_once
from agent.collectors.nvml.process_usage import ProcessUsage

PROC: Final = Path("/proc")
USAGE_INTERVAL: Final = 5.0
"""Seconds between two questions for what each process used, while they are the same processes."""


class Tenancy:
    """Asks one GPU; `release` when it is not used any more.

    ``nvml`` is the binding's module, initialized; ``handle`` the device; ``proc`` where the kernel tells
    of processes. ``phase``, a share of the interval, keeps the GPUs from all being asked in one run.
    """

    def __init__(self, nvml: Any, handle: Any, proc: Path = PROC, *, phase: float = 1.0) -> None:
        self._mig = MigDevices(nvml, handle)
        self._usage = ProcessUsage(nvml, handle)
        self._containers = Containers(proc)
        self._complete = sees_every_process(proc)
        self._phase = phase
        self._due = -inf
        self._listed = Processes()
        self._pids: frozenset[int] = frozenset()
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

    def processes(self, listed: Processes, now: float) -> Processes:
        """Return the processes with what each uses and where it runs; ``now`` is as in `mig`.

        It is the same object for as long as all of that is the same.
        """
        used = self._usage.of(listed) if self._asks(listed, now) else self._usage.again(listed)
        if used is not self._used:
            self._used, self._placed = used, self._place(used._replace(complete=self._complete))
        return self._placed

    def _asks(self, listed: Processes, now: float) -> bool:
        """Whether it is time to ask what each used: soon where there are others than the last time."""
        others = False
        if listed is not self._listed:
            pids = frozenset(_pids(listed))
            others, self._listed, self._pids = pids != self._pids, listed, pids
        if not others and now < self._due:
            return False
        self._due, self._phase = now + USAGE_INTERVAL * self._phase, 1.0
        return True

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


def _pids(listed: Processes) -> Iterable[int]:
    return (one.pid for one in (*(listed.compute or ()), *(listed.graphics or ())))
