"""From a server's labels to the catalogue's attributes, worked out once per series."""

from collections.abc import Iterable, Mapping
from math import nan
from typing import Final, NamedTuple

from agent.collectors.exposition import Page, Sample, Series
from agent.collectors.serving.profile import Profile, Source

Attributes = tuple[str, ...]
Rank = tuple[tuple[int, str], ...]
IDENTITY: Final = 5
"""Attributes that every metric of a model begins with: server, provider, model, version, engine."""
MODEL_AT: Final = 2
ENGINE_AT: Final = 4
_DIGITS: Final = 10
"""More than any rank has."""
_SLACK: Final = 100
"""Series that may be remembered beyond twice those of the page."""


class Reader(NamedTuple):
    """Whose pages are read: by which profile, under which name.

    ``model`` names the model where the server's own labels name none.
    """

    profile: Profile
    server: str
    model: str = ""


class Row:
    """One histogram of the server: its series without ``le``. Compared as an object."""

    __slots__ = ("attributes", "rank")

    def __init__(self, attributes: Attributes | None, rank: Rank) -> None:
        self.attributes = attributes
        self.rank = rank


class Labels:
    """Knows the attributes of the series of one source. They are `None` where it leaves a series out."""

    __slots__ = (
        *("_attributes", "_of_server", "_reader"),
        *("_rows", "_rows_by_labels", "_source"),
    )

    def __init__(self, reader: Reader, source: Source, *, of_server: bool) -> None:
        self._reader = reader
        self._source = source
        self._of_server = of_server
        self._attributes: dict[Series, Attributes | None] = {}
        self._rows: dict[Series, tuple[Row, float]] = {}
        self._rows_by_labels: dict[tuple[tuple[str, str], ...], Row] = {}

    def forget(self, page: Page) -> None:
        """Forget everything if much more is remembered than a page holds: labels that come and go."""
        if len(self._attributes) <= _SLACK and len(self._rows) <= _SLACK:
            return
        if max(len(self._attributes), len(self._rows)) > 2 * self._size(page) + _SLACK:
            self._attributes.clear()
            self._rows.clear()
            self._rows_by_labels.clear()

    def _size(self, page: Page) -> int:
        return sum(len(page.samples.get(name, ())) for name in self._source.samples)

    def attributes(self, series: Series) -> Attributes | None:
        """Return the attributes of a series."""
        try:
            return self._attributes[series]
        except KeyError:
            found = self._attributes[series] = self._work_out(series.labels)
            return found

    def row(self, series: Series) -> tuple[Row, float]:
        """Return which histogram a series belongs to, and its bound: NaN where ``le`` is no number."""
        try:
            return self._rows[series]
        except KeyError:
            found = self._rows[series] = self._work_out_row(series.labels, "le")
            return found

    def quantile(self, series: Series) -> tuple[Row, float]:
        """Return which summary a series belongs to, and its share: NaN where there is none."""
        try:
            return self._rows[series]
        except KeyError:
            found = self._rows[series] = self._work_out_row(series.labels, "quantile")
            return found

    def foremost(self, samples: Iterable[Sample]) -> list[Sample]:
        """Leave out the series of ranks that only repeat what the lowest rank of their model says."""
        samples = list(samples)
        if not self._reader.profile.rank_labels or len(samples) < 2:
            return samples
        lowest = lowest_ranks(
            (self.attributes(series), self._rank(series)) for series, _ in samples
        )
        return [
            sample
            for sample in samples
            if (key := self.attributes(sample[0])) is None or self._rank(sample[0]) == lowest[key]
        ]

    def _rank(self, series: Series) -> Rank:
        return _rank(series.labels, self._reader.profile.rank_labels)

    def _work_out(self, labels: Mapping[str, str]) -> Attributes | None:
        source, (profile, server, model) = self._source, self._reader
        if not all(where.holds(labels) for where in source.where):
            return None
        identity: Attributes = ("", "", "")
        if not self._of_server:
            replica = first(labels, profile.replica_labels)
            engine = first(labels, profile.engine_labels)
            identity = (
                first(labels, profile.model_labels, profile.nameless) or model,
                first(labels, profile.version_labels, profile.nameless),
                "/".join(filter(None, (replica, engine))),
            )
        return (server, profile.name, *identity, *(by.value(labels) for by in source.by))

    def _work_out_row(self, labels: Mapping[str, str], apart: str) -> tuple[Row, float]:
        rest = tuple(sorted(pair for pair in labels.items() if pair[0] != apart))
        row = self._rows_by_labels.get(rest)
        if row is None:
            rank = _rank(labels, self._reader.profile.rank_labels)
            row = self._rows_by_labels[rest] = Row(self._work_out(labels), rank)
        return row, number(labels.get(apart, ""))


def lowest_ranks(
    ranked: Iterable[tuple[Attributes | None, Rank]],
) -> Mapping[Attributes | None, Rank]:
    """Return the lowest rank of each set of attributes."""
    lowest: dict[Attributes | None, Rank] = {}
    for key, rank in ranked:
        if key not in lowest or rank < lowest[key]:
            lowest[key] = rank
    return lowest


def first(
    labels: Mapping[str, str], names: tuple[str, ...], nameless: frozenset[str] = frozenset()
) -> str:
    """Return the value of the first of some labels that a series has; ``nameless`` values are none."""
    found = next((labels[name] for name in names if labels.get(name)), "")
    return "" if found in nameless else found


def number(text: str) -> float:
    """Return the number that a label spells, NaN if none: servers write 1, 1.0 and 1e+00."""
    try:
        return float(text)
    except ValueError:
        return nan


def _rank(labels: Mapping[str, str], names: tuple[str, ...]) -> Rank:
    """Return a rank that sorts by number; none comes first, and what is no number last."""
    return tuple((_place(text), text) for text in (labels.get(name, "") for name in names))


def _place(text: str) -> int:
    if not text:
        return -1
    return int(text) if text.isdecimal() and len(text) < _DIGITS else 10**_DIGITS
