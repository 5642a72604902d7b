"""The last two minutes of the few series that the status page draws or takes rates of.

Prometheus keeps history; this is only what an engineer wants to see at the first glance, before any query.
It is fed from snapshots alone, keeps one point per series and `SPACING`, and forgets series that vanish.
"""

from collections import deque
from itertools import pairwise
from typing import Final

from agent.catalogue import Kind, gpu, serving
from agent.moves import moves
from agent.snapshot import Batch, Distribution, Reading, Snapshot

SPAN: Final = 120.0
"""Seconds kept."""
SPACING: Final = 3.0
"""Seconds between two points: 40 of them fill a sparkline."""
_JITTER: Final = 0.5
"""A point this much too early is still taken, or a cadence of 1 s would often give points 4 s apart."""
WINDOW: Final = 60.0
"""Seconds over which rates and latencies are taken."""
MOST_SERIES: Final = 1024
"""No more series than this are followed; about 5 KiB each for gauges, 40 KiB for histograms."""

FOLLOWED: Final = frozenset(
    metric.name
    for metric in (
        gpu.UTILIZATION,
        gpu.MEMORY_USAGE,
        gpu.POWER,
        gpu.TEMPERATURE,
        serving.REQUEST_DURATION,
        serving.TIME_TO_FIRST_TOKEN,
        serving.TIME_PER_OUTPUT_TOKEN,
        serving.QUEUE_DURATION,
        serving.REQUESTS_RUNNING,
        serving.REQUESTS_WAITING,
        serving.REQUESTS_FINISHED,
        serving.REQUESTS_ERRORS,
        serving.TOKENS_PROMPT,
        serving.TOKENS_GENERATED,
        serving.KV_CACHE_UTILIZATION,
    )
)

Value = float | Distribution
Key = tuple[str, tuple[str, ...]]
"""A metric's name and the attributes."""
Point = tuple[float, Value]
Trend = tuple[tuple[float, float], ...]


class History:
    """Bounded memory of followed series; the owner calls `feed` with each snapshot."""

    def __init__(self) -> None:
        self._timelines: dict[Key, deque[Point]] = {}
        self._fed: dict[str, float] = {}
        self._places: dict[str, tuple[tuple[Reading, ...], list[int]]] = {}
        """By collector: what it last held, and the positions of what is followed."""
        self._now = 0.0
        self._looked_at = 0.0

    def feed(self, snapshot: Snapshot) -> None:
        """Take in what is new in a snapshot; a clock that was set back starts a new history."""
        if snapshot.taken_at < self._now:
            self._timelines.clear()
            self._fed.clear()
            self._looked_at = 0.0
        self._now = snapshot.taken_at
        due = [
            (name, batch)
            for name, batch in snapshot.latest.items()
            if batch.taken_at - self._fed.get(name, 0.0) >= SPACING - _JITTER
        ]
        for name, batch in due:
            self._fed[name] = batch.taken_at
            self._add(name, batch)
        if due or snapshot.taken_at - self._looked_at >= SPACING:
            self._looked_at = snapshot.taken_at
            self._forget()

    def points(self, key: Key) -> tuple[Point, ...]:
        """Return what is kept of a series, oldest first."""
        return tuple(self._timelines.get(key, ()))

    def _add(self, name: str, batch: Batch) -> None:
        readings = batch.readings
        last, places = self._places.get(name, ((), []))
        if moves(readings, last) is None:
            places = [at for at, (metric, _, _) in enumerate(readings) if metric.name in FOLLOWED]
        self._places[name] = readings, places
        for metric, attributes, value in [readings[place] for place in places]:
            key = metric.name, attributes
            timeline = self._timelines.get(key)
            if timeline is None:
                if len(self._timelines) >= MOST_SERIES:
                    continue
                kept = WINDOW if metric.kind is Kind.HISTOGRAM else SPAN
                timeline = self._timelines[key] = deque(maxlen=int(kept / SPACING) + 1)
            timeline.append((batch.taken_at, value))

    def _forget(self) -> None:
        old = self._now - SPAN
        for key in [key for key, points in self._timelines.items() if points[-1][0] < old]:
            del self._timelines[key]
        for name in [name for name, fed in self._fed.items() if fed < old]:
            del self._fed[name]
            self._places.pop(name, None)


def baseline(points: tuple[Point, ...], now: Point, started_at: float) -> Point | None:
    """Return the oldest point of the window from which a count has only grown up to ``now``.

    ``now`` is the latest time and value. Points before ``started_at``, when the source began to count
    anew, are of another count. `None` where there is nothing to compare with.
    """
    oldest = max(started_at, now[0] - WINDOW - SPACING)
    for then, earlier in points:
        if oldest <= then < now[0] and _grew(earlier, now[1]):
            return then, earlier
    return None


def _grew(earlier: Value, later: Value) -> bool:
    if isinstance(earlier, Distribution) and isinstance(later, Distribution):
        return earlier.bounds == later.bounds and all(
            before <= after for before, after in zip(earlier.counts, later.counts, strict=True)
        )
    if isinstance(earlier, Distribution) or isinstance(later, Distribution):
        return False
    return earlier <= later


def gauge_trend(points: tuple[Point, ...], now: float) -> Trend:
    """Return how long ago (seconds) a series had which value, oldest first."""
    return tuple(
        (round(now - taken_at, 1), value)
        for taken_at, value in points
        if not isinstance(value, Distribution)
    )


def rate_trend(points: tuple[Point, ...], now: float) -> Trend:
    """Return how fast a counter grew per second, in the same form; nothing across a fall."""
    rates = []
    for (before, low), (taken_at, high) in pairwise(points):
        if isinstance(low, Distribution) or isinstance(high, Distribution):
            continue
        if high >= low and taken_at > before:
            rate = (high - low) / (taken_at - before)
            rates.append((round(now - taken_at, 1), round(rate, 3)))
    return tuple(rates)
