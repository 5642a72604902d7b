"""The driver's own sample buffers: what a GPU did between two ticks.

The driver samples utilization some six times a second and power more often, and keeps the last hundred or
so. Reading what is new in them costs one call a kind, and shows a spike that no polling would. They are read
long before they are full, and not more often: whoever looks at the buffer sees what went by meanwhile. Only
differences between the driver's timestamps are used, never a timestamp as such, so its clock need not be
ours. Calls and units are from NVIDIA's public header (nvmlDeviceGetSamples).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from agent.collectors.nvml import codes
from agent.collectors.nvml.arrays import SampleBuffer
from agent.collectors.nvml.decoding import PERCENT, WATTS, Decode, Refused
from agent.collectors.nvml.driver import DeviceError, FieldProblem, GpuLost, RecentSamples, Timed
from agent.collectors.nvml.union import reader

_MICROSECONDS: Final = 1_000_000
_LONGEST: Final = 1.5
"""Seconds between two samples from which on nobody looked in between; the longest sample period that the
header knows is one second."""
_QUIET: Final = 10.0
"""Seconds without an answer mean that the clock of the timestamps was set back, perhaps."""
_EVERY: Final = 5.0
"""Seconds between two reads at most: a window of 15 s has three of them."""
_SHARE: Final = 3
"""Reads in the time that a buffer spans: one may come late, and nothing is overwritten unread."""
_SPAN_AGAIN: Final = 60.0
"""Seconds after which a buffer that spanned little is measured anew: the driver may just have begun."""
_ALL: Final = 0
"""Newer than this is every sample."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A buffer: the field of `RecentSamples` that it fills, and its name in the binding."""

    field: str
    constant: str
    decode: Decode
    per: int
    """What the driver's unit is divided by, where `decode` believes a number."""


_KINDS: Final = (
    _Kind("utilization", "NVML_GPU_UTILIZATION_SAMPLES", PERCENT, 100),
    _Kind("power", "NVML_TOTAL_POWER_SAMPLES", WATTS, 1000),
)


@dataclass(slots=True)
class _Buffer:
    """How far one buffer has been read. ``seen`` is the driver's timestamp in microseconds.

    Everything else is in seconds: when it is read again, how often, when it last gave anything, and when
    its span was measured. ``phase`` is a share of the first interval.
    """

    kind: _Kind
    source: SampleBuffer
    phase: float
    seen: int | None = None
    due: float = -inf
    every: float = 0.0
    heard_at: float = -inf
    measured_at: float = -inf

    def measure(self, samples: Sequence[tuple[int, object]], now: float) -> None:
        """Take in how far all that the buffer holds reaches back."""
        if len(samples) > 1:
            span = (samples[-1][0] - samples[0][0]) / _MICROSECONDS
            self.every, self.measured_at = min(_EVERY, span / _SHARE), now

    def wait(self, now: float) -> None:
        """Be read again after the interval."""
        self.due, self.phase = now + self.every * self.phase, 1.0


class DriverSamples:
    """Reads the buffers of one GPU, and remembers what it lacks and what was read.

    ``nvml`` is the binding's module, initialized; ``handle`` the device. ``phase``, a share of the
    interval, keeps the GPUs from all being asked in one run.
    """

    def __init__(self, nvml: Any, handle: Any, *, phase: float = 1.0) -> None:
        self._nvml = nvml
        self._handle = handle
        self._buffers = [
            _Buffer(kind, SampleBuffer(nvml, getattr(nvml, kind.constant)), phase)
            for kind in _KINDS
            if hasattr(nvml, kind.constant)
        ]

    def recent(self, now: float) -> RecentSamples:
        """Return what was sampled since it was last read, where it is time to read it.

        ``now`` is seconds of any clock that goes forward. The first call only finds out where now is.
        Raises `GpuLost` and `DriverGone`. Any other failure is a problem of the one kind.
        """
        told: dict[str, tuple[Timed, ...]] = {}
        problems: list[FieldProblem] = []
        for buffer in [each for each in self._buffers if now >= each.due]:
            try:
                told[buffer.kind.field] = self._read(buffer, now, problems)
            except GpuLost:
                raise
            except DeviceError as error:
                problems.append(FieldProblem(buffer.kind.field, error.reason, str(error)))
        return RecentSamples(**told, problems=tuple(problems))

    def _read(self, buffer: _Buffer, now: float, problems: list[FieldProblem]) -> tuple[Timed, ...]:
        since = buffer.seen
        if since is None or now - buffer.heard_at >= _QUIET:
            return self._catch_up(buffer, now)
        spans = buffer.every < _EVERY and now - buffer.measured_at >= _SPAN_AGAIN
        samples = self._ask(buffer, _ALL if spans else since, problems)
        if spans:
            buffer.measure(samples, now)
        if samples and samples[0][0] <= since:
            samples = [each for each in samples if each[0] > since]
        buffer.wait(now)
        if not samples:
            return ()
        buffer.seen, buffer.heard_at = samples[-1][0], now
        return _timed(since, samples)

    def _catch_up(self, buffer: _Buffer, now: float) -> tuple[Timed, ...]:
        """Find the newest sample, and take none: they are history, or of a clock that was set anew."""
        samples = self._ask(buffer, _ALL, [])
        buffer.heard_at = now
        if samples:
            buffer.seen = samples[-1][0]
            buffer.measure(samples, now)
        return ()

    def _ask(
        self, buffer: _Buffer, since: int, problems: list[FieldProblem]
    ) -> list[tuple[int, float | None]]:
        """Return timestamps and values, oldest first; `None` stands for one that cannot be true."""
        try:
            value_type, found = buffer.source.ask(self._handle, since)
        except self._nvml.NVMLError as error:
            if error.value == codes.NOT_FOUND:
                return []
            if error.value == codes.INVALID_ARGUMENT or error.value in codes.LACKING:
                self._buffers.remove(buffer)
                return []
            raise codes.failure(error.value, str(error)) from error
        found = [each for each in found if each[0]]
        if len(found) > 1:
            found.sort()
        refused: list[str] = []
        values = _believed(buffer.kind, value_type, [bits for _, bits in found], refused)
        if refused:
            said = f"{len(refused)} of {len(found)} samples, such as {refused[0]}"
            problems.append(FieldProblem(buffer.kind.field, "out_of_range", said))
        return [(stamp, value) for (stamp, _), value in zip(found, values, strict=True)]


def _believed(
    kind: _Kind, value_type: int, found: Sequence[int], refused: list[str]
) -> Sequence[float | None]:
    """Return the values, `None` for those that cannot be true: their extremes tell whether there are any."""
    read = reader(value_type)
    if read is None:
        refused += ["a value of unknown type"] * len(found)
        return [None] * len(found)
    raw = list(map(read, found))
    if raw and all(
        _one(kind, each, []) is not None for each in (min(raw), max(raw), sum(raw) / len(raw))
    ):
        return [each / kind.per for each in raw]
    return [_one(kind, each, refused) for each in raw]


def _one(kind: _Kind, raw: float, refused: list[str]) -> float | None:
    answer = kind.decode(raw)[0]
    if isinstance(answer, Refused):
        refused.append(answer.seen)
        return None
    return answer if isinstance(answer, float | int) else None


def _timed(since: int, samples: list[tuple[int, float | None]]) -> tuple[Timed, ...]:
    """Return each value with the seconds since the sample before it, 0 where those are too many."""
    told = []
    before = since
    for stamp, value in samples:
        seconds = (stamp - before) / _MICROSECONDS
        before = stamp
        if value is not None:
            told.append((seconds if seconds <= _LONGEST else 0.0, value))
    return tuple(told)
