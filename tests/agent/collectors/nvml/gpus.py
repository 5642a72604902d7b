"""A `GpuDriver` in memory, for what no library is needed: the collector's own rules."""

import threading
from dataclasses import dataclass, field

from agent.collectors.nvml.driver import (
    DriverInfo,
    Identity,
    Mig,
    Processes,
    RecentSamples,
    Sample,
    XidEvent,
)


def made_of(answer: object) -> object:
    """Return an answer, or raise it where it is an error."""
    if isinstance(answer, Exception):
        raise answer
    return answer


@dataclass
class Gpus:
    """One GPU per identity; any answer may be replaced by an exception, which is raised instead."""

    identities: list[Identity | Exception]
    samples: dict[int, Sample | Exception] = field(default_factory=dict)
    recents: dict[int, RecentSamples | Exception] = field(default_factory=dict)
    lists: dict[int, Processes | Exception] = field(default_factory=dict)
    divisions: dict[int, Mig | Exception] = field(default_factory=dict)
    xids: list[XidEvent] | Exception = field(default_factory=list)
    opening: Exception | None = None
    opened: int = 0
    closed: int = 0
    threads: set[int] = field(default_factory=set)
    gate: threading.Event | None = None

    def open(self) -> DriverInfo:
        """Connect."""
        self.threads.add(threading.get_ident())
        if self.opening:
            raise self.opening
        self.opened += 1
        return DriverInfo("550.54.15", "12.4")

    def device_count(self) -> int:
        """Return how many identities there are."""
        return len(self.identities)

    def identity(self, index: int) -> Identity:
        """Return an identity."""
        answer = made_of(self.identities[index])
        assert isinstance(answer, Identity)
        return answer

    def sample(self, index: int) -> Sample:
        """Return a sample, once the gate is open where there is one."""
        if self.gate:
            self.gate.wait(10)
        answer = made_of(self.samples.get(index, Sample(power=100.0 + index)))
        assert isinstance(answer, Sample)
        return answer

    def recent(self, index: int) -> RecentSamples:
        """Return what was sampled since the last time, by default nothing."""
        answer = made_of(self.recents.get(index, RecentSamples()))
        assert isinstance(answer, RecentSamples)
        return answer

    def processes(self, index: int) -> Processes:
        """Return who uses a GPU."""
        answer = made_of(self.lists.get(index, Processes((), ())))
        assert isinstance(answer, Processes)
        return answer

    def mig(self, index: int) -> Mig:
        """Return into what a GPU is divided, by default nothing."""
        answer = made_of(self.divisions.get(index, Mig()))
        assert isinstance(answer, Mig)
        return answer

    def xid_events(self) -> tuple[XidEvent, ...]:
        """Return the events there are, once."""
        reported = made_of(self.xids)
        assert isinstance(reported, list)
        self.xids = []
        return tuple(reported)

    def close(self) -> None:
        """Count."""
        self.threads.add(threading.get_ident())
        self.closed += 1
