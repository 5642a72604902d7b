"""Gauges and counters of one family, added up where the server splits what the catalogue does not."""

from collections.abc import Hashable, Iterable
from enum import Enum
from math import isfinite, isnan

from agent.collectors.exposition import Faults, Page, Sample, Series
from agent.collectors.serving.continuity import NUMBERS, Continuity
from agent.collectors.serving.labels import Attributes, Labels, number
from agent.collectors.serving.profile import Native, Source
from agent.collectors.serving.settling import settle


class Combining(Enum):
    """What several series of one model mean that differ only in what the catalogue does not tell."""

    ADD = "add"
    ALONE = "alone"
    """Nothing: two shares have no sum."""
    SAME = "same"
    """The same thing, if they say the same."""


class Amounts(dict[Attributes, float]):
    """Values by the attributes that they have.

    ``refused`` are those for which there was something that cannot be believed; ``void`` where that is
    the whole family.
    """

    __slots__ = ("refused", "void")

    def __init__(
        self,
        values: Iterable[tuple[Attributes, float]] = (),
        refused: Iterable[Attributes | None] = (),
        *,
        void: bool = False,
    ) -> None:
        super().__init__(values)
        self.refused = frozenset(refused)
        self.void = void


class Family:
    """Reads the numbers of one source: the first of its names that a page has.

    A sum that lacks a part would be wrong and is left out. Negative values are refused: nothing that a
    model server counts is negative.
    """

    def __init__(self, source: Source, labels: Labels, combining: Combining) -> None:
        self._source = source
        self._labels = labels
        self._combining = combining
        self._continuity = None if source.native is Native.GAUGE else Continuity(NUMBERS)

    def read(self, page: Page, faults: Faults) -> Amounts:
        """Return the values on a page, in the catalogue's unit."""
        name = next((name for name in self._source.samples if name in page.samples), "")
        settled = settle(page, name, faults)
        attributes, per = self._labels.attributes, self._source.per
        parts: dict[Attributes, dict[Hashable, float]] = {}
        refused: set[Attributes | None] = set(map(attributes, settled.contested))
        for series, value in self._kept(settled.values.items()):
            key = attributes(series)
            if key is None or self._is_sentinel(value):
                continue
            known = parts.setdefault(key, {})
            reason = self._fault(value, known)
            if reason:
                faults.add(reason, name, f"{series!r} is {value:g}")
                refused.add(key)
            known[series] = value
        # Divided, which is exact where multiplying is not.
        return Amounts(
            (
                (key, self._total(key, each) / per)
                for key, each in parts.items()
                if key not in refused
            ),
            refused,
        )

    def _kept(self, samples: Iterable[Sample]) -> Iterable[Sample]:
        source = self._source
        kept = self._labels.foremost(samples)
        if source.newest:
            here = (sample for sample in kept if self._labels.attributes(sample[0]) is not None)
            newest = max(here, key=lambda sample: sample[1], default=None)
            kept = [] if newest is None else [newest]
        if not source.value_label:
            return kept
        told = ((series, self._of_label(series)) for series, _ in kept)
        return [(series, value) for series, value in told if not isnan(value)]

    def _of_label(self, series: Series) -> float:
        text = series.labels.get(self._source.value_label, "")
        if self._source.listed:
            return float(len({name.strip() for name in text.split(",")} - {""}))
        return number(text)

    def _is_sentinel(self, value: float) -> bool:
        sentinels = self._source.sentinels
        return bool(sentinels) and (
            value in sentinels or (isnan(value) and any(map(isnan, sentinels)))
        )

    def _fault(self, value: float, known: dict[Hashable, float]) -> str:
        if not isfinite(value):
            return "not_finite"
        if value < 0:
            return "negative"
        if not known or self._combining is Combining.ADD:
            return ""
        same = self._combining is Combining.SAME and value in known.values()
        return "" if same else "ambiguous_series"

    def _total(self, key: Attributes, parts: dict[Hashable, float]) -> float:
        if self._combining is not Combining.ADD:
            return next(iter(parts.values()))
        return self._continuity.total(key, parts) if self._continuity else sum(parts.values())
