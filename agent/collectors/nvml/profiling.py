"""What a GPU's performance counters say (GPM): how much of it worked, not only whether it did.

Hopper and newer, without root and without DCGM. Metrics are the difference of two samples, so the first
sample gives none, and means of all the time between them, so nothing is lost by asking seldom. Whoever
profiles a program has the right of way: while the driver says that the counters are taken, or not ours,
they are left alone for a minute.
"""

from contextlib import suppress
from ctypes import c_char, sizeof
from math import inf
from struct import Struct
from typing import Any, Final, NamedTuple

from agent.collectors.nvml import codes
from agent.collectors.nvml.decoding import (
    MEBIBYTES_A_SECOND,
    Decode,
    Refused,
    profiled_share,
)
from agent.collectors.nvml.driver import FieldProblem
from agent.collectors.nvml.probes import Key, label

INTERVAL: Final = 5.0
"""Seconds between two questions where all is well; what was said is told until the next one."""
GIVE_WAY: Final = 60.0
"""Seconds for which counters that somebody else holds are not asked for."""
_SHORTEST: Final = 0.1
"""Seconds between two samples: the GPU renews its own no faster (nvml.h)."""
_HELD: Final = frozenset({codes.IN_USE, codes.NO_PERMISSION})
_ANSWER: Final = Struct("=IId24x")
"""nvmlGpmMetric_t: number, return code, value, and pointers to names."""
_WHOLE: Final = "profiling"


class _Metric(NamedTuple):
    key: Key
    number: int
    decode: Decode


METRICS: Final = (
    _Metric("sm_active", 2, profiled_share),
    _Metric("sm_occupancy", 3, profiled_share),
    _Metric(("pipe_active", "integer"), 4, profiled_share),
    _Metric(("pipe_active", "tensor"), 5, profiled_share),
    _Metric("memory_bandwidth_utilization", 10, profiled_share),
    _Metric(("pipe_active", "fp64"), 11, profiled_share),
    _Metric(("pipe_active", "fp32"), 12, profiled_share),
    _Metric(("pipe_active", "fp16"), 13, profiled_share),
    _Metric(("pcie_throughput", "transmit"), 20, MEBIBYTES_A_SECOND),
    _Metric(("pcie_throughput", "receive"), 21, MEBIBYTES_A_SECOND),
    _Metric(("nvlink_throughput", "receive"), 60, MEBIBYTES_A_SECOND),
    _Metric(("nvlink_throughput", "transmit"), 61, MEBIBYTES_A_SECOND),
)
"""What is asked, with the numbers and units of nvmlGpmMetricId_t."""
_OF_INSTANCE: Final = (
    _Metric("utilization", 1, profiled_share),
    *(metric for metric in METRICS if metric.decode is profiled_share),
)
"""Of a part of a GPU: PCIe and NVLink belong to the whole, and the driver has no other utilization."""


