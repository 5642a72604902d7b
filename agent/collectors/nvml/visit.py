"""One visit to all GPUs: asks each, and turns the answers into readings, problems and events."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Final, TypeVar

from agent.catalogue import events
from agent.catalogue import gpu as metrics
from agent.catalogue.attributes import (
    CONFIDENCE,
    DETAIL,
    DRIVER_EVENT,
    GPU_INSTANCE,
    HW_ID,
    MEMORY_LIMIT,
    MEMORY_USED,
    MIG_PROFILE,
    PROCESS_ID,
    PROCESS_NAME,
)
from agent.collectors.nvml import oom, refusals
from agent.collectors.nvml.driver import (
    DeviceError,
    DriverGone,
    DriverInfo,
    FieldProblem,
    GpuDriver,
    GpuLost,
    Identity,
    Mig,
    Processes,
    RecentSamples,
    Sample,
    XidEvent,
)
from agent.collectors.nvml.mig_readings import mig_readings
from agent.collectors.nvml.owners import unowned, unowned_reading
from agent.collectors.nvml.readings import (
    info_reading,
)
from agent.collectors.nvml.roster import Gpu, Roster, title
from agent.snapshot import Event, Holder, Problem, Reading, Train
from agent.xid.ledger import XidLedger
from agent.xid.policy import LARGEST_CODE
from agent.xid.sighting import Sighting

_XID_SECONDS: Final = 5.0
"""A process that vanishes so soon after an XID on its GPU died of that, and not for want of memory."""

T = TypeVar("T")
_Sight = tuple[Gpu, Sample, Processes, Mig]


class Visit:
    """What one visit found.

    ``told`` takes in the events as they are found, and outlives the visit; ``ledger`` takes in the XIDs.
    """

    def __init__(
        self,
        driver: GpuDriver,
        info: DriverInfo,
        roster: Roster,
        now: float,
        told: list[Event],
        ledger: XidLedger,
    ) -> None:
        self._driver = driver
        self._info = info
        self._roster = roster
        self.now = now
        self._told = told
        self._ledger = ledger
        self.readings: list[Reading] = []
        self.problems: list[Problem] = []
        self.holders: list[Holder] = []
        self.trains: list[Train] = []

    def run(self) -> None:
        """Visit every GPU. Raises `DriverGone`; whatever befalls a single GPU is part of the result."""
        sights = self._see(self._meet())
        self._take_xids()
        for sight in sights:
            try:
                _answer(partial(self._judge_deaths, *sight))
            except DeviceError as error:
                self._problem(error, sight[0].uuid)
        self._account()

    def _meet(self) -> dict[int, Gpu]:
        """Ask every listed GPU who it is."""
        met: dict[int, Gpu] = {}
        unreachable: list[tuple[int, str]] = []
        present: set[str] = set()
        for index in range(self._driver.device_count()):
            try:
                identity = _answer(partial(self._driver.identity, index))
            except GpuLost as error:
                unreachable.append((index, str(error)))
                continue
            except DeviceError as error:
                self._problem(error, f"GPU {index}")
                known = self._roster.at(index)
                present |= {known.uuid} if known else set()
                continue
            if identity.uuid in present:
                self.problems.append(Problem("duplicate_uuid", identity.uuid, f"GPU {index}"))
                continue
            present.add(identity.uuid)
            if identity.problems:
                self._field_problems(identity.uuid, identity.problems)
            gpu, news = self._roster.meet(self.now, index, identity, self._info)
            self._told += news
            self._ledger.know(gpu.known())
            met[index] = gpu
        told = self._roster.close_round(self.now, present, unreachable)
        for gone in (event for event in told if event.kind is events.GPU_REPLACED):
            hw_id = str(dict(gone.attributes)[HW_ID.key])
            self.problems.append(Problem("uuid_changed", hw_id, gone.body))
            self._ledger.forget(hw_id)
        self._told += told
        return met

    def _see(self, met: dict[int, Gpu]) -> list[_Sight]:
        """Sample the GPUs that said who they are; what befalls one of them does not concern the others."""
        sights: list[_Sight] = []
        for index, gpu in met.items():
            try:
                sights.append(_answer(partial(self._look, index, gpu)))
            except GpuLost as error:
                self._told += self._roster.lose(self.now, gpu, str(error))
            except DeviceError as error:
                self._problem(error, gpu.uuid)
        return sights

    def _look(self, index: int, gpu: Gpu) -> _Sight:
        """Sample a GPU, and tell what it says."""
        sample = self._driver.sample(index)
        recent = self._recent(index, gpu)
        processes = self._processes(index, gpu)
        mig = self._mig(index, gpu)
        self._told += self._roster.answered(self.now, gpu)
        for found in (sample.problems, recent.problems, processes.problems, mig.problems):
            if found:
                self._field_problems(gpu.uuid, found)
        self.readings += gpu.series.limits
        self.readings += gpu.series.moving(sample)
        self.trains += gpu.series.trains(recent)
        tenants = gpu.tenancy(processes)
        self.readings += tenants.readings
        self.holders += tenants.holders
        self._tell_tenants(gpu, unowned(sample, tenants.held), processes, mig)
        return gpu, sample, processes, mig

    def _recent(self, index: int, gpu: Gpu) -> RecentSamples:
        """Return what the driver sampled by itself; without it the GPU's values still count."""
        try:
            return _answer(partial(self._driver.recent, index))
        except GpuLost:
            raise
        except DeviceError as error:
            self._problem(error, gpu.uuid)
            return RecentSamples()

    def _processes(self, index: int, gpu: Gpu) -> Processes:
        """Return who uses a GPU; where that fails as a whole its values still count."""
        try:
            return _answer(partial(self._driver.processes, index))
        except GpuLost:
            raise
        except DeviceError as error:
            self._problem(error, gpu.uuid)
            return Processes()

    def _mig(self, index: int, gpu: Gpu) -> Mig:
        """Return into what a GPU is divided; without it the GPU's values still count."""
        try:
            return _answer(partial(self._driver.mig, index))
        except GpuLost:
            raise
        except DeviceError as error:
            self._problem(error, gpu.uuid)
            return Mig()

    def _tell_tenants(self, gpu: Gpu, nobodys: int | None, processes: Processes, mig: Mig) -> None:
        """Tell who has a share in a GPU, and what memory belongs to nobody."""
        self.readings += mig_readings(gpu.uuid, mig, processes)
        before, gpu.unowned = gpu.unowned, nobodys
        self.readings += unowned_reading(gpu.uuid, before, gpu.unowned)

    def _take_xids(self) -> None:
        """Tell the ledger what the driver reported.

        Not more is known of the time than that it was after the last answer that held nothing: a storm
        comes in portions, the last of them late.
        """
        try:
            reported = _answer(self._driver.xid_events)
        except DeviceError as error:
            self._problem(error, "xid_events")
            self._ledger.deaf("nvml")
            return
        since = self._ledger.heard_until("nvml") or self.now
        sightings: list[Sighting] = []
        for xid in reported:
            if xid.announcement:
                self._take_announcement(xid)
                continue
            if not 1 <= xid.code <= LARGEST_CODE:
                self.problems.append(Problem("out_of_range", "xid_events", str(xid.code)))
                continue
            gpu = self._roster.at(xid.gpu_index)
            if gpu is not None:
                gpu.xid_at = self.now
            hw_id = gpu.uuid if gpu else ""
            sightings.append(Sighting("nvml", xid.code, self.now, since, hw_id))
        self._ledger.hear("nvml", since if reported else self.now, sightings)

    def _take_announcement(self, event: XidEvent) -> None:
        gpu = self._roster.at(event.gpu_index)
        if gpu is None:
            detail = f"{event.announcement} of a GPU that the driver does not name"
            self.problems.append(Problem("unknown_gpu", "xid_events", detail))
            return
        gpu.count_announcement(event.announcement)
        self._told.append(_announcement_event(self.now, gpu, event))

    def _judge_deaths(self, gpu: Gpu, sample: Sample, processes: Processes, mig: Mig) -> None:
        sights = oom.memories(sample, processes, mig)
        gpu.watched, deaths = oom.observe_all(gpu.watched, self.now, sights)
        if gpu.xid_at is not None and self.now - gpu.xid_at <= _XID_SECONDS:
            return
        for death in deaths:
            gpu.count_oom(death.confidence)
            self._told.append(_oom_event(self.now, gpu, death))

    def _account(self) -> None:
        """Add what is said of every GPU ever met, lost ones included."""
        roster, lost = self._roster, metrics.LOST
        everyone = len(roster.gpus) + len(roster.nameless)
        self.readings.append(Reading(metrics.DEVICES, (), everyone))
        for gpu in roster.gpus.values():
            self.readings += gpu.standing()
        for index, hw_id in roster.nameless.items():
            self.readings.append(info_reading(index, Identity(hw_id), self._info))
            self.readings.append(Reading(lost, (hw_id,), 1))

    def _field_problems(self, uuid: str, found: Iterable[FieldProblem]) -> None:
        self.problems += [
            Problem(reason, uuid, f"{field}: {detail}")
            for field, reason, detail in found
            if self._is_news(reason, uuid, field)
        ]

    def _problem(self, error: DeviceError, subject: str) -> None:
        if self._is_news(error.reason, subject, ""):
            self.problems.append(Problem(error.reason, subject, str(error)))

    def _is_news(self, reason: str, subject: str, field: str) -> bool:
        return reason != refusals.REASON or self._roster.refusals.is_news(subject, field, self.now)


