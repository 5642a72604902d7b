"""Gauges and counters of one family, added up where the server splits what the catalogue does not."""

from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from math import isfinite, isnan
from typing import Final

from agent.collectors.exposition import NONE, Faults, Page, Sample, Samples, Series
from agent.collectors.serving.continuity import NUMBERS, Continuity
from agent.collectors.serving.labels import Attributes, Labels, number
from agent.collectors.serving.profile import Native, Source
from agent.collectors.serving.settling import settle

IMPOSSIBLE: Final = 2.0**63
"""Where 64 bits end: a count below zero that has no sign, or one of NVIDIA's marks for "not known"."""

_Known = tuple[Attributes | None, float | None]
"""The attributes of a series and, where it stands in a label, its value."""


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

    refused: frozenset[Attributes | None] = frozenset()
    void: bool = False

    def without(
        self, refused: Iterable[Attributes | None] = (), *, void: bool = False
    ) -> "Amounts":
        """Say for which attributes there is nothing that can be believed; return itself."""
        self.refused = frozenset(refused)
        self.void = void
        return self


class Family:
    """Reads the numbers of one source: the first of its names that a page has.

    A sum that lacks a part would be wrong and is left out. Negative values are refused: nothing that a
    model server counts is negative.
    """

    __slots__ = (
        *("_combining", "_continuity", "_found", "_labels"),
        *("_plain", "_plan", "_samples", "_series", "_source", "_split"),
    )

    def __init__(self, source: Source, labels: Labels, combining: Combining) -> None:
        self._source = source
        self._labels = labels
        self._combining = combining
        self._continuity = None if source.native is Native.GAUGE else Continuity(NUMBERS)
        self._plain = not (source.newest or source.sentinels)
        self._series: tuple[Series, ...] = ()
        self._plan: list[_Known] = []
        """Of the series of the last page; those that do not count have no attributes here."""
        self._split: frozenset[Attributes] = frozenset()
        """What several of them make up, or did once."""
        self._samples: Samples = NONE
        self._found = Amounts()
        """Of the plan, what was last read and what came of it."""

    def read(self, page: Page, faults: Faults) -> Amounts:
        """Return the values on a page, in the catalogue's unit."""
        for name in self._source.samples:
            samples = page.samples.get(name)
            if samples is not None:
                found = self._as_before(samples)
                return self._read(page, name, faults) if found is None else found
        return Amounts()

    def _as_before(self, samples: Samples) -> Amounts | None:
        """Return the values of a page with the series of the plan; the same object while none moves.

        `None` where it has others, or a value that needs a second look.
        """
        if samples.series != self._series:
            return None
        if samples is self._samples:
            return self._found
        per = self._source.per
        found = Amounts()
        parts: dict[Attributes, dict[Hashable, float]] = {}
        for series, value, (key, told) in zip(
            samples.series, samples.values, self._plan, strict=True
        ):
            amount = value if told is None else told
            if not 0.0 <= amount < IMPOSSIBLE:
                return None
            if key is None:
                continue
            found[key] = amount / per
            if key in self._split:
                parts.setdefault(key, {})[series] = amount
        for key, each in parts.items():
            found[key] = self._total(key, each) / per
        self._samples, self._found = samples, found
        return found

    def _read(self, page: Page, name: str, faults: Faults) -> Amounts:
        self._labels.forget(page)
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
        totals = {
            key: self._total(key, each) / per for key, each in parts.items() if key not in refused
        }
        doubled = len(settled.values) < len(page.samples.get(name, NONE))
        if self._plain and not refused and not doubled:
            self._learn(page.samples[name].series, parts)
        else:
            self._series = ()
        return Amounts(totals).without(refused)

    def _learn(
        self,
        series: tuple[Series, ...],
        parts: Mapping[Attributes, Mapping[Hashable, float]],
    ) -> None:
        """Remember which series count, and for what: that is so until there are others."""
        of_label = self._of_label if self._source.value_label else _nothing
        counted = {one: key for key, each in parts.items() for one in each}
        self._plan = [(counted.get(one), of_label(one)) for one in series]
        self._split = frozenset(
            key for key, each in parts.items() if len(each) > 1 or self._was_split(key)
        )
        # Of shares that say the same, the next page may say something else.
        same = self._combining is Combining.ADD or not self._split
        self._series, self._samples = series if same else (), NONE

    def _was_split(self, key: Attributes) -> bool:
        return self._continuity is not None and self._continuity.follows(key)

    def _kept(self, samples: Iterable[Sample]) -> Iterable[Sample]:
        source = self._source
        kept = self._labels.foremost(samples)
        if source.newest:
            here = (sample for sample in kept if self._labels.attributes(sample[0]) is not None)
            newest = max(here, key=lambda sample: sample[1], default=None)
            kept = [] if newest is None else [newest]
        if not source.value_label:
            return kept
        told = ((series, self._of_label(series)) for series, value in kept if not isnan(value))
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
        if value >= IMPOSSIBLE:
            return "out_of_range"
        if not known or self._combining is Combining.ADD:
            return ""
        same = self._combining is Combining.SAME and value in known.values()
        return "" if same else "ambiguous_series"

    def _total(self, key: Attributes, parts: dict[Hashable, float]) -> float:
        if self._combining is not Combining.ADD:
            return next(iter(parts.values()))
        if self._continuity is None:
            return sum(parts.values())
        return self._continuity.total(key, parts)


def _nothing(_: Series) -> None:
    return None
