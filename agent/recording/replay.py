"""Plays a recording: a driver that answers as another machine's did, at the same pace."""

import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

from agent.collector import Unavailable
from agent.collectors.nvml.driver import (
    DeviceError,
    DriverGone,
    DriverInfo,
    FieldProblem,
    Identity,
    Mig,
    Processes,
    RecentSamples,
    Sample,
    XidEvent,
)
from agent.recording.line import END, Line
from agent.recording.reader import Reader

_LINES_AT_ONCE: Final = 20_000
"""Lines that are read in one go: a second of 16 GPUs has some 80; a file could hold any number."""
_FAULTS_AT_ONCE: Final = 20
"""Problems of the file that are told one by one with a sample; of more, how many there are."""
_KEPT: Final = 4096
"""Events and fine samples that wait to be asked for."""


class ReplayedGpus:
    """A `GpuDriver` that plays the recording ``path`` from its first `open` on.

    At its end it begins again, or with ``loop`` off is gone for good. ``clock`` gives seconds. What is
    wrong with the file is a problem of the first GPU's samples. Raises `RecordingError` where the file
    cannot be played.
    """

    def __init__(
        self, path: Path, *, loop: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reader = Reader(path)
        self._name = path.name
        self._loop = loop
        self._clock = clock
        self._start: float | None = None
        self._lines: Iterator[Line] = iter(())
        self._next: Line | None = None
        self._ended = False
        self._answers: dict[tuple[str, int | None], Any] = {}
        self._waiting: dict[int | None, list[Any]] = {}
        self._told = 0

    def open(self) -> DriverInfo:
        """Go on to what was answered by now, and return the driver of then."""
        self._play()
        if self._ended:
            raise Unavailable(f"the recording {self._name} has ended")
        missing = DriverGone("the recording does not say what driver there was")
        info: DriverInfo = self._answer("open", missing)
        return info

    def device_count(self) -> int:
        """Return how many GPUs were listed then."""
        count: int = self._answer("device_count", DriverGone("the recording has no GPU yet"))
        return count

    def identity(self, index: int) -> Identity:
        """Return what did not change of a GPU."""
        identity: Identity = self._answer("identity", _missing(), index)
        return identity

    def sample(self, index: int) -> Sample:
        """Return what was true of a GPU, and with the first GPU what is wrong with the recording."""
        sample: Sample = self._answer("sample", _missing(), index)
        if index or not self._reader.faults:
            return sample
        return sample._replace(problems=(*sample.problems, *self._faults()))

    def recent(self, index: int) -> RecentSamples:
        """Return what the driver of then sampled since the last call."""
        told = self._waiting.pop(index, [])
        for error in told:
            if isinstance(error, Exception):
                raise error.with_traceback(None)
        parts = RecentSamples._fields
        return RecentSamples(
            **{
                part: tuple(chain.from_iterable(getattr(one, part) for one in told))
                for part in parts
            }
        )

    def processes(self, index: int) -> Processes:
        """Return who used a GPU."""
        processes: Processes = self._answer("processes", _missing(), index)
        return processes

    def mig(self, index: int) -> Mig:
        """Return into what MIG divided a GPU; recordings that do not say so have none."""
        mig: Mig = self._answers.get(("mig", index), Mig())
        if isinstance(mig, Exception):
            raise mig.with_traceback(None)
        return mig

    def xid_events(self) -> tuple[XidEvent, ...]:
        """Return the errors that came since the last call."""
        told = self._waiting.pop(None, [])
        events = [one for one in told if not isinstance(one, Exception)]
        if told and not events:
            raise told[-1].with_traceback(None)
        return tuple(chain.from_iterable(events))

    def close(self) -> None:
        """Keep nothing; the play goes on."""
        self._waiting.clear()

    def _answer(self, ask: str, missing: Exception, gpu: int | None = None) -> Any:
        answer = self._answers.get((ask, gpu), missing)
        if isinstance(answer, Exception):
            raise answer.with_traceback(None)  # or it would grow with every time that it is raised
        return answer

    def _play(self) -> None:
        """Take in the answers up to now, and at the end begin again."""
        now = self._clock()
        if self._start is None:
            self._start = self._begin(now)
        for _ in range(_LINES_AT_ONCE):
            line = self._next
            if line is None or line.at > now - self._start:
                return
            if line.ask == END:
                self._finish(self._start, line.at, now)
            else:
                self._take(line)
                self._next = next(self._lines, None) or _end_after(line, self._reader.interval)

    def _begin(self, start: float) -> float:
        self._answers.clear()
        self._waiting.clear()
        self._lines = self._reader.lines()
        self._next = next(self._lines, None)
        self._ended = self._next is None
        return start

    def _finish(self, start: float, at: float, now: float) -> None:
        """End, or begin again where that is asked for and there is time in the recording."""
        if self._loop and at > 0:
            self._start = self._begin(max(start + at, now - self._reader.interval))
        else:
            self._ended, self._next = True, None

    def _take(self, line: Line) -> None:
        if line.ask in {"recent", "xid_events"}:
            waiting = self._waiting.setdefault(line.gpu, [])
            if len(waiting) < _KEPT:
                waiting.append(line.answer)
        elif line.ask == "sample" and isinstance(line.answer, Sample):
            self._answers["sample", line.gpu] = self._same_condition(line.gpu, line.answer)
        elif line.answer is not None:
            self._answers[line.ask, line.gpu] = line.answer

    def _same_condition(self, gpu: int | None, sample: Sample) -> Sample:
        """Keep what did not change the same object, as the real driver does."""
        before = self._answers.get(("sample", gpu))
        if isinstance(before, Sample) and before.condition == sample.condition:
            return sample._replace(condition=before.condition)
        return sample

    def _faults(self) -> Iterator[FieldProblem]:
        """Return what is wrong with the file, each thing once."""
        faults, self._reader.faults = self._reader.faults, []
        for reason, said in faults[:_FAULTS_AT_ONCE]:
            yield FieldProblem("recording", reason, said)
        more = len(faults) - _FAULTS_AT_ONCE
        if more > 0:
            yield FieldProblem("recording", faults[-1][0], f"and {more} more of such lines")


def _end_after(line: Line, interval: float) -> Line:
    """Return the end of a recording that has none of its own."""
    return Line(line.at + interval, END, None, None)


def _missing() -> DeviceError:
    return DeviceError("not_recorded", "the recording does not say it")
