"""Who uses one GPU, by the driver's lists: the same object for as long as they say the same."""

from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Any, Final

from agent.collectors.nvml.driver import FieldProblem, GpuProcess, Processes
from agent.collectors.nvml.mig import Instance
from agent.collectors.nvml.part_processes import of_parts
from agent.collectors.nvml.probes import Probe, process_lists
from agent.collectors.nvml.probing import Probing
from agent.collectors.nvml.process_name import executable

_GRAPHICS: Final = "graphics"
"""The list that is empty on most machines with such GPUs."""
_EMPTY_AGAIN: Final = 5.0
"""Seconds for which it is not asked for after it was empty."""
_NO_INSTANCE: Final = 0xFFFFFFFF


class ProcessListing:
    """The lists of one device. ``nvml`` is the binding's module, initialized."""

    def __init__(self, nvml: Any, probing: Probing) -> None:
        self._nvml = nvml
        self._probing = probing
        self._lists = process_lists()
        self._graphics_due = -inf
        self._listed: tuple[dict[Any, Any], int | None] = {}, None
        self._processes = Processes()
        self._names: dict[int, str] = {}

    def read(self, memory_total: int | None, parts: Sequence[Instance]) -> Processes:
        """Return who uses the GPU, of so many bytes, and the ``parts`` that MIG divides it into."""
        now = self._probing.now
        values: dict[Any, Any] = {}
        problems: list[FieldProblem] = []
        for probe in self._lists:
            if now < self._graphics_due and probe.fields[0] == _GRAPHICS and not parts:
                values[_GRAPHICS] = ()
                continue
            found: list[FieldProblem] = []
            self._probing.fill(probe, values, found)
            if parts and not values.get(probe.fields[0]):
                self._ask_parts(probe, parts, values, found)
            problems += found
        if values.get(_GRAPHICS) == () and now >= self._graphics_due:
            self._graphics_due = now + _EMPTY_AGAIN
        listed = values, memory_total
        if not problems and not self._processes.problems and listed == self._listed:
            return self._processes
        self._listed = listed
        pids = {int(entry.pid) for entries in values.values() for entry in entries}
        self._names = {pid: name for pid, name in self._names.items() if pid in pids}
        lists: dict[str, Any] = {
            kind: tuple(self._process(entry, kind, memory_total, problems) for entry in entries)
            for kind, entries in values.items()
        }
        self._processes = Processes(**lists, problems=tuple(problems))
        return self._processes

    def _ask_parts(
        self,
        probe: Probe,
        parts: Sequence[Instance],
        values: dict[Any, Any],
        problems: list[FieldProblem],
    ) -> None:
        """Take in the processes of each part; ``problems`` are those of asking for the whole."""
        way, kind = self._probing.way(probe), str(probe.fields[0])
        if way is None:
            return
        read = partial(way, self._nvml)
        refused: list[FieldProblem] = []
        listed = of_parts(self._nvml, kind, read, parts, refused)
        if listed is not None:
            values[kind] = listed
        problems[:] = () if listed is not None else problems or refused

    def _process(
        self, entry: Any, kind: str, most: int | None, problems: list[FieldProblem]
    ) -> GpuProcess:
        pid, memory = int(entry.pid), entry.usedGpuMemory
        if memory is not None and most is not None and memory > most:
            seen = f"process {pid} holds {memory} of {most} bytes"
            problems.append(FieldProblem(kind, "out_of_range", seen))
            memory = None
        name = self._names.get(pid)
        if name is None:
            name = self._names[pid] = self._process_name(pid)
        return GpuProcess(
            pid,
            name,
            memory,
            gpu_instance=_instance(entry.gpuInstanceId),
            compute_instance=_instance(entry.computeInstanceId),
        )

    def _process_name(self, pid: int) -> str:
        try:
            return executable(self._nvml.nvmlSystemGetProcessName(pid))
        except (self._nvml.NVMLError, UnicodeDecodeError):
            return ""  # of another PID namespace, or gone already: not worth a problem


def _instance(number: int) -> int | None:
    """Return the number of a part of a GPU; all bits set means that it is not divided."""
    return None if number == _NO_INSTANCE else number
