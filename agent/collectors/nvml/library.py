"""The real driver: NVIDIA's management library through `nvidia-ml-py`, the only importer of `pynvml`.

What a device lacks is remembered and not asked again; every other error is one value's problem for one
sample, save those that say that the GPU or the whole driver is gone.
"""

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.collector import Unavailable
from agent.collectors.nvml import announcements, codes
from agent.collectors.nvml.device import SLOW_INTERVAL, Device
from agent.collectors.nvml.driver import (
    DeviceError,
    DriverGone,
    DriverInfo,
    GpuLost,
    Identity,
    Mig,
    Processes,
    RecentSamples,
    Sample,
    XidEvent,
)
from agent.collectors.nvml.driver_samples import DriverSamples
from agent.collectors.nvml.tenancy import PROC, Tenancy

T = TypeVar("T")

_EVENTS_PER_POLL: Final = 1000
"""A storm of XIDs must not keep a poll from ending; the rest comes with the next one."""
_PHASES: Final = 8
"""GPUs of which each is asked at another time for what moves slowly: as many as a node has, mostly."""
_THROUGHPUT_SECONDS: Final = 1.0
_ADVICE: Final = {
    codes.LIBRARY_NOT_FOUND: "libnvidia-ml.so.1 is not on this machine: if it has an NVIDIA GPU, install "
    "the driver; in a container, use the NVIDIA runtime with the driver capability `utility`",
    codes.DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded: if this machine has an NVIDIA GPU, try "
    "`modprobe nvidia` and read the kernel log",
    codes.GPU_NOT_FOUND: "the NVIDIA driver finds no GPU: if there should be one, look for it in `lspci` "
    "and the kernel log",
    codes.LIBRARY_MISMATCH: "the NVIDIA driver and its library are of different versions, as after an "
    "upgrade: restart the agent; if that does not help, reload the driver or reboot",
    codes.NO_PERMISSION: "not allowed to use the NVIDIA driver: the agent must be able to read and write "
    "/dev/nvidiactl and /dev/nvidia*",
}
_NOT_HERE: Final = frozenset(
    {codes.LIBRARY_NOT_FOUND, codes.DRIVER_NOT_LOADED, codes.GPU_NOT_FOUND}
)


class WrongBinding(Exception):  # noqa: N818 - names what is wrong
    """`pynvml` is not the module of `nvidia-ml-py`, or there is none."""


