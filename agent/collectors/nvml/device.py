"""One GPU behind the library: what it has, what it lacks, and what it says now."""

from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Any, Final

from agent.collectors.nvml import announcements, codes, refusals
from agent.collectors.nvml.condition import LINK_COUNT, SLOW
from agent.collectors.nvml.decoding import Refused
from agent.collectors.nvml.driver import (
    Condition,
    DeviceError,
    FieldProblem,
    GpuLost,
    GpuProcess,
    Identity,
    Processes,
    Sample,
)
from agent.collectors.nvml.fields import FieldValue
from agent.collectors.nvml.guards import Backwards, Contradiction
from agent.collectors.nvml.mig import Instance
from agent.collectors.nvml.nvlink import NvLinks
from agent.collectors.nvml.part_processes import of_parts
from agent.collectors.nvml.pcie import PcieTraffic
from agent.collectors.nvml.probes import (
    SELDOM,
    STATIC,
    UUID,
    Key,
    Probe,
    label,
    moving,
    process_lists,
)
from agent.collectors.nvml.process_name import executable
from agent.collectors.nvml.profiling import Profiling
from agent.collectors.nvml.questions import FieldQuestions
from agent.collectors.nvml.record import Record, gathered

SLOW_INTERVAL: Final = 10.0
"""Seconds between two questions for what moves slowly."""
SELDOM_INTERVAL: Final = 5.0
"""Seconds between two questions for what is told with every sample but moves slowly, or matters little."""
_COUNTERS: Final = frozenset(
    {"energy", "throttle_time", "ecc_errors", "ecc_lifetime_errors", "pcie_replays", "nvlink_bytes"}
)
"""Fields that only ever grow while the driver is loaded; PCIe's and NVLink's meters judge their own."""


