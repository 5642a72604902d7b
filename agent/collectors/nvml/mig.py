"""Into what MIG divides a GPU, asked anew at every sample.

Instances come and go while the agent runs, and the library hands out the same handle for another instance
later, so nothing is believed of a handle but what it says now; only what follows from the UUID is kept.
What an instance lacks and why is NVIDIA's own rule: the driver has no utilization of a divided GPU, and of
an instance only what its performance counters say.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from agent.collectors.nvml import codes, decoding
from agent.collectors.nvml.decoding import Refused
from agent.collectors.nvml.driver import DeviceError, FieldProblem, GpuLost, Mig, MigDevice
from agent.collectors.nvml.profiling import Profiling

_MARK: Final = " MIG "
"""Between the board's name and the profile in the name of a MIG device."""
_GONE: Final = frozenset({codes.INVALID_ARGUMENT, codes.NOT_FOUND})
"""What the library says of an index without an instance, and of one that has just been destroyed."""
_MEBIBYTES_A_GIBIBYTE: Final = 1024
_PHASES: Final = 8
"""Parts of which each is asked at another time for its counters: as many as a GPU has, mostly."""
_MEMORY: Final = ("memory_total", "memory_used", "memory_free")


class Instance(NamedTuple):
    """A MIG device, and the numbers that follow from its UUID."""

    handle: Any
    uuid: str
    gpu_instance: int
    compute_instance: int


