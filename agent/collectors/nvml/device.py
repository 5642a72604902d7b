"""One GPU behind the library: what it has, what it lacks, and what it says now."""

from collections.abc import Sequence
from typing import Any, Final

from agent.collectors.nvml import codes
from agent.collectors.nvml.driver import (
    DeviceError,
    FieldProblem,
    GpuLost,
    GpuProcess,
    Identity,
    Processes,
    Sample,
)
from agent.collectors.nvml.probes import (
    BATCH,
    MOVING,
    PROCESS_LISTS,
    STATIC,
    UUID,
    FieldValue,
    Probe,
    Refused,
)
from agent.collectors.nvml.process_name import executable

_UNION_MEMBER: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Which member of a field's value is valid, by nvmlValueType_t."""


class Device:
    """Asks one GPU, and remembers what it lacks as long as the handle holds.

    ``nvml`` is the binding's module, initialized. Every method may raise `DeviceError` and `DriverGone`.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._lacking: dict[Probe, int] = {}
        self._known: dict[str, Any] = {"reports_xids": False}
        self._to_learn: list[Probe] = [UUID, *STATIC]
        self._identity: Identity | None = None
        self._moving: list[Probe] = list(MOVING)
        self._batch: list[FieldValue] = list(BATCH)
        self._memory_total: int | None = None
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
            nvml.nvmlDeviceRegisterEvents(
                self._handle, nvml.nvmlEventTypeXidCriticalError, event_set
            )
        except nvml.NVMLError as error:
            if error.value in codes.LACKING:
                self._watched_by = event_set
            else:
                failure = self._fault(error)
                self._watch_problems = (FieldProblem("reports_xids", failure.reason, str(failure)),)
        else:
            self._known["reports_xids"] = True
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

    def sample(self) -> Sample:
        """Return what moves. Raises `GpuLost` where not a single value can be read."""
        values: dict[str, Any] = {}
        problems: list[FieldProblem] = []
        self._fill_batch(values, problems)  # first: what it lacks is asked for below instead
        for probe in self._moving:
            self._fill(probe, values, problems)
        if problems and not values:
            raise _nothing(problems)
        self._memory_total = values.get("memory_total")
        return Sample(**values, problems=tuple(problems))

    def processes(self) -> Processes:
        """Return who uses the GPU."""
        values: dict[str, Any] = {}
        problems: list[FieldProblem] = []
        for probe in PROCESS_LISTS:
            self._fill(probe, values, problems)
        names: dict[int, str] = {}
        lists = {
            kind: tuple(self._process(entry, kind, names, problems) for entry in listed)
            for kind, listed in values.items()
        }
        self._names = names
        return Processes(**lists, problems=tuple(problems))

    def _ask(self, probe: Probe) -> Sequence[object] | None:
        """Return one value per field of ``probe``; `None` where the device lacks them."""
        nvml = self._nvml
        while (which := self._lacking.get(probe, 0)) < len(probe.reads):
            try:
                return probe.decode(probe.reads[which](nvml, self._handle))
            except nvml.NVMLError as error:
                unknown_choice = probe.chooses and error.value == codes.INVALID_ARGUMENT
                if not unknown_choice and error.value not in codes.LACKING:
                    raise codes.failure(error.value, str(error)) from error
                self._lacking[probe] = which + 1
            except UnicodeDecodeError as error:
                raise DeviceError("not_text", repr(error.object[:80])) from error
        return None

    def _fill(self, probe: Probe, values: dict[str, Any], problems: list[FieldProblem]) -> bool:
        """Take in what ``probe`` gives; return whether it needs no asking again."""
        try:
            answers = self._ask(probe)
        except GpuLost:
            raise
        except DeviceError as error:
            said = str(error)
            problems += [FieldProblem(name, error.reason, said) for name in probe.fields]
            return False
        if answers is not None:
            for name, answer in zip(probe.fields, answers, strict=True):
                _take(name, answer, values, problems)
        return True

    def _fill_batch(self, values: dict[str, Any], problems: list[FieldProblem]) -> None:
        """Take in all fields that come in one call, each with a return code of its own."""
        if not self._batch:
            return
        nvml, wanted = self._nvml, tuple(self._batch)
        try:
            answers = nvml.nvmlDeviceGetFieldValues(self._handle, [one.number for one in wanted])
        except nvml.NVMLError as error:
            for one in wanted:
                self._miss(one, error.value, problems)
            return
        for one, answer in zip(wanted, answers, strict=True):
            if answer.nvmlReturn == codes.SUCCESS:
                _take(one.field, _decoded(one, answer), values, problems)
            elif answer.nvmlReturn == codes.INVALID_ARGUMENT:
                self._ask_instead(one)  # the driver does not know this field
            else:
                self._miss(one, answer.nvmlReturn, problems)

    def _miss(self, wanted: FieldValue, code: int, problems: list[FieldProblem]) -> None:
        if code in codes.LACKING:
            self._ask_instead(wanted)
        else:
            fault = self._fault(self._nvml.NVMLError(code))
            problems.append(FieldProblem(wanted.field, fault.reason, str(fault)))

    def _ask_instead(self, lacking: FieldValue) -> None:
        self._batch.remove(lacking)
        if lacking.instead:
            self._moving.append(lacking.instead)

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
        return GpuProcess(pid, name, memory)

    def _process_name(self, pid: int) -> str:
        try:
            return executable(self._nvml.nvmlSystemGetProcessName(pid))
        except (self._nvml.NVMLError, UnicodeDecodeError):
            return ""  # of another PID namespace, or gone already: not worth a problem

    def _fault(self, error: Any) -> DeviceError:
        """Return what a failed call says of one value; raise it where it says that all is lost."""
        failure = codes.failure(error.value, str(error))
        if isinstance(failure, GpuLost) or not isinstance(failure, DeviceError):
            raise failure from error
        return failure


def _take(name: str, answer: object, values: dict[str, Any], problems: list[FieldProblem]) -> None:
    if type(answer) is Refused:
        problems.append(FieldProblem(name, "out_of_range", answer.seen))
    elif answer is not None:
        values[name] = answer


def _decoded(wanted: FieldValue, answer: Any) -> object:
    """Read the member of the union that the library says it filled."""
    if not 0 <= answer.valueType < len(_UNION_MEMBER):
        return Refused(f"value of unknown type {answer.valueType}")
    return wanted.decode(getattr(answer.value, _UNION_MEMBER[answer.valueType]))[0]


def _nothing(problems: Sequence[FieldProblem]) -> DeviceError:
    first = problems[0]
    if first.reason == "no_permission":
        return DeviceError(first.reason, first.detail)
    return GpuLost(f"not one value can be read: {first.detail}")