_GRAPHICS: Final = ("graphics",)
"""The list that is empty on most machines with such GPUs: while it is, it is asked for seldom."""
_NO_INSTANCE: Final = 0xFFFFFFFF


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
        self._lacking: dict[Probe, int] = {}
        self._kept: dict[Probe, tuple[object, dict[Key, Any]]] = {}
        """What was last said, and what was believed of it, where that was all."""
        self._refused: dict[Probe, tuple[float, list[FieldProblem]]] = {}
        """Until when what is not allowed is not asked again, and what was said of it."""
        self._now = -inf
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
        self._backwards = Backwards()
        self._contradiction = Contradiction()
        self._memory_total: int | None = None
        self._process_lists = process_lists()
        self._graphics_due = -inf
        self._listed: tuple[dict[Any, Any], int | None] = {}, None
        self._processes = Processes()
        self._names: dict[int, str] = {}
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
                probe for probe in self._to_learn if not self._fill(probe, self._known, problems)
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
        self._now = now
        values: dict[Key, Any] = {}
        slow: dict[Key, Any] | None = {} if now >= self._slow_at else None
        problems: list[FieldProblem] = []
        self._ask_fields(now, values, slow, problems)  # first: what it lacks is asked for below
        for probe in self._moving:
            self._fill(probe, values, problems)
        fresh = self._ask_seldom(now, problems)
        profiled = self._profiling.read(now, values, problems)
        if slow is not None:
            self._renew_condition(now, slow, problems)
        if problems and not values and not fresh:
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
        values: dict[Any, Any] = {}
        problems: list[FieldProblem] = []
        for probe in self._process_lists:
            if self._now < self._graphics_due and probe.fields == _GRAPHICS and not parts:
                values[probe.fields[0]] = ()
                continue
            found: list[FieldProblem] = []
            self._fill(probe, values, found)
            if parts and not values.get(probe.fields[0]):
                self._ask_parts(probe, parts, values, found)
            problems += found
        if values.get(_GRAPHICS[0]) == () and self._now >= self._graphics_due:
            self._graphics_due = self._now + SELDOM_INTERVAL
        listed = values, self._memory_total
        if not problems and not self._processes.problems and listed == self._listed:
            return self._processes
        self._listed = listed
        names: dict[int, str] = {}
        lists: dict[str, Any] = {
            kind: tuple(self._process(entry, kind, names, problems) for entry in entries)
            for kind, entries in values.items()
        }
        self._names = names
        self._processes = Processes(**lists, problems=tuple(problems))
        return self._processes

    def _ask_seldom(self, now: float, problems: list[FieldProblem]) -> bool:
        """Ask for what is asked seldom, where it is due; return whether anything was said now.

        What does not answer is absent until the next time.
        """
        if now < self._seldom.due:
            return False
        values: dict[Key, Any] = {}
        for probe in SELDOM:
            self._fill(probe, values, problems)
        self._seldom.take(now, values)
        return bool(values)

    def _ask_parts(
        self,
        probe: Probe,
        parts: Sequence[Instance],
        values: dict[Any, Any],
        problems: list[FieldProblem],
    ) -> None:
        """Take in the processes of each part; ``problems`` are those of asking for the whole."""
        if self._lacks(probe):
            return
        kind, which = str(probe.fields[0]), self._lacking.get(probe, 0)
        read = partial(probe.reads[which], self._nvml)
        refused: list[FieldProblem] = []
        listed = of_parts(self._nvml, kind, read, parts, refused)
        if listed is not None:
            values[kind] = listed
        problems[:] = () if listed is not None else problems or refused

    def _lacks(self, probe: Probe) -> bool:
        """Whether the device has none of the ways to ask."""
        return self._lacking.get(probe, 0) >= len(probe.reads)

    def _ask(self, probe: Probe) -> Any:
        """Return what the library says to ``probe``; `None` where the device lacks it."""
        nvml = self._nvml
        while (which := self._lacking.get(probe, 0)) < len(probe.reads):
            try:
                return probe.reads[which](nvml, self._handle)
            except nvml.NVMLError as error:
                unknown_choice = probe.chooses and error.value == codes.INVALID_ARGUMENT
                if not unknown_choice and error.value not in codes.LACKING:
                    raise codes.failure(error.value, str(error)) from error
                self._lacking[probe] = which + 1
        return None

    def _believe(self, probe: Probe, values: dict[Key, Any], problems: list[FieldProblem]) -> None:
        """Ask, and take in what can be believed: without another look where it is the same again."""
        try:
            said = self._ask(probe)
            if said is None:
                return
            kept = self._kept.get(probe)
            if kept is not None and kept[0] == said:
                values |= kept[1]
                return
            answers = probe.decode(said)
        except UnicodeDecodeError as error:
            raise DeviceError("not_text", repr(error.object[:80])) from error
        except codes.UNFORESEEN as error:
            raise DeviceError("unexpected_error", f"{type(error).__name__}: {error}") from error
        found: dict[Key, Any] = {}
        before = len(problems)
        for key, answer in zip(probe.fields, answers, strict=True):
            self._take(key, answer, found, problems)
        if len(problems) == before:
            self._kept[probe] = said, found
        else:
            self._kept.pop(probe, None)
        values |= found

    def _fill(self, probe: Probe, values: dict[Key, Any], problems: list[FieldProblem]) -> bool:
        """Take in what ``probe`` gives; return whether it needs no asking again."""
        refused = self._refused.get(probe)
        if refused is not None and refused[0] > self._now:
            problems += refused[1]
            return False
        try:
            self._believe(probe, values, problems)
        except GpuLost:
            raise
        except DeviceError as error:
            said = str(error)
            found = [FieldProblem(label(key), error.reason, said) for key in probe.fields]
            if error.reason == refusals.REASON:
                self._refused[probe] = self._now + refusals.AGAIN, found
            problems += found
            return False
        return True

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
            if self._fill(LINK_COUNT, found, problems):
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
        self._take(key, value, values, problems)
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
            self._fill(probe, values, problems)
        self._slow_probes[:] = [probe for probe in self._slow_probes if not self._lacks(probe)]
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

    def _take(
        self, key: Key, answer: object, values: dict[Key, Any], problems: list[FieldProblem]
    ) -> None:
        """Take in a value, if it can be believed."""
        if isinstance(answer, int | float) and (
            key in _COUNTERS if isinstance(key, str) else key[0] in _COUNTERS
        ):
            answer = self._backwards.judge(key, answer)
        if type(answer) is Refused:
            problems.append(FieldProblem(label(key), answer.reason, answer.seen))
        elif answer is not None:
            values[key] = answer

    def _process(
        self, entry: Any, kind: str, names: dict[int, str], problems: list[FieldProblem]
    ) -> GpuProcess:
        pid, memory = int(entry.pid), entry.usedGpuMemory
        if memory is not None and self._memory_total is not None and memory > self._memory_total:
            seen = f"process {pid} holds {memory} of {self._memory_total} bytes"
            problems.append(FieldProblem(kind, "out_of_range", seen))
            memory = None
        name = names.get(pid)
        if name is None:
            known = self._names.get(pid)
            name = names[pid] = self._process_name(pid) if known is None else known
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


def _instance(number: int) -> int | None:
    """Return the number of a part of a GPU; all bits set means that it is not divided."""
    return None if number == _NO_INSTANCE else number


def _nothing(problems: Sequence[FieldProblem]) -> DeviceError:
    first = problems[0]
    if first.reason == "no_permission":
        return DeviceError(first.reason, first.detail)
    return GpuLost(f"not one value can be read: {first.detail}")
