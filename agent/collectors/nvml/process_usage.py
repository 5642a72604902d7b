"""How much of a GPU each process used since the driver was last asked.

The driver keeps samples of its own and gives those newer than a timestamp, so that asking seldom loses
nothing. It has been seen to give old
ones again and shares beyond 100 %, so both are refused here. It leaves out processes that did nothing: no
sample means idle where others have one, and where nobody has had one for longer than any sample period.
"""

import time
from collections.abc import Callable, Iterable
from math import inf
from typing import Any, Final, NamedTuple

from agent.collectors.nvml import codes, refusals
from agent.collectors.nvml.driver import (
    DeviceError,
    FieldProblem,
    GpuLost,
    GpuProcess,
    Processes,
)

_FIELD: Final = "process_utilization"
_MICROSECONDS: Final = 1_000_000
_LOOK_BACK: Final = 2.0
"""Seconds of the past that the first question is about; all there is would be minutes old."""
_QUIET: Final = 2.0
"""Seconds without a sample after which nobody is busy: twice the longest sample period of the driver."""
_CLOCK_SLACK: Final = 5.0
"""Seconds by which a timestamp may be ahead of our clock. One far ahead would make all others look old."""
_CALLS: Final = ("nvmlDeviceGetProcessesUtilizationInfo", "nvmlDeviceGetProcessUtilization")
"""The newer first; both lists have the fields that are read here."""
_EMPTY: Final = frozenset({codes.SUCCESS, codes.NOT_FOUND})
"""The binding raises even SUCCESS where the list is empty."""


class Shares(NamedTuple):
    """What can be believed of one answer."""

    of: dict[int, float]
    """Share of 1, by process."""
    doubtful: frozenset[int]
    """Processes of which a sample was refused and none believed."""
    newest: int
    """The timestamp to ask from next time, microseconds."""
    problems: tuple[FieldProblem, ...]


def judge(samples: Iterable[Any], since: int, now: int) -> Shares:
    """Sort out ``samples`` newer than ``since``; times are microseconds of the machine's clock.

    Several samples of one process are averaged: each stands for a period of the same length.
    """
    believed: dict[int, list[int]] = {}
    stale: list[int] = []
    wrong: dict[int, str] = {}
    newest = since
    for sample in samples:
        pid, share, at = int(sample.pid), int(sample.smUtil), int(sample.timeStamp)
        if at <= since:
            stale.append(pid)
        elif at > now + _CLOCK_SLACK * _MICROSECONDS:
            wrong[pid] = f"process {pid}: timestamp {at}, and now is {now}"
        elif share > 100:
            wrong[pid] = f"process {pid}: {share} %"
            newest = max(newest, at)
        else:
            believed.setdefault(pid, []).append(share)
            newest = max(newest, at)
    problems = [FieldProblem(_FIELD, "out_of_range", said) for said in list(wrong.values())[:1]]
    if stale:
        said = f"{len(stale)} samples that are not newer than {since}"
        problems.append(FieldProblem(_FIELD, "stale_sample", said))
    shares = {pid: sum(found) / len(found) / 100 for pid, found in believed.items()}
    doubtful = frozenset(stale).union(wrong).difference(shares)
    return Shares(shares, doubtful, newest, tuple(problems))


class ProcessUsage:
    """Asks one GPU, and remembers how far its samples have been read.

    ``nvml`` is the binding's module, initialized; ``handle`` the device; ``clock`` gives Unix seconds,
    since the driver's timestamps are of the machine's clock.
    """

    def __init__(self, nvml: Any, handle: Any, clock: Callable[[], float] = time.time) -> None:
        self._nvml = nvml
        self._handle = handle
        self._clock = clock
        self._calls = list(_CALLS)
        self._since: int | None = None
        self._heard_at: float | None = None
        self._refused: tuple[float] | tuple[float, FieldProblem] = (-inf,)
        """Until when what is not allowed is not asked again, and what was said of it."""
        self._listed = self._used = Processes()
        self._said: object = None
        """What `_used` was made of, beside `_listed`."""
        self._told: tuple[Shares, float | None] | None = None
        """What the driver last told, and the share of those whom it did not name."""

    def of(self, listed: Processes) -> Processes:
        """Return the processes with what each used: the same object for as long as that is the same.

        Raises `GpuLost` and `DriverGone`; any other failure is a problem of the one value.
        """
        now = self._clock()
        shares = self._read(now)
        if shares is None:
            self._told = None
            return listed
        if shares.of:
            self._heard_at = now
        idle = 0.0 if shares.of or now - (self._heard_at or now) > _QUIET else None
        self._told = shares._replace(problems=()), idle
        return self._with(listed, shares, idle)

    def again(self, listed: Processes) -> Processes:
        """Return the processes with what each used when `of` was last called, without its problems.

        ``listed`` must be the same processes as then.
        """
        return self._with(listed, *self._told) if self._told else listed

    def _with(self, listed: Processes, shares: Shares, idle: float | None) -> Processes:
        said = shares.of, shares.doubtful, idle, shares.problems
        if listed is self._listed and said == self._said:
            return self._used
        self._listed, self._said = listed, said
        self._used = _with_shares(listed, shares, idle)
        return self._used

    def _read(self, now: float) -> Shares | None:
        """Return what can be believed of what is new; `None` where the device does not tell."""
        microseconds = int(now * _MICROSECONDS)
        if 0.0 < self._refused[0] - now <= refusals.AGAIN:
            self._heard_at = now
            return Shares({}, frozenset(), self._since or microseconds, self._refused[1:])
        if self._since is None:
            self._since = max(0, microseconds - int(_LOOK_BACK * _MICROSECONDS))
            self._heard_at = now
        self._since = min(self._since, microseconds)  # the clock may have been set back
        try:
            samples = self._samples(self._since)
        except self._nvml.NVMLError as error:
            self._heard_at = now  # who cannot be heard is not quiet
            problem = _problem(error)
            if problem.reason == refusals.REASON:
                self._refused = now + refusals.AGAIN, problem
            return Shares({}, frozenset(), self._since, (problem,))
        if samples is None:
            return None
        shares = judge(samples, self._since, microseconds)
        self._since = shares.newest
        return shares

    def _samples(self, since: int) -> Iterable[Any] | None:
        while self._calls:
            try:
                found: Iterable[Any] = getattr(self._nvml, self._calls[0])(self._handle, since)
            except self._nvml.NVMLError as error:
                if error.value in _EMPTY:
                    return ()
                if error.value not in codes.LACKING:
                    raise
                self._calls.pop(0)
            else:
                return found
        return None


def _with_shares(listed: Processes, shares: Shares, idle: float | None) -> Processes:
    """Return the processes with their shares; ``idle`` is that of those without a sample."""

    def with_share(process: GpuProcess) -> GpuProcess:
        fallback = None if process.pid in shares.doubtful else idle
        return process._replace(utilization=shares.of.get(process.pid, fallback))

    return listed._replace(
        compute=listed.compute and tuple(map(with_share, listed.compute)),
        graphics=listed.graphics and tuple(map(with_share, listed.graphics)),
        problems=(*listed.problems, *shares.problems),
    )


def _problem(error: Any) -> FieldProblem:
    failure = codes.failure(error.value, str(error))
    if isinstance(failure, GpuLost) or not isinstance(failure, DeviceError):
        raise failure from error
    return FieldProblem(_FIELD, failure.reason, str(failure))
