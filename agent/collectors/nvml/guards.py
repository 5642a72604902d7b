"""What a single answer cannot show: counters that run backwards or wrap, and answers that contradict.

Kept per device handle: after a reload of the driver counters begin anew, and so does this memory.
"""

from typing import Final

from agent.collectors.nvml.decoding import Refused
from agent.collectors.nvml.probes import Key

_BUSY: Final = 0.99
_SEVERAL: Final = 2
"""Judgements in a row until two answers that exclude each other are more than bad timing."""


class Backwards:
    """Refuses a counter that falls, once; if the next value is lower as well, it was reset."""

    def __init__(self) -> None:
        self._last: dict[Key, float] = {}
        self._suspects: set[Key] = set()

    def judge(self, key: Key, value: float) -> float | Refused:
        """Return the value of the counter ``key``, or why it is not believed this time."""
        last = self._last.get(key)
        if last is not None and value < last and key not in self._suspects:
            self._suspects.add(key)
            return Refused(f"{value} after {last}", "ran_backwards")
        self._suspects.discard(key)
        self._last[key] = value
        return value


class Meter:
    """Adds up a counter that may wrap or be reset, so that what it gives never falls.

    A fall from the upper half of 32 or 64 bits is a wrap; any other is refused once, then taken as a
    reset, from which counting goes on.
    """

    def __init__(self) -> None:
        self.total = 0
        self._last: int | None = None
        self._suspected = False

    def judge(self, value: int) -> int | Refused:
        """Return the total after a reading of the counter, or why it is not believed this time."""
        last = self._last
        if last is None or value >= last:
            self.total += value - (last or 0)
        elif modulus := _wrapped_at(last):
            self.total += value - last + modulus
        elif not self._suspected:
            self._suspected = True
            return Refused(f"{value} after {last}", "ran_backwards")
        else:
            self.total += value
        self._last, self._suspected = value, False
        return self.total


def _wrapped_at(last: int) -> int:
    """Return the size of the counter that ``last`` was near the end of; 0 for none."""
    for bits in (32, 64):
        if 1 << bits - 1 <= last < 1 << bits:
            return 1 << bits
    return 0


class Contradiction:
    """Refuses that not one multiprocessor is active while a kernel is said to run all the time."""

    def __init__(self) -> None:
        self._in_a_row = 0

    @property
    def stands(self) -> bool:
        """Whether the two answers contradicted each other when they were last judged."""
        return self._in_a_row >= _SEVERAL

    def judge(self, utilization: object, sm_active: object) -> str:
        """Return what contradicts, once it has done so several times in a row; else nothing."""
        busy = isinstance(utilization, float | int) and utilization >= _BUSY
        self._in_a_row = self._in_a_row + 1 if busy and sm_active == 0 else 0
        if not self.stands:
            return ""
        return f"utilization {utilization} with no multiprocessor active, {self._in_a_row} times"
