"""From a page of metrics to readings of the catalogue, by a profile. Pure: no clock, no network.

A family that is missing is absent, never 0. Whatever contradicts itself is absent and counted.
"""

from collections.abc import Mapping
from typing import Protocol

from agent.catalogue import Kind
from agent.collectors.exposition import Faults, Page
from agent.collectors.serving.amounts import Combining
from agent.collectors.serving.declared import has_its_type, is_on, size
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
from agent.snapshot import Distribution, Reading

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

    def readings(self, page: Page, faults: Faults) -> list[Reading]:
        """Return what the page says of each signal; what cannot be believed goes to ``faults``."""
        readings: list[Reading] = []
        for signal in self._signals:
            readings += signal.readings(page, faults)
        return readings


class _Translated:
    """Reads one signal: from the first origin that the page has values of."""

    def __init__(self, reader: Reader, signal: Signal) -> None:
        self._metric = signal.metric
        self._origins = [_origin(reader, signal, each) for each in signal.sources]
        self._models = One(reader, signal.models, Combining.ADD) if signal.models else None

    def readings(self, page: Page, faults: Faults) -> list[Reading]:
        for origin in self._origins:
            if not origin.is_on(page):
                continue
            values = origin.read(page, faults)
            if values and self._models is not None:
                values = _named(values, self._models.read(page, faults))
            if values:
                return [Reading(self._metric, key, value) for key, value in values.items()]
        return []


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

    def __init__(self, reader: Reader, signal: Signal, source: Source) -> None:
        self._source = source
        self._labels = Labels(reader, source, of_server=signal.of_server)
        self._family: Histograms | Summaries
        if source.native is Native.HISTOGRAM:
            self._family = Histograms(source, self._labels)
        else:
            with_quantiles = signal.metric.kind is Kind.SUMMARY
            self._family = Summaries(source, self._labels, with_quantiles=with_quantiles)

    def is_on(self, page: Page) -> bool:
        return is_on(page, self._source)

    def read(self, page: Page, faults: Faults) -> Distributions:
        if not has_its_type(page, self._source, faults):
            return {}
        self._labels.forget(size(page, self._source))
        return self._family.read(page, faults)


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
        case _:
            return numbers(reader, origin, combining_of(signal.metric), of_server=of_server)
