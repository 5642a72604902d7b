"""Restarts that no counter shows: a new process that has counted further than the old one ever did.

Whoever reads a counter takes a fall for a new beginning, and a rise for growth. A process that starts
between two scrapes, and by the second one has counted more than the first one had, shows a rise: all that
it counted up to the old value is lost. Where the page tells which process it is of, what the old one had
counted is added to what the new one counts, so that the growth is what was really counted. It stays added
until the counter falls, which every reader understands.
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Final, NamedTuple

from agent.catalogue import Kind
from agent.collectors.exposition import Page
from agent.collectors.serving.histogram import MalformedError, merged
from agent.collectors.serving.profile import Profile
from agent.snapshot import Distribution, Reading, SeriesKey

_COUNTED: Final = frozenset({Kind.COUNTER, Kind.HISTOGRAM})
_SLACK: Final = 2.0
"""Seconds by which a process may be told to have started earlier or later: clocks are set, and rounded."""

Value = float | Distribution


class _Carried(NamedTuple):
    """What is added to a series, and what its process itself had counted on the last page."""

    before: Value
    last: Value


class Succession:
    """Follows the readings of one server from process to process.

    A page is of one process only if one profile reads it, and if it has its ``started`` once and without
    labels (who gathers the pages of several adds labels), or its ``uptime`` once. If an earlier start comes
    after a later one, several processes answer in turns: then nothing is concluded any more.
    """

    __slots__ = ("_awaited", "_carried", "_in_turns", "_last", "_started", "_uptime")

    def __init__(self) -> None:
        self._started: float | None = None
        self._uptime: float | None = None
        self._in_turns = False
        self._last: Sequence[Reading] = ()
        self._awaited: dict[SeriesKey, Value] = {}
        self._carried: dict[SeriesKey, _Carried] = {}

    def is_another(self, page: Page, profiles: Sequence[Profile]) -> bool:
        """Tell whether a page is of another process than the last one. The same page is asked once."""
        if len(profiles) != 1 or self._in_turns:
            return False
        started, self._started = self._started, _only(page, profiles[0].started, bare=True)
        uptime, self._uptime = self._uptime, _only(page, profiles[0].uptime)
        if started is not None and self._started is not None:
            self._in_turns = self._started < started - _SLACK
            return self._started > started + _SLACK
        return uptime is not None and self._uptime is not None and self._uptime < uptime

    def told(self, readings: list[Reading], *, another: bool) -> list[Reading]:
        """Return the readings of a page with what former processes had counted.

        ``another``: the page is of another process than the one before.
        """
        if another:
            self._awaited = {
                (metric, attributes): value
                for metric, attributes, value in self._last
                if metric.kind in _COUNTED and _counted(value)
            }
        told = self._started is not None or self._uptime is not None
        self._last = readings if told else ()
        if not self._awaited and not self._carried:
            return readings
        return list(self._added(readings))

    def _added(self, readings: Iterable[Reading]) -> Iterable[Reading]:
        for reading in readings:
            metric, attributes, value = reading
            told = self._with_what_was((metric, attributes), value)
            yield reading if told is value else Reading(metric, attributes, told)

    def _with_what_was(self, key: SeriesKey, value: Value) -> Value:
        """Return the value of a series with what is to be added to it, until it falls."""
        last, carried = self._awaited.pop(key, None), self._carried.pop(key, None)
        before = last
        if carried is not None:
            last = carried.last if last is None else last
            before = carried.before if before is None else _together(carried.before, before)
        if before is None or last is None or _counted(value) < _counted(last):
            return value
        together = _together(value, before)
        if together is None:
            return value
        self._carried[key] = _Carried(before, value)
        return together


def _only(page: Page, family: str, *, bare: bool = False) -> float | None:
    """Return the value of a family of one series; ``bare``: of one without labels."""
    samples = page.samples.get(family)
    if samples is None or len(samples) != 1:
        return None
    ((series, value),) = samples
    return value if isfinite(value) and not (bare and series.labels) else None


def _counted(value: Value) -> float:
    return float(value.observations) if isinstance(value, Distribution) else value


def _together(one: Value, other: Value) -> Value | None:
    """Return both added up; nothing where they have no sum."""
    if isinstance(one, Distribution) and isinstance(other, Distribution):
        try:
            return merged(one, other)
        except MalformedError:
            return None
    if isinstance(one, Distribution) or isinstance(other, Distribution):
        return None
    return one + other
