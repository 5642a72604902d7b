"""From a server's labels to the catalogue's attributes, worked out once per series."""

from collections.abc import Mapping
from math import nan
from typing import Final

from agent.collectors.exposition import Series
from agent.collectors.serving.profile import Profile, Signal, Source

Attributes = tuple[str, ...]
_SLACK: Final = 1_000
"""Series that may be remembered beyond twice those of the page."""


class Row:
    """One histogram of the server: its series without ``le``. Compared as an object."""

    __slots__ = ("attributes",)

    def __init__(self, attributes: Attributes | None) -> None:
        self.attributes = attributes


class Labels:
    """Knows the attributes of the series of one source. They are `None` where it leaves a series out."""

    def __init__(self, profile: Profile, server: str, signal: Signal, source: Source) -> None:
        self._profile = profile
        self._server = server
        self._of_server = signal.of_server
        self._source = source
        self._with_own = bool(source.by or source.otherwise)
        self._attributes: dict[Series, Attributes | None] = {}
        self._rows: dict[Series, tuple[Row, float]] = {}
        self._rows_by_labels: dict[tuple[tuple[str, str], ...], Row] = {}

    def forget(self, series_on_page: int) -> None:
        """Forget everything if much more is remembered than a page holds: labels that come and go."""
        bound = 2 * series_on_page + _SLACK
        if max(len(self._attributes), len(self._rows), len(self._rows_by_labels)) > bound:
            self._attributes.clear()
            self._rows.clear()
            self._rows_by_labels.clear()

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
            found = self._rows[series] = self._work_out_row(series.labels)
            return found

    def _work_out(self, labels: Mapping[str, str]) -> Attributes | None:
        source, profile = self._source, self._profile
        if any(labels.get(label) not in values for label, values in source.where):
            return None
        identity: Attributes = ("", "", "")
        if not self._of_server:
            identity = (
                _first(labels, profile.model_labels),
                _first(labels, profile.version_labels),
                _first(labels, profile.engine_labels),
            )
        own = (labels.get(source.by) or source.otherwise,) if self._with_own else ()
        return (self._server, profile.name, *identity, *own)

    def _work_out_row(self, labels: Mapping[str, str]) -> tuple[Row, float]:
        rest = tuple(sorted(pair for pair in labels.items() if pair[0] != "le"))
        row = self._rows_by_labels.get(rest)
        if row is None:
            row = self._rows_by_labels[rest] = Row(self._work_out(labels))
        return row, _bound(labels.get("le", ""))


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _bound(text: str) -> float:
    """Return the number that a bound spells: servers write 1, 1.0 and 1e+00."""
    try:
        return float(text)
    except ValueError:
        return nan
