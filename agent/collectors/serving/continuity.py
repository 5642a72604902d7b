"""Keeps sums of counters from falling when only a part of them is lost.

A counter of the catalogue is often the sum of several of the server's series. If one of them begins again
or goes (a worker that restarts, a replica that is scaled away), the sum falls, and whoever reads it sees a
restart of the whole and takes all of the rest for new. So what a lost part had counted stays in the sum,
until everything begins again: then the sum does too. A series that comes back as it was is not counted
twice. Histograms are judged by their count alone, and all their buckets go together.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import reduce
from operator import add, sub
from typing import Any, Final, Generic, NamedTuple, TypeVar

from agent.collectors.serving.histogram import MalformedError, merged, without
from agent.collectors.serving.labels import Attributes
from agent.snapshot import Distribution

_MOST_GONE: Final = 1_000
"""Series of one sum that are remembered after they went; of more, what they had counted stays for good."""
_MOST_SUMS: Final = 10_000

Value = TypeVar("Value", float, Distribution)


class Arithmetic(NamedTuple, Generic[Value]):
    """How values are added up, taken apart and compared: by how far they have counted."""

    add: Callable[[Value, Value], Value]
    take: Callable[[Value, Value], Value]
    counted: Callable[[Value], float]


NUMBERS: Final = Arithmetic[float](add, sub, float)
HISTOGRAMS: Final = Arithmetic[Distribution](merged, without, lambda value: value.observations)


class _Sum(Generic[Value]):
    __slots__ = ("carried", "gone", "last")

    def __init__(self) -> None:
        self.last: Mapping[Hashable, Value] = {}
        self.carried: Value | None = None
        self.gone: dict[Hashable, Value] = {}


class Continuity(Generic[Value]):
    """Follows the sums of one source from page to page. Each part is a series of the server."""

    __slots__ = ("_arithmetic", "_sums")

    def __init__(self, arithmetic: Arithmetic[Value]) -> None:
        self._arithmetic: Arithmetic[Value] = arithmetic
        self._sums: dict[Attributes, _Sum[Value]] = {}

    def follows(self, key: Attributes) -> bool:
        """Tell whether this is a sum, or was one: then a part of it may have been carried."""
        return key in self._sums

    def total(self, key: Attributes, parts: Mapping[Any, Value]) -> Value:
        """Return the sum of the parts, and of what was lost of it. Raises `MalformedError`.

        That is where parts are histograms with different buckets, which have no sum.
        """
        known = self._sums.get(key)
        if known is None:
            if len(parts) == 1:
                return next(iter(parts.values()))  # what begins again is the whole
            if len(self._sums) >= _MOST_SUMS:
                self._sums.clear()
            known = self._sums[key] = _Sum()
        total = self._added(parts.values())
        try:
            self._follow(known, parts)
            return total if known.carried is None else self._added((total, known.carried))
        except MalformedError:  # the buckets are others than before: another server
            del self._sums[key]
            return total

    def _follow(self, known: _Sum[Value], parts: Mapping[Any, Value]) -> None:
        lost = [part for part, value in known.last.items() if self._fell(value, parts.get(part))]
        if lost and len(lost) == len(known.last):
            known.carried = None
            known.gone.clear()
        else:
            for part in lost:
                self._lose(known, part, here=part in parts)
        for part in parts.keys() & known.gone.keys():
            before = known.gone.pop(part)
            if known.carried is not None and not self._fell(before, parts[part]):
                known.carried = self._arithmetic.take(known.carried, before)
        known.last = parts

    def _lose(self, known: _Sum[Value], part: Hashable, *, here: bool) -> None:
        value = known.last[part]
        known.carried = value if known.carried is None else self._added((known.carried, value))
        if not here and len(known.gone) < _MOST_GONE:
            known.gone[part] = value

    def _fell(self, before: Value, now: Value | None) -> bool:
        return now is None or self._arithmetic.counted(now) < self._arithmetic.counted(before)

    def _added(self, values: Iterable[Value]) -> Value:
        return reduce(self._arithmetic.add, values)