class Profiling:
    """The performance counters of one device, or of one GPU ``instance`` of a device that MIG divides.

    `release` when it is not used any more.

    ``nvml`` is the binding's module, initialized. Two samples are kept, and reused by turns. ``phase``, a
    share of the interval, keeps the GPUs from all being asked in one run.
    """

    def __init__(
        self, nvml: Any, handle: Any, instance: int | None = None, *, phase: float = 1.0
    ) -> None:
        self._nvml = nvml
        self._handle = handle
        self._instance = instance
        self._supported: bool | None = None
        self._phase = phase
        self._due = -inf
        self._samples: list[Any] = []
        self._taken_at: float | None = None
        self._wanted = list(METRICS if instance is None else _OF_INSTANCE)
        self._request: Any = None
        self._answers: Any = None
        self._raw = b""
        self._told: dict[Key, Any] = {}
        """What the last answers came to, and of which bytes, where all of them were believed."""

    def read(self, now: float, values: dict[Key, Any], problems: list[FieldProblem]) -> bool:
        """Take in what the counters say of the time since they were last asked; ``now`` is in seconds.

        Return whether they were asked now.
        """
        if self._supported is False:
            return False
        if now < self._due:
            values |= self._told
            return False
        nvml = self._nvml
        try:
            if self._supported is None:
                self._supported = bool(
                    nvml.nvmlGpmQueryDeviceSupport(self._handle).isSupportedDevice
                )
            if not self._supported or not self._sampled(now):
                return False
            self._take(values, problems)
        except nvml.NVMLError as error:
            self._fail(error, now, problems)
            return False
        if self._raw:  # all was believed
            self._due, self._phase = now + INTERVAL * self._phase, 1.0
        return True

    def release(self) -> None:
        """Free the samples. Safe at any time; asking again makes new ones."""
        samples, self._samples, self._taken_at = self._samples, [], None
        for sample in samples:
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlGpmSampleFree(sample)

    def _sampled(self, now: float) -> bool:
        """Take a sample; return whether there is an older one to compare it with."""
        nvml = self._nvml
        while len(self._samples) < 2:
            self._samples.append(nvml.nvmlGpmSampleAlloc())
        if self._taken_at is not None and now - self._taken_at < _SHORTEST:
            return False
        before, self._taken_at = self._taken_at, None
        self._samples.reverse()
        if self._instance is None:
            nvml.nvmlGpmSampleGet(self._handle, self._samples[1])
        else:
            nvml.nvmlGpmMigSampleGet(self._handle, self._instance, self._samples[1])
        self._taken_at = now
        return before is not None

    def _take(self, values: dict[Key, Any], problems: list[FieldProblem]) -> None:
        nvml, request = self._nvml, self._request or self._prepare()
        request.sample1, request.sample2 = self._samples
        nvml.nvmlGpmMetricsGet(request)
        raw = bytes(self._answers)
        if raw != self._raw:
            self._raw, self._told = b"", {}
            if self._judge(raw, self._told, problems):
                self._raw = raw
        values |= self._told

    def _judge(self, raw: bytes, values: dict[Key, Any], problems: list[FieldProblem]) -> bool:
        """Take in answers; return whether all of them are believed."""
        nvml, before = self._nvml, len(problems)
        lacking: list[_Metric] = []
        for metric, (_, code, value) in zip(self._wanted, _ANSWER.iter_unpack(raw), strict=True):
            if code in codes.LACKING or code == codes.INVALID_ARGUMENT:
                lacking.append(metric)
            elif code != codes.SUCCESS:
                problems.append(_problem(metric.key, nvml.NVMLError(code)))
            elif isinstance(judged := metric.decode(value)[0], Refused):
                problems.append(FieldProblem(label(metric.key), judged.reason, judged.seen))
            else:
                values[metric.key] = judged
        if lacking:
            self._wanted = [metric for metric in self._wanted if metric not in lacking]
            self._request = None
            self._supported = bool(self._wanted)
        return len(problems) == before and not lacking

    def _prepare(self) -> Any:
        """Make the request for the metrics that are wanted, and a view of its answers."""
        nvml = self._nvml
        request = self._request = nvml.c_nvmlGpmMetricsGet_t()
        request.version = nvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(self._wanted)
        for cell, metric in zip(request.metrics, self._wanted, strict=False):
            cell.metricId = metric.number
        size = sizeof(nvml.c_nvmlGpmMetric_t) * len(self._wanted)
        start = type(request).metrics.offset
        self._answers = (c_char * size).from_buffer(request, start)
        return request

    def _fail(self, error: Any, now: float, problems: list[FieldProblem]) -> None:
        """Take in that a call failed: for ever, for a while, or for this time."""
        self.release()
        self._raw, self._told = b"", {}
        if error.value in codes.LACKING:
            self._supported = False
            return
        problems.append(_problem(_WHOLE, error))
        if error.value in _HELD:
            self._due = now + GIVE_WAY


def _problem(key: Key, error: Any) -> FieldProblem:
    fault = codes.fault(error)
    return FieldProblem(label(key), fault.reason, str(fault))
