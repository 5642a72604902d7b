"""Who is there and who is lost: every GPU that this agent ever met, by UUID.

The driver's list is not enough. A GPU that fell off the bus may stay on it and fail, or vanish from it, and
after a reload the indices may mean other GPUs; the UUID alone tells that it is the same one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agent.catalogue import events
from agent.catalogue import gpu as metrics
from agent.catalogue.attributes import DETAIL, HW_ID
from agent.collectors.nvml.driver import DriverInfo, Identity, Processes
from agent.collectors.nvml.oom import Watched
from agent.collectors.nvml.owners import held_by_all, owner_readings
from agent.collectors.nvml.readings import (
    Series,
    counter_readings,
    holders,
    ooms_at_zero,
    process_readings,
)
from agent.collectors.nvml.refusals import Refusals
from agent.snapshot import Event, Holder, Reading
from agent.xid.sighting import KnownGpu, address


class Tenants(NamedTuple):
    """What is said of the processes on a GPU, for as long as the driver says the same of them."""

    processes: Processes
    readings: tuple[Reading, ...]
    holders: tuple[Holder, ...]
    held: int | None
    """Bytes, together; `None` where that is not known."""


@dataclass(slots=True, eq=False)
class Gpu:
    """What is remembered of one GPU, for as long as the agent runs."""

    index: int
    driver: DriverInfo
    series: Series
    ooms: dict[str, int] = field(default_factory=ooms_at_zero)
    lost: bool = False
    watched: dict[int | None, Watched] = field(default_factory=dict)
    """What was seen of its memory, or of that of each GPU instance where MIG divides it."""
    xid_at: float | None = None
    unowned: int | None = None
    """Bytes in use that no process held at last sight."""
    announced: dict[str, int] = field(default_factory=dict)
    tenants: Tenants | None = None
    _counters: tuple[Reading, ...] | None = None
    _shape: tuple[Series, bool] | None = None
    _known: tuple[Series, KnownGpu] | None = None

    @property
    def uuid(self) -> str:
        """The key of every series of this GPU."""
        return self.series.uuid

    def count_oom(self, confidence: str) -> None:
        """Count a process that ran out of memory."""
        self.ooms[confidence] += 1
        self._counters = None

    def count_announcement(self, word: str) -> None:
        """Count what the driver announced."""
        self.announced[word] = self.announced.get(word, 0) + 1
        self._counters = None

    def can_announce(self, words: Iterable[str]) -> None:
        """Count these from 0 from now on, without losing what was counted."""
        self.announced = dict.fromkeys(words, 0) | self.announced
        self._counters = None

    def standing(self) -> tuple[Reading, ...]:
        """Return who it is, whether it is lost and the counts, the same objects until one changes."""
        shape = self.series, self.lost
        if self._counters is None or shape != self._shape:
            self._shape = shape
            self._counters = (
                self.series.info,
                Reading(metrics.LOST, (self.uuid,), int(self.lost)),
                *counter_readings(self.uuid, self.ooms, self.announced),
            )
        return self._counters

    def tenancy(self, processes: Processes) -> Tenants:
        """Return what is said of ``processes``, the same objects where they are as they were."""
        if self.tenants is None or self.tenants.processes != processes:
            readings = (
                *process_readings(self.uuid, processes),
                *owner_readings(self.uuid, processes),
            )
            named = holders(self.uuid, processes)
            self.tenants = Tenants(processes, readings, named, held_by_all(processes))
        return self.tenants

    def known(self) -> KnownGpu:
        """Return what the ledger of XIDs must know, the same object until that changes."""
        identity = self.series.identity
        if self._known is None or self._known[0] is not self.series:
            known = KnownGpu(
                self.uuid,
                address(identity.pci_bus_id),
                title(identity, self.index),
                self.driver.driver_version,
                identity.reports_xids,
            )
            self._known = self.series, known
        return self._known[1]


class Roster:
    """Takes in who answered and who did not, and tells of each change once, by an event.

    What is there when the agent starts is no event, lost or not.
    """

    def __init__(self) -> None:
        self.gpus: dict[str, Gpu] = {}
        self.nameless: dict[int, str] = {}
        """GPUs that were lost before anybody could ask for their UUID: index, and an id in its place."""
        self.refusals: Final = Refusals()
        self._at: dict[int, str] = {}
        self._complete = False

    def at(self, index: int | None) -> Gpu | None:
        """Return the GPU that was last met at ``index``."""
        return self.gpus.get(self._at.get(index, "")) if index is not None else None

    def meet(
        self, now: float, index: int, identity: Identity, driver: DriverInfo
    ) -> tuple[Gpu, list[Event]]:
        """Take in that a GPU said who it is."""
        self._at[index] = identity.uuid
        gpu = self.gpus.get(identity.uuid)
        if gpu is None:
            gpu = Gpu(index, driver, Series(index, identity, driver))
            gpu.can_announce(identity.announces)
            self.gpus[identity.uuid] = gpu
            return gpu, [_found(now, identity, index, "was added")] if self._complete else []
        if gpu.series.identity != identity or (gpu.index, gpu.driver) != (index, driver):
            gpu.index, gpu.driver = index, driver
            gpu.series = Series(index, identity, driver)
            gpu.can_announce(identity.announces)
        return gpu, []

    def answered(self, now: float, gpu: Gpu) -> list[Event]:
        """Take in that a GPU gave values."""
        if not gpu.lost:
            return []
        gpu.lost = False
        return [_found(now, gpu.series.identity, gpu.index, "answers again")]

    def lose(self, now: float, gpu: Gpu, detail: str) -> list[Event]:
        """Take in that a GPU cannot be reached."""
        gpu.watched = {}
        if gpu.lost:
            return []
        gpu.lost = True
        return [_lost(now, gpu.uuid, title(gpu.series.identity, gpu.index), detail)]

    def close_round(
        self, now: float, present: set[str], unreachable: Sequence[tuple[int, str]]
    ) -> list[Event]:
        """Account for all that did not say who they are: ``unreachable`` indices, and the missing.

        An index that cannot be reached is the GPU last met there, else any one that is missing; only
        where nobody is missing is it one that this agent never met. One in whose place another one answers
        is not missing: it was replaced, or has another UUID now.
        """
        missing = {uuid: gpu for uuid, gpu in self.gpus.items() if uuid not in present}
        told = self._replace(now, missing)
        nameless: dict[int, str] = {}
        for index, detail in sorted(
            unreachable, key=lambda one: self._at.get(one[0]) not in missing
        ):
            gpu = missing.pop(self._at.get(index, ""), None)
            if gpu is None and missing:
                gpu = missing.pop(next(iter(missing)))
            if gpu is not None:
                told += self.lose(now, gpu, detail)
                continue
            nameless[index] = f"index:{index}"
            if self._complete and index not in self.nameless:
                told.append(_lost(now, nameless[index], f"GPU {index}", detail))
        for gpu in missing.values():
            told += self.lose(now, gpu, "the driver does not list it any more")
        self.nameless, self._complete = nameless, True
        return told

    def _replace(self, now: float, missing: dict[str, Gpu]) -> list[Event]:
        """Forget those of the missing in whose place another GPU answers."""
        if not missing:
            return []
        here = {gpu.known().pci: gpu for uuid, gpu in self.gpus.items() if uuid not in missing}
        told: list[Event] = []
        for uuid, gpu in tuple(missing.items()):
            successor = here.get(gpu.known().pci)
            if (
                successor is not None and gpu.known().pci
            ):  # an index may be another GPU's after a reload
                del missing[uuid], self.gpus[uuid]
                told.append(_replaced(now, gpu, successor))
        return told


def title(identity: Identity, index: int) -> str:
    """Return how people call a GPU: index, model and PCI address, as far as they are known."""
    return " ".join(filter(None, (f"GPU {index}", identity.model, identity.pci_bus_id)))


def _found(now: float, identity: Identity, index: int, what: str) -> Event:
    body = f"{title(identity, index)} {what}"
    return Event(events.GPU_FOUND, now, body, ((HW_ID.key, identity.uuid),))


def _replaced(now: float, gone: Gpu, successor: Gpu) -> Event:
    body = f"{title(gone.series.identity, gone.index)} is {successor.uuid} now, and was {gone.uuid}"
    attributes = ((HW_ID.key, gone.uuid), (DETAIL.key, f"{successor.uuid} is in its place"))
    return Event(events.GPU_REPLACED, now, body, attributes)


def _lost(now: float, hw_id: str, title: str, detail: str) -> Event:
    attributes = ((HW_ID.key, hw_id), (DETAIL.key, detail))
    return Event(events.GPU_LOST, now, f"{title} is lost: {detail}", attributes)
