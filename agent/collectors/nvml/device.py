"""One GPU behind the library: what it has, what it lacks, and what it says now."""

from collections.abc import Sequence
from math import inf
from typing import Any, Final

from agent.collectors.nvml import announcements, codes
from agent.collectors.nvml.condition import LINK_COUNT, SLOW
from agent.collectors.nvml.driver import (
    Condition,
    DeviceError,
    FieldProblem,
    GpuLost,
    Identity,
    Processes,
    Sample,
)
from agent.collectors.nvml.fields import FieldValue
from agent.collectors.nvml.guards import Contradiction
from agent.collectors.nvml.mig import Instance
from agent.collectors.nvml.nvlink import NvLinks
from agent.collectors.nvml.pcie import PcieTraffic
from agent.collectors.nvml.probes import (
    SELDOM,
    STATIC,
    UUID,
    Key,
    Probe,
    moving,
)
from agent.collectors.nvml.probing import Probing
from agent.collectors.nvml.process_listing import ProcessListing
from agent.collectors.nvml.profiling import Profiling
from agent.collectors.nvml.questions import FieldQuestions
from agent.collectors.nvml.record import Record, gathered

SLOW_INTERVAL: Final = 10.0
"""Seconds between two questions for what moves slowly."""
SELDOM_INTERVAL: Final = 5.0
"""Seconds between two questions for what is told with every sample but moves slowly, or matters little."""