class NvmlLibrary:
    """`GpuDriver` over the machine's own ``libnvidia-ml.so.1``.

    ``nvlink_links``: tell each NVLink by itself as well, some 180 series for a GPU with 18 of them.
    ``slow_interval``: seconds between two questions for what moves slowly; ``clock`` gives seconds.
    ``proc``: where the kernel tells of processes.
    """

    def __init__(
        self,
        *,
        nvlink_links: bool = False,
        slow_interval: float = SLOW_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
        proc: Path = PROC,
    ) -> None:
        self._nvlink_links = nvlink_links
        self._slow_interval = slow_interval
        self._clock = clock
        self._proc = proc
        self._throughput_turn = -1
        self._throughput_last = -1
        self._throughput_at = -inf
        self._nvml: Any = None
        self._info: DriverInfo | None = None
        self._count = 0
        self._devices: dict[int, Device] = {}
        self._samples: dict[int, DriverSamples] = {}
        self._tenancies: dict[int, Tenancy] = {}
        self._indices: dict[int | None, int] = {}
        self._events: Any = None
        self._no_events: Any = None
        """Why there is no event set; `None` where the driver has no such thing."""

    def open(self) -> DriverInfo:
        """Load the library and connect to the driver; costs nothing where that was done before."""
        if self._info is None:
            self._nvml = self._nvml or _binding()
            self._initialize()
            self._info = DriverInfo(self._driver_version(), self._cuda_version())
            self._renew_events()
        return self._info

    def device_count(self) -> int:
        """Return how many GPUs are listed. When that changes, no handle is trusted any more."""
        count = int(self._answer(self._nvml.nvmlDeviceGetCount))
        if count != self._count:
            self._count = count
            self._forget()
            self._renew_events()
        self._pass_turn()
        return count

    def identity(self, index: int) -> Identity:
        """Return what does not change of a GPU; costs nothing once all of it is known."""

        def learn(device: Device) -> Identity:
            if self._events is not None:
                device.watch(self._events)
            return device.identity()

        return self._of(index, learn)

    def sample(self, index: int) -> Sample:
        """Return what is true of a GPU now."""
        now, turn = self._clock(), index == self._throughput_turn
        return self._of(index, lambda device: device.sample(now, throughput=turn))

    def recent(self, index: int) -> RecentSamples:
        """Return what the driver sampled of a GPU since the last call, if it is time to look."""
        now = self._clock()
        return self._of(index, lambda _: self._samples[index].recent(now))

    def processes(self, index: int) -> Processes:
        """Return who uses a GPU now."""
        now = self._clock()

        def listed(device: Device) -> Processes:
            tenancy = self._tenancies[index]
            return tenancy.processes(device.processes(tenancy.parts), now)

        return self._of(index, listed)

    def mig(self, index: int) -> Mig:
        """Return into what MIG divides a GPU. One that was switched is met anew, as are its abilities."""
        now = self._clock()
        mig = self._of(index, lambda _: self._tenancies[index].mig(now))
        if self._tenancies[index].switched:
            self._drop(index)
        return mig

    def xid_events(self) -> tuple[XidEvent, ...]:
        """Return the XIDs since the last call. Raises `DeviceError` where they cannot be had now."""
        nvml = self._nvml
        if self._events is None:
            self._retry_events()
        events: list[XidEvent] = []
        while self._events is not None and len(events) < _EVENTS_PER_POLL:
            try:
                data = nvml.nvmlEventSetWait_v2(self._events, 0)
            except nvml.NVMLError as error:
                if error.value == codes.TIMEOUT or events:
                    break  # whatever else it was, the next poll meets it again
                self._renew_events()  # without the GPU that is lost, the set works for the others
                if error.value in codes.LOST:
                    break
                raise self._failure(error) from error
            index = self._indices.get(_address(data.device))
            said = announcements.word(nvml, int(data.eventType))
            events.append(XidEvent(index, int(data.eventData), said))
        return tuple(events)

    def close(self) -> None:
        """Free the event set and leave the driver; the library stays loaded."""
        self._forget()
        self._count = 0
        if self._info is not None:
            self._info = None
            self._free_events()
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()

    def _initialize(self) -> None:
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            said = _ADVICE.get(error.value, f"NVML does not start: {error} (NVML {error.value})")
            raise (Unavailable if error.value in _NOT_HERE else DriverGone)(said) from error
        try:
            self._count = self._require_gpus()
        except BaseException:
            with suppress(nvml.NVMLError):
                nvml.nvmlShutdown()
            raise

    def _require_gpus(self) -> int:
        count = int(self._answer(self._nvml.nvmlDeviceGetCount))
        if count == 0:
            raise Unavailable(_ADVICE[codes.GPU_NOT_FOUND])
        return count

    def _driver_version(self) -> str:
        try:
            return str(self._nvml.nvmlSystemGetDriverVersion())
        except (self._nvml.NVMLError, UnicodeDecodeError):
            return ""

    def _cuda_version(self) -> str:
        """Decode 1000 * major + 10 * minor, as the header has it."""
        try:
            version = int(self._nvml.nvmlSystemGetCudaDriverVersion_v2())
        except self._nvml.NVMLError:
            return ""
        return f"{version // 1000}.{version % 1000 // 10}" if version > 0 else ""

    def _of(self, index: int, question: Callable[[Device], T]) -> T:
        """Ask a GPU; one that is lost is met anew next time, with nothing remembered."""
        try:
            return question(self._devices.get(index) or self._meet(index))
        except GpuLost:
            self._drop(index)
            raise

    def _meet(self, index: int) -> Device:
        """Get a GPU's handle. Where that fails the GPU cannot be reached, unless it is not ours."""
        try:
            handle = self._answer(lambda: self._nvml.nvmlDeviceGetHandleByIndex(index))
        except DeviceError as error:
            if error.reason == "no_permission":
                raise
            raise GpuLost(str(error)) from error
        self._indices[_address(handle)] = index
        phase = (index % _PHASES + 1) / _PHASES
        device = self._devices[index] = Device(
            self._nvml,
            handle,
            slow_interval=self._slow_interval,
            phase=phase,
            nvlink_links=self._nvlink_links,
        )
        self._samples[index] = DriverSamples(self._nvml, handle, phase=phase)
        self._tenancies[index] = Tenancy(self._nvml, handle, self._proc, phase=phase)
        return device

    def _forget(self) -> None:
        """Trust no handle any more."""
        for index in tuple(self._devices):
            self._drop(index)
        self._indices.clear()

    def _drop(self, index: int) -> None:
        """Remember nothing of a GPU, and free what the library holds for it."""
        if device := self._devices.pop(index, None):
            device.release()
            self._tenancies[index].release()

    def _pass_turn(self) -> None:
        """Choose whose turn it is for the question that takes 20 ms: one GPU a run, a second apart."""
        now = self._clock()
        waiting = sorted(index for index, one in self._devices.items() if one.wants_throughput)
        self._throughput_turn = -1
        if not waiting or now - self._throughput_at < _THROUGHPUT_SECONDS:
            return
        self._throughput_at = now
        last = self._throughput_last
        turn = next((index for index in waiting if index > last), waiting[0])
        self._throughput_turn = self._throughput_last = turn

    def _renew_events(self) -> None:
        """Make a new, empty event set, which the devices join one by one; none where unsupported."""
        self._free_events()
        self._no_events = None
        try:
            self._events = self._nvml.nvmlEventSetCreate()
        except self._nvml.NVMLError as error:
            self._no_events = None if error.value in codes.LACKING else error

    def _retry_events(self) -> None:
        """Try again to make an event set; say why it failed where it is not unsupported."""
        if self._no_events is not None:
            self._renew_events()
        if self._no_events is not None:
            raise self._failure(self._no_events)

    def _free_events(self) -> None:
        if self._events is not None:
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlEventSetFree(self._events)
            self._events = None

    def _answer(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except self._nvml.NVMLError as error:
            raise self._failure(error) from error

    def _failure(self, error: Any) -> Exception:
        return codes.failure(error.value, str(error))


def _address(handle: Any) -> int | None:
    """Return what tells one device handle from another: the pointer in it."""
    return ctypes.cast(handle, ctypes.c_void_p).value


def _binding() -> Any:
    """Import `pynvml` and make sure that it is the module of `nvidia-ml-py`.

    The retired distribution `pynvml` installs a package of the same name, which wins over the module. To
    ask who installed it would load what reads archives, half a MiB that is of no use afterwards.
    """
    try:
        import pynvml  # noqa: PLC0415 - only a machine that reads a GPU needs it
    except ImportError as error:
        raise WrongBinding("pynvml is not installed: pip install nvidia-ml-py") from error
    if hasattr(pynvml, "__path__"):  # a package; nvidia-ml-py's is one file
        raise WrongBinding(
            f"pynvml comes from {pynvml.__file__}, which is not nvidia-ml-py's: "
            "pip uninstall pynvml, then pip install --force-reinstall nvidia-ml-py"
        )
    return pynvml
