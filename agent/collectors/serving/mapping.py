"""From a page of metrics to readings of the catalogue, by a profile. Pure: no clock, no network.

A family that is missing is absent, never 0. Whatever contradicts itself is absent and counted.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.catalogue import Kind
from agent.collectors.exposition import Faults, Page
from agent.collectors.serving.amounts import Combining
from agent.collectors.serving.declared import Declaration, is_on
from agent.collectors.serving.histogram import MalformedError, merged
from agent.collectors.serving.info import Informed
from agent.collectors.serving.labels import (
    ENGINE_AT,
    IDENTITY,
    MODEL_AT,
    Attributes,
    Labels,
    Reader,
)
from agent.collectors.serving.profile import (
    Added,
    Facts,
    Mean,
    Native,
    Origin,
    Profile,
    Signal,
    Source,
)
from agent.collectors.serving.rows import Distributions, Histograms, Summaries
from agent.collectors.serving.scalars import Means, One, combining_of, numbers
from agent.snapshot import Distribution, Reading, SeriesKey

Values = Mapping[Attributes, float | Distribution]


class _Origin(Protocol):
    """Where a signal can come from."""

    def is_on(self, page: Page) -> bool: ...

    def read(self, page: Page, faults: Faults) -> Values: ...


class Translation:
    """Reads the pages of one server by one profile.

    ``server`` is the server's name; ``model`` names the model where the server's labels name none.
    """

    def __init__(self, profile: Profile, server: str, model: str = "") -> None:
        reader = Reader(profile, server, model)
        self._signals = [_Translated(reader, signal) for signal in profile.signals]
        metrics = [signal.metric for signal in profile.signals]
        self._shared = frozenset(metric for metric in metrics if metrics.count(metric) > 1)

    def readings(self, page: Page, faults: Faults) -> list[Reading]:
        """Return what the page says of each signal; what cannot be believed goes to ``faults``."""
        readings: list[Reading] = []
        told: set[SeriesKey] = set()
        for signal in self._signals:
            found = signal.readings(page, faults)
            if signal.metric in self._shared:
                found = _first_told(found, told, faults)
            readings += found
        return readings


def _first_told(readings: list[Reading], told: set[SeriesKey], faults: Faults) -> list[Reading]:
    """Leave out series that another signal of the same metric has told: a series has one value."""
    kept = []
    for reading in readings:
        key = (reading.metric, reading.attributes)
        if key in told:
            detail = f"two signals of the profile give {' '.join(filter(None, reading.attributes))}"
            faults.add("ambiguous_series", reading.metric.name, detail)
        else:
            told.add(key)
            kept.append(reading)
    return kept


class _Translated:
    """Reads one signal: from the first origin that the page has values of."""

    __slots__ = ("_models", "_origins", "_readings", "_values", "metric")

    def __init__(self, reader: Reader, signal: Signal) -> None:
        self.metric = signal.metric
        self._origins = [_origin(reader, signal, each) for each in signal.sources]
        self._models = One(reader, signal.models, Combining.ADD) if signal.models else None
        self._values: Values = {}
        self._readings: list[Reading] = []

    def readings(self, page: Page, faults: Faults) -> list[Reading]:
        """Return what the page says; the readings of the last one where it says the same."""
        values = self._read(page, faults)
        if values is not self._values:
            self._values = values
            self._readings = [Reading(self.metric, key, value) for key, value in values.items()]
        return self._readings

    def _read(self, page: Page, faults: Faults) -> Values:
        for origin in self._origins:
            if not origin.is_on(page):
                continue
            values = origin.read(page, faults)
            if values and self._models is not None:
                values = _named(values, self._models.read(page, faults))
            if values:
                return values
        return {}


def _named(values: Values, models: Mapping[Attributes, float]) -> Values:
    """Return the values under the model of their engine, where there is one and no second."""
    by_engine: dict[str, list[Attributes]] = {}
    for model in models:
        by_engine.setdefault(model[ENGINE_AT], []).append(model)
    named = {}
    for key, value in values.items():
        identities = by_engine.get(key[ENGINE_AT], [])
        alone = len(identities) == 1 and not key[MODEL_AT]
        named[(*identities[0], *key[IDENTITY:]) if alone else key] = value
    return named


class _Distributed:
    """Reads the histograms or summaries of one family."""

    __slots__ = ("_declaration", "_family", "_source")

    def __init__(self, reader: Reader, signal: Signal, source: Source) -> None:
        self._source = source
        self._declaration = Declaration(source)
        labels = Labels(reader, source, of_server=signal.of_server)
        self._family: Histograms | Summaries
        if source.native is Native.HISTOGRAM:
            self._family = Histograms(source, labels)
        else:
            with_quantiles = signal.metric.kind is Kind.SUMMARY
            self._family = Summaries(source, labels, with_quantiles=with_quantiles)

    def is_on(self, page: Page) -> bool:
        return is_on(page, self._source)

    def read(self, page: Page, faults: Faults) -> Distributions:
        if not self._declaration.fits(page, faults):
            return {}
        return self._family.read(page, faults)


class _Merged:
    """Reads the histograms of several families as one: those of a proxy for HTTP and of one for gRPC."""

    def __init__(self, parts: Sequence[_Distributed], name: str) -> None:
        self._parts = parts
        self._name = name

    def is_on(self, page: Page) -> bool:
        return any(part.is_on(page) for part in self._parts)

    def read(self, page: Page, faults: Faults) -> Distributions:
        """Return the sums; nothing where a part has a fault, because a sum without it would be wrong."""
        found: Distributions = {}
        known = len(faults.problems())
        for part in self._parts:
            for key, value in part.read(page, faults).items() if part.is_on(page) else ():
                try:
                    found[key] = merged(found[key], value) if key in found else value
                except MalformedError as error:
                    faults.add(error.reason, self._name, f"{' '.join(filter(None, key))}: {error}")
        return found if len(faults.problems()) == known else {}


def _origin(reader: Reader, signal: Signal, origin: Origin) -> _Origin:
    of_server = signal.of_server
    match origin:
        case Mean():
            of = numbers(reader, origin.of, Combining.ADD, of_server=of_server)
            over = numbers(reader, origin.over, Combining.ADD, of_server=of_server)
            return Means(of, over, next(iter(origin.over.leaves)).name)
        case Facts():
            return Informed(reader, origin)
        case Source(native=Native.HISTOGRAM | Native.SUMMARY):
            return _Distributed(reader, signal, origin)
        case Added() if signal.metric.kind is Kind.HISTOGRAM:
            leaves = tuple(origin.leaves)
            return _Merged([_Distributed(reader, signal, leaf) for leaf in leaves], leaves[0].name)
        case _:
            return numbers(reader, origin, combining_of(signal.metric), of_server=of_server)