class Device:
    """Asks one GPU, and remembers what it lacks as long as the handle holds.

    ``nvml`` is the binding's module, initialized. What moves slowly is asked every ``slow_interval``
    seconds; ``phase``, a share of it, keeps the GPUs from all being asked in one run. ``nvlink_links``:
    tell each NVLink by itself. Every method may raise `DeviceError` and `DriverGone`.
    """

    def __init__(
        self,
        nvml: Any,
        handle: Any,
        *,
        slow_interval: float = SLOW_INTERVAL,
        phase: float = 1.0,
        nvlink_links: bool = False,
    ) -> None:
        self._nvml = nvml
        self._handle = handle
        self._slow_interval = slow_interval
        self._phase = phase
        self._nvlink_links = nvlink_links
        self._probing = Probing(nvml, handle)
        self._known: dict[Any, Any] = {"reports_xids": False}
        self._to_learn: list[Probe] = [UUID, *STATIC]
        self._identity: Identity | None = None
        self._moving: list[Probe] = list(moving())
        self._slow_probes: list[Probe] = list(SLOW)
        self._fields = FieldQuestions(nvml, handle, self._moving, self._slow_probes)
        self._condition: Condition | None = None
        self._slow_at = -inf
        self._seldom = _Seldom(phase)
        self._sampled_at: float | None = None
        self._record = Record({})
        self._profiling = Profiling(nvml, handle, phase=phase)
        self._pcie = PcieTraffic(nvml, handle)
        self._farthest: float | None = None
        """Bytes that PCIe can have carried since the last sample."""
        self.wants_throughput = False
        """Whether its PCIe traffic can only be had by the question that takes 20 ms."""
        self._contradiction = Contradiction()
        self._memory_total: int | None = None
        self._listing = ProcessListing(nvml, self._probing)
        self._watched_by: Any = None
        self._watch_problems: tuple[FieldProblem, ...] = ()

    def watch(self, event_set: Any) -> None:
        """Have XIDs reported to ``event_set``, once; what that gave is part of the identity."""
        if self._watched_by is event_set:
            return
        nvml, self._identity = self._nvml, None
        self._known["reports_xids"], self._watch_problems = False, ()
        try:
            announces = announcements.register(nvml, self._handle, event_set)
        except nvml.NVMLError as error:
            if error.value in codes.LACKING:
                self._watched_by = event_set
            else:
                failure = codes.fault(error)
                self._watch_problems = (FieldProblem("reports_xids", failure.reason, str(failure)),)
        else:
            self._known["reports_xids"], self._known["announces"] = True, announces
            self._watched_by = event_set

    def identity(self) -> Identity:
        """Return what does not change, asking only for what is not known yet."""
        if self._identity is None:
            problems = list(self._watch_problems)
            self._to_learn = [
                probe
                for probe in self._to_learn
                if not self._probing.fill(probe, self._known, problems)
            ]
            if not self._known.get("uuid"):
                said = next((one.detail for one in problems if one.field == "uuid"), "it is empty")
                raise DeviceError("no_uuid", f"the UUID cannot be read: {said}")
            identity = Identity(**self._known, problems=tuple(problems))
            if problems:
                return identity
            self._identity = identity
        return self._identity

    def sample(self, now: float, *, throughput: bool = False) -> Sample:
        """Return what moves, at ``now`` (seconds of any clock). Raises `GpuLost` where nothing can be read.

        ``throughput``: it is this GPU's turn for the question that takes 20 ms.
        """
        self._probing.now = now
        values: dict[Key, Any] = {}
        slow: dict[Key, Any] | None = {} if now >= self._slow_at else None
        problems: list[FieldProblem] = []
        self._ask_fields(now, values, slow, problems)  # first: what it lacks is asked for below
        for probe in self._moving:
            self._probing.fill(probe, values, problems)
        fresh = self._ask_seldom(now, problems)
        answered = fresh or bool(values)  # what the counters said seconds ago is no answer
        profiled = self._profiling.read(now, values, problems)
        if slow is not None:
            self._renew_condition(now, slow, problems)
        if problems and not (answered or profiled):
            raise _nothing(problems)
        values |= self._seldom.values
        self._add_throughput(values, problems, asking=throughput)
        self._judge(values, problems, profiled=profiled)
        self._memory_total, self._sampled_at = values.get("memory_total"), now
        if not self._record.fits(values):
            self._record = Record(values)
        return self._record.sample(values, self._condition, problems)

    def release(self) -> None:
        """Free what the library holds for this device. Safe twice; the device can go on."""
        self._profiling.release()

    def processes(self, parts: Sequence[Instance] = ()) -> Processes:
        """Return who uses the GPU, and what MIG divides it into: ``parts``.

        It is the same object for as long as the library says the same.
        """
        return self._listing.read(self._memory_total, parts)

    def _ask_seldom(self, now: float, problems: list[FieldProblem]) -> bool:
        """Ask for what is asked seldom, where it is due; return whether anything was said now.

        What does not answer is absent until the next time.
        """
        if now < self._seldom.due:
            return False
        values: dict[Key, Any] = {}
        for probe in SELDOM:
            self._probing.fill(probe, values, problems)
        self._seldom.take(now, values)
        return bool(values)

    def _ask_fields(
        self,
        now: float,
        values: dict[Key, Any],
        slow: dict[Key, Any] | None,
        problems: list[FieldProblem],
    ) -> None:
        """Take in all fields that are due, in one call."""
        if slow is not None and self._fields.links is None:
            found: dict[Key, Any] = {}
            if self._probing.fill(LINK_COUNT, found, problems):
                self._fields.links = NvLinks(found.get("links", 0), detail=self._nvlink_links)
        seconds = now - self._sampled_at if self._sampled_at is not None else None
        self._farthest = self._pcie.farthest(self._known, seconds)
        self._fields.ask(values, slow, problems, self._take_field)

    def _take_field(
        self,
        wanted: FieldValue,
        kind: int,
        value: object,
        values: dict[Key, Any],
        problems: list[FieldProblem],
    ) -> bool:
        """Take in a field; return whether it is worth asking for."""
        key = wanted.key
        if key[0] == "pcie_bytes" and isinstance(value, int):
            value = self._pcie.count(key[1], value, kind, self._farthest)
            if value is None:
                return False
        self._probing.take(key, value, values, problems)
        return True

    def _renew_condition(
        self, now: float, values: dict[Key, Any], problems: list[FieldProblem]
    ) -> None:
        """Ask for what moves slowly, and keep it until the next time."""
        if self._fields.unsettled:
            self._slow_at, self._fields.unsettled = now, False
        else:
            self._slow_at, self._phase = now + self._slow_interval * self._phase, 1.0
        for probe in self._slow_probes:
            self._probing.fill(probe, values, problems)
        self._slow_probes[:] = [
            probe for probe in self._slow_probes if not self._probing.lacks(probe)
        ]
        record = gathered(values)
        links = record.pop("link", {})
        if self._fields.links is not None:
            record |= self._fields.links.amount_to(links, problems)
        self._condition = Condition(**record)

    def _add_throughput(
        self, values: dict[Key, Any], problems: list[FieldProblem], *, asking: bool
    ) -> None:
        """Add what the dear question gave, where neither counters nor the profiler tell."""
        self.wants_throughput = self._pcie.can_be_asked and not (
            ("pcie_throughput", "transmit") in values or self._fields.asks_for("pcie_bytes")
        )
        if not self.wants_throughput:
            return
        if asking:
            self._pcie.ask(problems)
        for direction, seen in self._pcie.seen.items():
            values["pcie_throughput", direction] = seen

    def _judge(
        self, values: dict[Key, Any], problems: list[FieldProblem], *, profiled: bool
    ) -> None:
        """Compare what should agree; ``profiled``: whether the counters were asked now."""
        if profiled:
            pair = values.get("utilization"), values.get("sm_active")
            if contradicts := self._contradiction.judge(*pair):
                problems.append(FieldProblem("sm_active", "contradiction", contradicts))
        if self._contradiction.stands:
            values.pop("sm_active", None)


class _Seldom:
    """What was last said of what is asked seldom; ``phase`` is a share of the first interval."""

    def __init__(self, phase: float) -> None:
        self.values: dict[Key, Any] = {}
        self.due = -inf
        self._phase = phase

    def take(self, now: float, values: dict[Key, Any]) -> None:
        """Keep what was said at ``now`` until the next time."""
        self.values = values
        self.due, self._phase = now + SELDOM_INTERVAL * self._phase, 1.0


def _nothing(problems: Sequence[FieldProblem]) -> DeviceError:
    first = problems[0]
    if first.reason == "no_permission":
        return DeviceError(first.reason, first.detail)
    return GpuLost(f"not one value can be read: {first.detail}")