class MigDevices:
    """The parts of one GPU. `release` when it is not used any more.

    ``nvml`` is the binding's module, initialized; ``handle`` the GPU. `read` raises `GpuLost` and
    `DriverGone`; any other failure is a problem of the one value.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._enabled: bool | None = None
        self._lacking = False
        self._slots: int | None = None
        self._profiles: dict[tuple[str, object], str] = {}
        self._memory_v2 = True
        self._counters: dict[int, Profiling] = {}
        self.instances: tuple[Instance, ...] = ()
        """Who was there at the last `read`."""
        self.switched = False
        """Whether MIG was switched on or off before the last `read`: then the GPU has other abilities."""

    def read(self, now: float) -> Mig:
        """Return what there is now; ``now`` is in seconds, from any clock that only goes forward."""
        problems: list[FieldProblem] = []
        enabled = self._mode(problems)
        if enabled is not None:
            self.switched = self._enabled not in {None, enabled}
            self._enabled = enabled
        if not enabled:
            self.instances = ()
            self.release()
            return Mig(enabled, problems=tuple(problems))
        instances = sorted(self._instances(problems), key=lambda one: one[2:])
        devices = tuple(self._devices(instances, now, problems))
        self._forget(instances, devices)
        self.instances = tuple(instances)
        return Mig(enabled, devices, tuple(dict.fromkeys(problems)))

    def release(self) -> None:
        """Free what the performance counters of the instances need."""
        counters, self._counters = self._counters, {}
        for each in counters.values():
            each.release()

    def _mode(self, problems: list[FieldProblem]) -> bool | None:
        if self._lacking:
            return None
        try:
            current, _ = self._nvml.nvmlDeviceGetMigMode(self._handle)
        except self._nvml.NVMLError as error:
            self._lacking = error.value in codes.LACKING
            if not self._lacking:
                problems.append(self._problem("mig_mode", error))
            return None
        return bool(current)

    def _instances(self, problems: list[FieldProblem]) -> Iterator[Instance]:
        """Yield who is there; an index without an instance is no problem."""
        nvml = self._nvml
        for index in range(self._room(problems)):
            try:
                handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(self._handle, index)
                uuid = nvml.nvmlDeviceGetUUID(handle)
                numbers = nvml.nvmlDeviceGetGpuInstanceId, nvml.nvmlDeviceGetComputeInstanceId
                yield Instance(handle, uuid, *(number(handle) for number in numbers))
            except nvml.NVMLError as error:
                if error.value not in _GONE:
                    problems.append(self._problem("mig_devices", error))
            except UnicodeDecodeError as error:
                problems.append(FieldProblem("mig_devices", "not_text", repr(error.object[:80])))

    def _room(self, problems: list[FieldProblem]) -> int:
        """Return how many instances there can be."""
        if self._slots is None:
            try:
                self._slots = int(self._nvml.nvmlDeviceGetMaxMigDeviceCount(self._handle))
            except self._nvml.NVMLError as error:
                if error.value not in codes.LACKING:
                    problems.append(self._problem("mig_devices", error))
                return 0
        return self._slots

    def _devices(
        self, instances: list[Instance], now: float, problems: list[FieldProblem]
    ) -> Iterator[MigDevice]:
        """Yield the devices; what belongs to a GPU instance only with the first of its parts."""
        told: dict[int, object] = {}
        for one in instances:
            values: dict[Any, Any] = {}
            if one.gpu_instance not in told:
                if not self._memory(one, values, problems):
                    continue
                told[one.gpu_instance] = values.get("memory_total")
                self._activity(one.gpu_instance, now, values, problems)
            profile = self._profile(one, told[one.gpu_instance])
            yield MigDevice(*one[1:], profile=profile, **_nested(values))

    def _memory(self, one: Instance, values: dict[Any, Any], problems: list[FieldProblem]) -> bool:
        """Take in the memory of an instance; return whether the instance is still there."""
        try:
            info = self._memory_info(one.handle)
        except self._nvml.NVMLError as error:
            if error.value in _GONE:
                return False
            if error.value not in codes.LACKING:
                problems.append(self._problem("mig_memory", error, one.uuid))
            return True
        for field, value in zip(_MEMORY, decoding.memory(info), strict=False):
            if isinstance(value, Refused):
                problems.append(
                    FieldProblem("mig_memory", value.reason, f"{one.uuid}: {value.seen}")
                )
            else:
                values[field] = value
        return True

    def _memory_info(self, handle: Any) -> Any:
        """Ask for memory, in the older way where the driver lacks the newer one."""
        nvml = self._nvml
        if self._memory_v2:
            try:
                return nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2)
            except nvml.NVMLError as error:
                if error.value not in codes.LACKING:
                    raise
                self._memory_v2 = False
        return nvml.nvmlDeviceGetMemoryInfo(handle)

    def _activity(
        self, instance: int, now: float, values: dict[Any, Any], problems: list[FieldProblem]
    ) -> None:
        counters = self._counters.get(instance)
        if counters is None:
            phase = (instance % _PHASES + 1) / _PHASES
            counters = self._counters[instance] = Profiling(
                self._nvml, self._handle, instance, phase=phase
            )
        found: list[FieldProblem] = []
        counters.read(now, values, found)
        problems += [
            FieldProblem(f"mig_{field}", reason, f"GPU instance {instance}: {detail}")
            for field, reason, detail in found
        ]

    def _profile(self, one: Instance, memory: object) -> str:
        """Return the name of the size. The same UUID with other memory is another instance."""
        key = one.uuid, memory
        if key not in self._profiles:
            self._profiles[key] = self._said(self._name, one.handle) or self._said(
                self._size, one.handle
            )
        return self._profiles[key]

    def _said(self, question: Callable[[Any], str], handle: Any) -> str:
        try:
            return question(handle)
        except (self._nvml.NVMLError, UnicodeDecodeError):
            return ""  # the numbers still tell which instance it is

    def _name(self, handle: Any) -> str:
        return str(self._nvml.nvmlDeviceGetName(handle)).partition(_MARK)[2].strip()

    def _size(self, handle: Any) -> str:
        """Make the profile's name out of slices and memory, as NVIDIA does."""
        size = self._nvml.nvmlDeviceGetAttributes_v2(handle)
        slices, parts = size.gpuInstanceSliceCount, size.computeInstanceSliceCount
        if not slices:
            return ""
        gibibytes = -(-size.memorySizeMB // _MEBIBYTES_A_GIBIBYTE)
        compute = f"{parts}c." if 0 < parts != slices else ""
        return f"{compute}{slices}g.{gibibytes}gb"

    def _forget(self, instances: list[Instance], devices: tuple[MigDevice, ...]) -> None:
        """Drop what was kept of instances that are not there any more."""
        present = {one.uuid for one in devices}
        self._profiles = {key: name for key, name in self._profiles.items() if key[0] in present}
        for gone in self._counters.keys() - {one.gpu_instance for one in instances}:
            self._counters.pop(gone).release()

    def _problem(self, field: str, error: Any, uuid: str = "") -> FieldProblem:
        """Return what a failed call says of one value; raise it where it says that all is lost."""
        failure = codes.failure(error.value, str(error))
        if isinstance(failure, GpuLost) or not isinstance(failure, DeviceError):
            raise failure from error
        return FieldProblem(field, failure.reason, f"{uuid}: {failure}" if uuid else str(failure))


def _nested(values: dict[Any, Any]) -> dict[str, Any]:
    """Return the values by field; entries of a mapping come with the field and their key."""
    fields: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(key, tuple):
            fields.setdefault(key[0], {})[key[1]] = value
        else:
            fields[key] = value
    return fields
