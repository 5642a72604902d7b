"""Info series: what a page tells of the configuration of each model, gathered from several families."""

from collections.abc import Iterable, Mapping
from math import isnan

from agent.collectors.exposition import NONE, Faults, Page, Samples
from agent.collectors.serving.amounts import IMPOSSIBLE, Combining
from agent.collectors.serving.declared import Declaration, is_on
from agent.collectors.serving.labels import Attributes, Labels, Reader
from agent.collectors.serving.profile import Facts, Source
from agent.collectors.serving.scalars import One, of_model


class Informed:
    """Gives one series for each model, always 1, with the facts that are told of it."""

    def __init__(self, reader: Reader, facts: Facts) -> None:
        self._models = One(reader, facts.models, Combining.ADD)
        self._last: tuple[object, Mapping[Attributes, float]] = ((), {})
        self._parts = [[_Fact(reader, source) for source in sources] for sources in facts.parts]

    def is_on(self, page: Page) -> bool:
        """Tell whether the page names models."""
        return self._models.is_on(page)

    def read(self, page: Page, faults: Faults) -> Mapping[Attributes, float]:
        """Return the series."""
        models = tuple(self._models.read(page, faults))
        told = [_first(page, sources, faults) for sources in self._parts]
        known, series = self._last
        if known != (models, told):
            series = {
                (*key, *(of_model(texts, key) or "" for texts in told)): 1.0 for key in models
            }
            self._last = ((models, told), series)
        return series


class _Fact:
    """One fact by the identity of the model that it is told of."""

    def __init__(self, reader: Reader, source: Source) -> None:
        self._source = source
        self._declaration = Declaration(source)
        self._labels = Labels(reader, source, of_server=False)
        self._last: tuple[Samples, Mapping[Attributes, str]] = (NONE, {})

    def is_on(self, page: Page) -> bool:
        return is_on(page, self._source)

    def read(self, page: Page, faults: Faults) -> Mapping[Attributes, str]:
        if not self._declaration.fits(page, faults):
            return {}
        samples = page.samples[next(name for name in self._source.samples if name in page.samples)]
        if samples is self._last[0]:
            return self._last[1]
        self._labels.forget(page)
        found: dict[Attributes, str] = {}
        for series, value in self._labels.foremost(samples):
            key = self._labels.attributes(series)
            text = self._text(series.labels, value)
            if key is not None and text:
                # Of two that contradict each other, neither is known to be true.
                found[key] = text if found.get(key, text) == text else ""
        told = {key: text for key, text in found.items() if text}
        self._last = (samples, told)
        return told

    def _text(self, labels: Mapping[str, str], value: float) -> str:
        if isnan(value):  # the page does not say that it is so
            return ""
        if self._source.value_label:
            text = labels.get(self._source.value_label, "")
            return "" if text == "None" else text
        scaled = value / self._source.per
        return str(int(scaled)) if scaled.is_integer() and 0 < scaled < IMPOSSIBLE else ""


def _first(page: Page, sources: Iterable[_Fact], faults: Faults) -> Mapping[Attributes, str]:
    for source in sources:
        if source.is_on(page) and (told := source.read(page, faults)):
            return told
    return {}
