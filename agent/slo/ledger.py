"""Counts what was good for each objective, whatever becomes of the servers that it is counted from.

The counts begin at 0 when a server is first seen: what it counted before says nothing of the time that is
watched. They never fall while the agent runs, and good is never more than total.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.catalogue import Metric, serving, serving_slo
from agent.slo.availability import COUNTERS, availability
from agent.slo.growth import Growth, bound_for, counted, growth
from agent.slo.objective import AVAILABILITY, LATENCIES, Objective
from agent.snapshot import Batch, Distribution, Problem, Reading, SeriesKey

FORGET: Final = 3600.0
"""Seconds after which a server, a series or a count that is not seen any more is forgotten."""

_Key = tuple[str, str, str, str]
"""Objective, server, provider and model."""
_Value = float | Distribution
_Pair = tuple[_Value | None, _Value]
"""A series' value at the scrape before, `None` for 0, and now."""


@dataclass(slots=True)
class _Count:
    good: int = 0
    total: int = 0
    bound: float | None = None
    seen_at: float = 0.0
    coming: list[Growth] = field(default_factory=list)
    """Not told yet: a count must have been 0 once, since `increase()` does not see what is born at 1."""


@dataclass(slots=True)
class _Past:
    """What is remembered of one source. Series that vanish are kept: they may come back as they were."""

    taken_at: float = 0.0
    whole: bool = False
    """Whether the last batch told all that the server had, so that a new series began after it."""
    values: dict[SeriesKey, _Value] = field(default_factory=dict)
    seen_at: dict[SeriesKey, float] = field(default_factory=dict)


class SloLedger:
    """Give it each batch of each model server: `take`; ask it for all that it counted: `readings`."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._objectives = tuple(objectives)
        self._wanted = frozenset(
            metric
            for each in objectives
            for metric in (COUNTERS if each.signal == AVAILABILITY else (LATENCIES[each.signal],))
        )
        self._pasts: dict[str, _Past] = {}
        self._counts: dict[_Key, _Count] = {}

    def take(self, source: str, batch: Batch) -> list[Problem]:
        """Count what came since the last batch of ``source``; return what cannot be counted, and why."""
        past = self._pasts.setdefault(source, _Past())
        if batch.taken_at == past.taken_at:
            return self._faults(batch)
        grown = dict(self._grown(past, batch))
        past.taken_at = batch.taken_at
        past.whole = not batch.problems and any(
            metric is serving.SERVER_UP and value == 1 for metric, _, value in batch.readings
        )
        for objective in self._objectives:
            self._count(objective, grown, batch)
        return self._faults(batch)

    def readings(self) -> list[Reading]:
        """Return every objective and all counts."""
        told: list[Reading] = []
        for each in self._objectives:
            told.append(Reading(serving_slo.SLO_OBJECTIVE, (each.name, each.signal), each.target))
            told.append(Reading(serving_slo.SLO_WINDOW, (each.name,), each.window))
        for key, count in self._counts.items():
            told.append(Reading(serving_slo.SLO_GOOD, key, count.good))
            told.append(Reading(serving_slo.SLO_TOTAL, key, count.total))
            if count.bound is not None:
                told.append(Reading(serving_slo.SLO_THRESHOLD, key, count.bound))
            count.good += sum(each.good for each in count.coming)
            count.total += sum(each.total for each in count.coming)
            count.coming.clear()
        return told

    def unmatched(self) -> list[Objective]:
        """Return the objectives that nothing is counted for."""
        matched = {key[0] for key in self._counts}
        return [each for each in self._objectives if each.name not in matched]

    def forget(self, now: float) -> None:
        """Forget what was not seen for long; ``now`` is Unix seconds."""
        for source, past in list(self._pasts.items()):
            for key in [each for each, at in past.seen_at.items() if now - at > FORGET]:
                del past.values[key], past.seen_at[key]
            if now - past.taken_at > FORGET:
                del self._pasts[source]
        for name in [key for key, count in self._counts.items() if now - count.seen_at > FORGET]:
            del self._counts[name]

    def _grown(self, past: _Past, batch: Batch) -> Iterator[tuple[SeriesKey, _Pair]]:
        """Yield the series that are wanted, with what they were; those of unknown past are left out."""
        for metric, attributes, value in batch.readings:
            if metric not in self._wanted:
                continue
            key = (metric, attributes)
            known = key in past.values
            before = past.values.get(key)
            past.values[key], past.seen_at[key] = value, batch.taken_at
            if known or past.whole:
                yield key, (before, value)
            else:
                yield key, (value, value)

    def _count(self, objective: Objective, grown: Mapping[SeriesKey, _Pair], batch: Batch) -> None:
        if objective.signal == AVAILABILITY:
            self._count_availability(objective, grown, batch)
            return
        metric, threshold = LATENCIES[objective.signal], objective.threshold or 0.0
        for (told, attributes), (before, now) in grown.items():
            if told is not metric or not objective.covers(attributes[0], attributes[2]):
                continue
            if not isinstance(now, Distribution) or isinstance(before, float):
                continue
            bound = bound_for(now.bounds, threshold)
            if bound is not None:
                came = growth(before, now, threshold)
                self._add(objective, attributes[:3], came, batch.taken_at, bound)

    def _count_availability(
        self, objective: Objective, grown: Mapping[SeriesKey, _Pair], batch: Batch
    ) -> None:
        amounts = (
            (metric, attributes, counted(before or 0.0, now))
            for (metric, attributes), (before, now) in grown.items()
            if not isinstance(now, Distribution) and not isinstance(before, Distribution)
            if metric in COUNTERS
        )
        for key, came in availability(amounts).items():
            if objective.covers(key[0], key[2]):
                self._add(objective, key, came, batch.taken_at, None)

    def _add(
        self,
        objective: Objective,
        model: tuple[str, ...],
        came: Growth | None,
        now: float,
        bound: float | None,
    ) -> None:
        server, provider, name = model
        key = (objective.name, server, provider, name)
        fresh = key not in self._counts
        count = self._counts.setdefault(key, _Count())
        if bound is not None:  # engines of one server may differ: tell the strictest
            again = count.seen_at == now and count.bound is not None
            count.bound = min(bound, count.bound or bound) if again else bound
        count.seen_at = now
        if came is None:
            return
        if fresh or count.coming:
            count.coming.append(came)
        else:
            count.good += came.good
            count.total += came.total

    def _faults(self, batch: Batch) -> list[Problem]:
        """Return why a histogram that an objective is about cannot be counted by it."""
        return [
            problem
            for each in self._objectives
            if each.signal in LATENCIES
            for problem in _unfit(each, batch.readings)
        ]


def _unfit(objective: Objective, readings: Iterable[Reading]) -> Iterator[Problem]:
    metric: Metric = LATENCIES[objective.signal]
    threshold = objective.threshold or 0.0
    told: set[tuple[str, str]] = set()
    for reading, attributes, value in readings:
        about = (attributes[0], attributes[2]) if reading is metric else None
        if about is None or about in told or not objective.covers(*about):
            continue
        if not isinstance(value, Distribution) or bound_for(value.bounds, threshold) is not None:
            continue
        told.add(about)
        whose = f"SLO {objective.name}: {metric.name} of {about[1] or 'the server'}"
        if value.bounds:
            why = f"has no bound up to {threshold:g} s; its first is {value.bounds[0]:g} s"
            yield Problem("no_bucket_fits", about[0], f"{whose} {why}")
        else:
            yield Problem("no_buckets", about[0], f"{whose} has a mean and no buckets")
