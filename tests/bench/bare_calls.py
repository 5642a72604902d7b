"""Makes the calls of the agent and does nothing with the answers: what the same questions cost anybody.

The functions, arguments and rates are the agent's, learned from its own questions to the same driver, and
made through NVIDIA's binding. Where the binding's function makes two calls of one (lists, samples), or fills
an array anew, the library is called once with an array that is kept, as the agent does it: the loop is no
dearer than it must be. Each GPU has its turn for what is asked every few seconds, as in the agent.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ctypes import byref
from dataclasses import dataclass
from typing import Any, Final

import pynvml

from agent.collectors.nvml import profiling
from agent.collectors.nvml.arrays import ProcessList, SampleBuffer
from agent.collectors.nvml.device import SELDOM_INTERVAL, SLOW_INTERVAL, Device
from agent.collectors.nvml.driver_samples import DriverSamples
from agent.collectors.nvml.fields import FieldBatch
from agent.collectors.nvml.probes import SELDOM, Probe
from agent.collectors.nvml.tenancy import USAGE_INTERVAL

Call = Callable[[], object]
_ROUNDS: Final = 25
"""Questions after which the agent knows what each GPU lacks: twice what is asked most seldom."""
_SAMPLES: Final = (0, 1)
"""NVML_TOTAL_POWER_SAMPLES and NVML_GPU_UTILIZATION_SAMPLES."""


def _learned(handle: Any) -> Device:
    """Return the agent's own view of a GPU after it has found out what to ask."""
    device = Device(pynvml, handle)
    device.identity()
    for second in range(_ROUNDS):
        device.sample(float(second))
        device.processes()
    return device


def _probed(device: Device, handle: Any, probes: list[Probe]) -> list[Call]:
    """Return the questions that the GPU answers, each by the function that it does not lack."""
    ways = (device._probing.way(probe) for probe in probes)
    return [lambda read=read: read(pynvml, handle) for read in ways if read]  # type: ignore[misc]


def _each_second(device: Device, handle: Any) -> Iterator[Call]:
    """Yield the questions of every second, those with an older form for the fields that are lacking too."""
    nvml = pynvml
    yield lambda: nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2)
    yield lambda: nvml.nvmlDeviceGetUtilizationRates(handle)
    yield lambda: nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU)
    yield lambda: nvml.nvmlDeviceGetMarginTemperature(handle)
    yield lambda: nvml.nvmlDeviceGetPowerUsage(handle)
    yield lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
    yield lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    yield from _probed(device, handle, device._moving[_PLAIN:])
    for kind in ("Compute", "Graphics"):
        listed = ProcessList(f"nvmlDeviceGet{kind}RunningProcesses_v3")
        yield lambda listed=listed: listed(nvml, handle)  # type: ignore[misc]
    yield lambda: nvml.nvmlDeviceGetMigMode(handle)


def _counters(device: Device, handle: Any) -> Iterator[Call]:
    """Yield the questions for the performance counters, where the GPU has them."""
    nvml, request = pynvml, device._profiling._request
    if request is None:
        return
    first, second = (nvml.nvmlGpmSampleAlloc() for _ in range(2))
    for sample in (first, second):
        nvml.nvmlGpmSampleGet(handle, sample)
    request.sample1, request.sample2 = first, second
    yield lambda: nvml.nvmlGpmSampleGet(handle, second)
    yield lambda: nvml.nvmlLib.nvmlGpmMetricsGet(byref(request))


def _buffers(handle: Any) -> Iterator[tuple[float, Call]]:
    """Yield how often each of the driver's sample buffers is read, seconds, and the question."""
    learned = DriverSamples(pynvml, handle)
    learned.recent(0.0)
    for buffer, kind in zip(learned._buffers, _SAMPLES, strict=False):
        yield buffer.every, _samples(SampleBuffer(pynvml, kind), handle)


_PLAIN: Final = 7
"""Questions of every second that are spelled out above; the agent's list goes on with older forms."""


def _samples(buffer: SampleBuffer, handle: Any) -> Call:
    """Return the question for what is newer than last time: only that, as the agent asks it."""
    array, seen = buffer._array, [int(time.time() * 1e6)]

    def ask() -> None:
        newer = pynvml.c_ulonglong(seen[0])
        seen[0] = int(time.time() * 1e6)
        try:
            array.ask(handle, buffer._kind, newer, byref(buffer._type))
        except pynvml.NVMLError:
            return  # nothing is newer

    return ask


def _answers(call: Call) -> bool:
    """Whether a call has an answer: the agent does not ask again for what a GPU lacks."""
    try:
        call()
    except pynvml.NVMLError:
        return False
    return True


@dataclass(slots=True)
class _Turn:
    """Questions that are asked together, ``every`` so many seconds."""

    every: float
    calls: list[Call]
    due: float = 0.0

    def ask(self, now: float) -> None:
        """Ask, and be due again after the interval."""
        self.due = now + self.every
        for call in self.calls:
            call()


class Gpu:
    """The questions to one GPU, by how often they are asked."""

    def __init__(self, index: int, handle: Any) -> None:
        device = _learned(handle)
        fields = device._fields
        links = fields.links.fields() if fields.links else []
        self._often = FieldBatch(pynvml, handle, fields._quick)
        self._full = FieldBatch(pynvml, handle, [*fields._quick, *fields._slow, *links])
        self._handle = handle
        self._second = list(filter(_answers, _each_second(device, handle)))
        self._turns = [
            _Turn(SELDOM_INTERVAL, _probed(device, handle, list(SELDOM))),
            _Turn(USAGE_INTERVAL, [self._usage]),
            _Turn(profiling.INTERVAL, list(filter(_answers, _counters(device, handle)))),
            *(_Turn(every, [call]) for every, call in _buffers(handle)),
        ]
        self._slow = _Turn(SLOW_INTERVAL, _probed(device, handle, device._slow_probes))
        phase, now = (index % 8 + 1) / 8, time.monotonic()
        for turn in (*self._turns, self._slow):
            turn.due = now + turn.every * phase

    def ask(self, now: float) -> None:
        """Ask what is due at ``now``."""
        for call in self._second:
            call()
        for turn in self._turns:
            if now >= turn.due:
                turn.ask(now)
        if now < self._slow.due:
            self._often.ask()
            return
        self._full.ask()
        self._slow.ask(now)

    def _usage(self) -> None:
        since = int((time.time() - USAGE_INTERVAL) * 1e6)
        try:
            pynvml.nvmlDeviceGetProcessesUtilizationInfo(self._handle, since)
        except pynvml.NVMLError:
            return  # nobody did anything


def main() -> None:
    """Ask once a second until ended; say when it begins."""
    pynvml.nvmlInit()
    events = pynvml.nvmlEventSetCreate()
    count = pynvml.nvmlDeviceGetCount()
    gpus = [Gpu(index, pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]
    sys.stdout.write("asking\n")
    sys.stdout.flush()
    due = time.monotonic()
    while True:
        now = time.monotonic()
        pynvml.nvmlDeviceGetCount()
        for gpu in gpus:
            gpu.ask(now)
        with suppress(pynvml.NVMLError):  # nothing happened
            pynvml.nvmlEventSetWait_v2(events, 0)
        due += 1.0
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
