"""Histograms and summaries of a page. The hot path: most of a page is buckets.

Which series make up which histogram, and what its bounds are, is worked out when the series change; from
page to page only the numbers are read.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from operator import itemgetter
from typing import Final

from agent.collectors.exposition import NONE, Faults, Page, Samples, Series
from agent.collectors.serving.continuity import HISTOGRAMS, Continuity
from agent.collectors.serving.histogram import (
    MalformedError,
    checked_bounds,
    counted,
    merged,
    summary,
)
from agent.collectors.serving.labels import Attributes, Labels, Row, lowest_ranks
from agent.collectors.serving.profile import Source
from agent.collectors.serving.settling import settle
from agent.snapshot import Distribution

Distributions = dict[Attributes, Distribution]
_Numbers = tuple[Sequence[float], float | None, float | None]
_BUCKETS: Final = 0
_SUM: Final = 1
_COUNT: Final = 2


class _Layout:
    """Where on the page the numbers of one histogram stand."""

    __slots__ = ("bounds", "count_at", "fault", "key", "last", "per", "row", "sum_at", "take")

    def __init__(self, row: Row, key: Attributes, per: float) -> None:
        self.row = row
        self.key = key
        self.per = per
        self.bounds: tuple[float, ...] = ()
        self.take: Callable[[Sequence[float]], Sequence[float]] = tuple
        self.sum_at: int | None = None
        self.count_at: int | None = None
        self.fault: MalformedError | None = None
        self.last: tuple[_Numbers, Distribution] | None = None

    def place(self, bounds: list[float], positions: list[int]) -> None:
        """Take in the bounds and where their counts are."""
        try:
            self.bounds = checked_bounds(bounds, self.per)
        except MalformedError as error:
            self.fault = error
            return
        first, last = positions[0], positions[-1]
        together = last - first + 1 == len(positions) or len(positions) == 1
        self.take = itemgetter(slice(first, last + 1)) if together else itemgetter(*positions)

    def read(self, values: Sequence[Sequence[float]]) -> Distribution:
        """Return the histogram; the object of the last page while nothing happened."""
        if self.fault is not None:
            raise self.fault
        numbers = (
            self.take(values[_BUCKETS]),
            None if self.sum_at is None else values[_SUM][self.sum_at],
            None if self.count_at is None else values[_COUNT][self.count_at],
        )
        if self.last is not None and self.last[0] == numbers:
            return self.last[1]
        made = counted(self.bounds, *numbers, per=self.per)
        self.last = (numbers, made)
        return made


class Histograms:
    """Reads the histograms of one source, added up where the catalogue does not tell series apart."""

    __slots__ = ("_columns", "_continuity", "_labels", "_layouts", "_series", "_source", "_told")

    def __init__(self, source: Source, labels: Labels) -> None:
        self._source = source
        self._labels = labels
        self._continuity = Continuity(HISTOGRAMS)
        self._series: list[tuple[Series, ...]] = []
        self._layouts: list[_Layout] = []
        self._columns: list[Samples] = []
        self._told: Distributions = {}
        """What the last page had, and what came of it where it had no fault."""

    def read(self, page: Page, faults: Faults) -> Distributions:
        """Return the histograms on a page, the same object while none moves.

        One that contradicts itself is left out as a whole.
        """
        columns = [page.samples.get(name, NONE) for name in self._source.samples]
        if columns == self._columns:
            return self._told
        self._columns = columns
        series = [column.series for column in columns]
        values = [column.values for column in columns]
        if series != self._series:
            values = [tuple(table.values()) for table in self._meet(page, series, faults)]
        found: dict[Attributes, dict[Hashable, Distribution]] = {}
        refused: set[Attributes] = set()
        for layout in self._layouts:
            try:
                found.setdefault(layout.key, {})[layout.row] = layout.read(values)
            except MalformedError as error:
                self._blame(layout.key, error, faults)
                refused.add(layout.key)
        self._told = self._totals(
            {key: each for key, each in found.items() if key not in refused}, faults
        )
        return self._told

    def _totals(
        self, found: dict[Attributes, dict[Hashable, Distribution]], faults: Faults
    ) -> Distributions:
        totals: Distributions = {}
        for key, parts in found.items():
            try:
                totals[key] = self._continuity.total(key, parts)
            except MalformedError as error:
                self._blame(key, error, faults)
        return totals

    def _blame(self, key: Attributes, error: MalformedError, faults: Faults) -> None:
        self._columns = []  # a fault is told of each page that has it
        faults.add(error.reason, self._source.name, f"{' '.join(filter(None, key))}: {error}")

    def _meet(
        self, page: Page, series: list[tuple[Series, ...]], faults: Faults
    ) -> list[Mapping[Series, float]]:
        """Lay out a page with other series than the last one, and return what of it counts.

        Where something stands there twice, what counts depends on the values: nothing is remembered.
        """
        self._labels.forget(page)
        doubled = any(len(set(each)) != len(each) for each in series)
        self._series = [] if doubled else series
        self._columns = [] if doubled else self._columns
        contested: set[Row] = set()
        tables: list[Mapping[Series, float]] = []
        for name in self._source.samples:
            settled = settle(page, name, faults)
            contested.update(self._labels.row(each)[0] for each in settled.contested)
            tables.append(settled.values)
        known = {layout.row: layout for layout in self._layouts}
        self._layouts = [layout for layout in self._laid_out(tables) if layout.row not in contested]
        for layout in self._layouts:
            if layout.row in known and known[layout.row].bounds == layout.bounds:
                layout.last = known[layout.row].last
        return tables

    def _laid_out(self, tables: list[Mapping[Series, float]]) -> list[_Layout]:
        row_of = self._labels.row
        buckets: dict[Row, tuple[list[float], list[int]]] = {}
        for position, series in enumerate(tables[_BUCKETS]):
            row, bound = row_of(series)
            bounds, positions = buckets.setdefault(row, ([], []))
            bounds.append(bound)
            positions.append(position)
        sums, counts = (
            {row_of(series)[0]: at for at, series in enumerate(tables[part])}
            for part in (_SUM, _COUNT)
        )
        rows = dict.fromkeys((*buckets, *sums, *counts))
        lowest = lowest_ranks((row.attributes, row.rank) for row in rows)
        layouts = []
        for row in rows:
            if row.attributes is None or row.rank != lowest[row.attributes]:
                continue
            layout = _Layout(row, row.attributes, self._source.per)
            layout.place(*buckets.get(row, ([], [])))
            layout.sum_at, layout.count_at = sums.get(row), counts.get(row)
            layouts.append(layout)
        return layouts


class _Parts:
    """What a page has of one summary."""

    __slots__ = ("count", "quantiles", "total")

    def __init__(self) -> None:
        self.quantiles: dict[float, float] = {}
        self.total: float | None = None
        self.count: float | None = None


class Summaries:
    """Reads the summaries of one source: with quantiles, or as histograms without bounds.

    Quantiles of several series cannot be added up: then there are none, and it is said.
    """

    def __init__(self, source: Source, labels: Labels, *, with_quantiles: bool) -> None:
        self._source = source
        self._labels = labels
        self._with_quantiles = with_quantiles

    def read(self, page: Page, faults: Faults) -> Distributions:
        """Return the summaries on a page."""
        self._labels.forget(page)
        found: Distributions = {}
        refused: set[Attributes] = set()
        for row, parts in self._parts(page, faults).items():
            key = row.attributes
            if key is None:
                continue
            try:
                quantiles = parts.quantiles if self._with_quantiles else {}
                made = summary(quantiles, parts.total, parts.count, per=self._source.per)
                found[key] = self._joined(found[key], made) if key in found else made
            except MalformedError as error:
                detail = f"{' '.join(filter(None, key))}: {error}"
                faults.add(error.reason, self._source.name, detail)
                refused.add(key)
        return {
            key: value
            for key, value in found.items()
            if key not in refused and bool(value.quantiles) == self._with_quantiles
        }

    def _joined(self, one: Distribution, other: Distribution) -> Distribution:
        if self._with_quantiles:
            raise MalformedError("quantiles of two series have no sum", "ambiguous_series")
        return merged(one, other)

    def _parts(self, page: Page, faults: Faults) -> dict[Row, _Parts]:
        rows: dict[Row, _Parts] = {}
        contested: set[Row] = set()
        of = self._labels.quantile
        quantiles, sums, counts = (settle(page, name, faults) for name in self._source.samples)
        for series, value in quantiles.values.items():
            row, share = of(series)
            rows.setdefault(row, _Parts()).quantiles[share] = value
        for series, value in sums.values.items():
            rows.setdefault(of(series)[0], _Parts()).total = value
        for series, value in counts.values.items():
            rows.setdefault(of(series)[0], _Parts()).count = value
        for settled in (quantiles, sums, counts):
            contested.update(of(series)[0] for series in settled.contested)
        lowest = lowest_ranks((row.attributes, row.rank) for row in rows)
        return {
            row: parts
            for row, parts in rows.items()
            if row not in contested and row.rank == lowest[row.attributes]
        }
