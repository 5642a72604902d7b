"""From a page of metrics to readings of the catalogue, by a profile. Pure: no clock, no network.

A family that is missing is absent, never 0. Whatever contradicts itself is absent and counted.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from agent.catalogue import Metric
from agent.collectors.exposition import CONFLICTING, UNKNOWN, Faults, Page
from agent.collectors.serving.amounts import read_amounts
from agent.collectors.serving.histogram import MalformedError, distribution, merged
from agent.collectors.serving.labels import Attributes, Labels, Row
from agent.collectors.serving.profile import Native, Profile, Source, spellings
from agent.collectors.serving.settling import settle
from agent.snapshot import Distribution, Reading

Values = Mapping[Attributes, float] | Mapping[Attributes, Distribution]


class _Origin(NamedTuple):
    """A source with what is known of its series."""

    source: Source
    labels: Labels


class Translation:
    """Reads the pages of one server by one profile. ``server`` is the server's name."""

    def __init__(self, profile: Profile, server: str) -> None:
        self._signals = [
            (
                signal.metric,
                tuple(
                    _Origin(source, Labels(profile, server, signal, source))
                    for source in signal.sources
                ),
            )
            for signal in profile.signals
        ]

    def readings(self, page: Page, faults: Faults) -> list[Reading]:
        """Return what the page says of each signal; what cannot be believed goes to ``faults``."""
        readings: list[Reading] = []
        for metric, origins in self._signals:
            origin = next((origin for origin in origins if _is_on(page, origin.source)), None)
            if origin is not None and _has_its_type(page, origin.source, faults):
                origin.labels.forget(_size(page, origin.source))
                values = _READERS[origin.source.native](page, metric, origin, faults)
                readings += [Reading(metric, key, value) for key, value in values.items()]
        return readings


def _is_on(page: Page, source: Source) -> bool:
    return any(name in page.samples for name in source.samples)


def _size(page: Page, source: Source) -> int:
    return sum(len(page.samples.get(name, ())) for name in source.samples)


def _has_its_type(page: Page, source: Source, faults: Faults) -> bool:
    """Tell whether ``# TYPE`` says what the profile expects, or nothing. A conflict is a fault."""
    if source.native in (Native.HISTOGRAM, Native.GAUGE):
        expected, declared = (
            source.native.value,
            {source.name: page.types.get(source.name, UNKNOWN)},
        )
    else:
        expected = Native.COUNTER.value
        declared = {name: page.type_of(name) for name in source.samples if name in page.samples}
    for family, kind in declared.items():
        if kind == CONFLICTING:
            faults.add("conflicting_type", family, "declared twice, as different types")
        elif kind not in (expected, UNKNOWN):
            faults.add("unexpected_type", family, f"is a {kind} here, not a {expected}")
    return all(kind in (expected, UNKNOWN) for kind in declared.values())


def _scalar(page: Page, metric: Metric, origin: _Origin, faults: Faults) -> Values:
    return read_amounts(page, origin.source.samples, origin.labels, metric, faults).scaled(
        origin.source.per
    )


def _mean(page: Page, metric: Metric, origin: _Origin, faults: Faults) -> Values:
    """Make a histogram without bounds: what was spent, and how often. Both must be there."""
    source = origin.source
    spent = read_amounts(page, spellings(source.name), origin.labels, metric, faults)
    times = read_amounts(page, spellings(source.divisor), origin.labels, metric, faults)
    found: dict[Attributes, Distribution] = {}
    for key, amount in spent.scaled(source.per).items():
        count = times.get(key)
        if count is None:
            continue
        if not count.is_integer():
            faults.add("malformed_histogram", source.divisor, f"{count:g} is not a whole number")
            continue
        found[key] = Distribution((), (int(count),), amount)
    return found


def _histogram(page: Page, _: Metric, origin: _Origin, faults: Faults) -> Values:
    source, labels = origin.source, origin.labels
    rows = _rows(page, source, labels, faults)
    found: dict[Attributes, Distribution] = {}
    refused: set[Attributes] = set()
    for row, parts in rows.items():
        key = row.attributes
        if key is None:
            continue
        try:
            value = distribution(
                parts.bounds, parts.cumulative, parts.total, parts.count, per=source.per
            )
            found[key] = merged(found[key], value) if key in found else value
        except MalformedError as error:
            faults.add(error.reason, source.name, f"{' '.join(filter(None, key))}: {error}")
            refused.add(key)
    return {key: value for key, value in found.items() if key not in refused}


class _Parts:
    """What a page has of one histogram."""

    __slots__ = ("bounds", "count", "cumulative", "total")

    def __init__(self) -> None:
        self.bounds: list[float] = []
        self.cumulative: list[float] = []
        self.total: float | None = None
        self.count: float | None = None


def _rows(page: Page, source: Source, labels: Labels, faults: Faults) -> dict[Row, _Parts]:
    """Gather the histograms of a family; one with a contested sample is left out as a whole."""
    rows: dict[Row, _Parts] = {}
    contested: set[Row] = set()
    buckets, sums, counts = (settle(page, name, faults) for name in source.samples)
    row_of, last, into = labels.row, None, _Parts()
    for series, value in buckets.values.items():
        row, bound = row_of(series)
        if row is not last:  # the buckets of a histogram follow each other
            last, into = row, rows.setdefault(row, _Parts())
        into.bounds.append(bound)
        into.cumulative.append(value)
    for series, value in sums.values.items():
        rows.setdefault(labels.row(series)[0], _Parts()).total = value
    for series, value in counts.values.items():
        rows.setdefault(labels.row(series)[0], _Parts()).count = value
    for settled in (buckets, sums, counts):
        contested.update(labels.row(series)[0] for series in settled.contested)
    return {row: parts for row, parts in rows.items() if row not in contested}


_READERS: Mapping[Native, Callable[[Page, Metric, _Origin, Faults], Values]] = {
    Native.GAUGE: _scalar,
    Native.COUNTER: _scalar,
    Native.PAIR: _mean,
    Native.HISTOGRAM: _histogram,
}