def _answer(question: Callable[[], T]) -> T:
    """Return the answer of one GPU; an error that nobody foresaw is a `DeviceError` of that GPU alone.

    See docs/adr/0020-one-gpu-never-hides-another.md.
    """
    try:
        return question()
    except (DriverGone, DeviceError):
        raise
    except Exception as error:
        last = extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        said = f"{type(error).__name__}: {error} ({where})"
        raise DeviceError("unexpected_error", said) from error


def _announcement_event(now: float, gpu: Gpu, event: XidEvent) -> Event:
    who = title(gpu.series.identity, gpu.index)
    return Event(
        events.GPU_DRIVER_EVENT,
        now,
        f"The driver announced of {who}: {event.announcement.replace('_', ' ')}",
        (
            (HW_ID.key, gpu.uuid),
            (DRIVER_EVENT.key, event.announcement),
            *(((DETAIL.key, f"event data {event.code}"),) if event.code else ()),
        ),
    )


def _oom_event(now: float, gpu: Gpu, death: oom.Death) -> Event:
    holding = death.holding
    share = 100 * holding.memory / death.total
    part = death.part and f"part {death.part.gpu_instance} ({death.part.profile or 'MIG'}) of "
    return Event(
        events.GPU_OOM,
        now,
        f"{holding.name or 'a process'} (pid {holding.pid}) vanished from "
        f"{part or ''}{title(gpu.series.identity, gpu.index)}, holding {share:.0f} % of its memory while "
        f"{100 * death.used / death.total:.0f} % was in use: out of memory, confidence {death.confidence}",
        (
            (HW_ID.key, gpu.uuid),
            (CONFIDENCE.key, death.confidence),
            (PROCESS_ID.key, holding.pid),
            (PROCESS_NAME.key, holding.name),
            (MEMORY_USED.key, death.used),
            (MEMORY_LIMIT.key, death.total),
            *_part(death),
        ),
    )


def _part(death: oom.Death) -> tuple[tuple[str, str], ...]:
    """Return which part of a divided GPU ran out of memory."""
    if death.part is None:
        return ()
    return (GPU_INSTANCE.key, str(death.part.gpu_instance)), (MIG_PROFILE.key, death.part.profile)
