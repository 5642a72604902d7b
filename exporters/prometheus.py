"""The snapshot as Prometheus reads it: classic text and OpenMetrics.

Written by hand and not with prometheus-client's writer because a scrape should cost the node next to
nothing: names and escaped labels are kept, and so are the lines of what did not move between two
snapshots; and N scrapes of one snapshot cost one rendering.
"""

import zlib
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Final, NamedTuple

from agent.catalogue import CATALOGUE, COMMON, Kind, Metric
from agent.catalogue.translation import unit_suffix
from agent.moves import moves
from agent.snapshot import Distribution, Reading, SeriesKey, Snapshot

CLASSIC: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_GZIP: Final = zlib.MAX_WBITS | 16
_LEVEL: Final = 1
"""Of gzip: the text is so repetitive that the fastest level already divides it by about ten."""

_LABEL_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_CLASSIC_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


class _Buckets(NamedTuple):
    """What is kept of one histogram's lines; it holds as long as its bounds stay."""

    bounds: tuple[float, ...]
    start: str
    """Of each bucket's line, up to the bound."""
    ends: tuple[str, ...]
    """Of each bucket's line, from the bound on: the same for all histograms with these bounds."""
    total: str
    observations: str


_Prefix = str | _Buckets
_Known = dict[SeriesKey, _Prefix]


class _Page:
    """What is kept of one batch: its lines, one a reading (of a histogram, several in one)."""

    __slots__ = ("lines", "places", "prefixes", "readings")

    def __init__(self, readings: tuple[Reading, ...], prefixes: list[_Prefix]) -> None:
        self.readings = readings
        self.prefixes = prefixes
        self.lines = [""] * len(readings)
        self.places: dict[Metric, list[int]] = {}
        """Where the readings of each metric are."""
        for position, (metric, _, _) in enumerate(readings):
            self.places.setdefault(metric, []).append(position)

    def known(self) -> _Known:
        """Return the prefixes by series."""
        return {
            (metric, attributes): prefix
            for (metric, attributes, _), prefix in zip(self.readings, self.prefixes, strict=True)
        }


class Exposition:
    """Writes snapshots as text; ``node`` and ``cluster`` are on every series, unless empty.

    Lines and results are kept for the series of the latest snapshot only, so a series that vanishes
    leaves nothing behind.
    """

    def __init__(self, node: str, cluster: str) -> None:
        self.node = node
        self.cluster = cluster
        self._common = label_pairs(COMMON_LABELS, (node, cluster))
        self._pages: dict[str, _Page] = {}
        self._sequence = 0
        self._families: list[tuple[Metric, list[str]]] = []
        self._results: dict[tuple[str, bool], bytes] = {}

    def text(self, snapshot: Snapshot, *, compressed: bool = False) -> bytes:
        """Return the snapshot in the classic format 0.0.4; gzipped where ``compressed``."""
        return self._result(snapshot, CLASSIC, compressed=compressed)

    def openmetrics(self, snapshot: Snapshot, *, compressed: bool = False) -> bytes:
        """Return the snapshot in OpenMetrics 1.0.0; gzipped where ``compressed``."""
        return self._result(snapshot, OPENMETRICS, compressed=compressed)

    def _result(self, snapshot: Snapshot, form: str, *, compressed: bool) -> bytes:
        if snapshot.sequence != self._sequence:
            self._families = self._render(snapshot)
            self._results.clear()
            self._sequence = snapshot.sequence
        result = self._results.get((form, compressed))
        if result is None:
            result = self._compress(snapshot, form) if compressed else self._join(form)
            self._results[form, compressed] = result
        return result

    def _compress(self, snapshot: Snapshot, form: str) -> bytes:
        return gzipped(self._result(snapshot, form, compressed=False))

    def _join(self, form: str) -> bytes:
        """Put the headers of a format over the samples, which are the same in both formats."""
        header = _openmetrics_header if form is OPENMETRICS else _classic_header
        parts: list[str] = []
        for metric, lines in self._families:
            parts.append(header(metric))
            parts += lines
        if form is OPENMETRICS:
            parts.append("# EOF\n")
        return "".join(parts).encode("utf-8", "replace")

    def _render(self, snapshot: Snapshot) -> list[tuple[Metric, list[str]]]:
        """Return the lines of each family that has any, in the catalogue's order."""
        self._pages = {
            name: self._page(self._pages.get(name), batch.readings)
            for name, batch in snapshot.batches.items()
        }
        bodies: dict[Metric, list[str]] = {}
        for page in self._pages.values():
            lines = page.lines
            for metric, places in page.places.items():
                bodies.setdefault(metric, []).extend([lines[position] for position in places])
        return [(metric, bodies[metric]) for metric in sorted(bodies, key=_rank)]

    def _page(self, page: _Page | None, readings: tuple[Reading, ...]) -> _Page:
        """Return the lines of a batch: those of the last one, but for what moved."""
        moved = None if page is None else moves(readings, page.readings)
        if page is None or moved is None:
            known = page.known() if page else {}
            page = _Page(readings, [self._prefix(reading, known) for reading in readings])
            moved = list(range(len(readings)))
        page.readings = readings
        for position in moved:
            page.lines[position] = self._line(page, position, readings[position])
        return page

    def _prefix(self, reading: Reading, known: _Known) -> _Prefix:
        metric, attributes, value = reading
        prefix = known.get((metric, attributes))
        if metric.kind is Kind.SUMMARY:
            return ""  # its quantiles may be others each time
        if isinstance(value, Distribution):
            if isinstance(prefix, _Buckets) and prefix.bounds == value.bounds:
                return prefix
            return _buckets(metric, self._labels(metric, attributes), value.bounds)
        if isinstance(prefix, str):
            return prefix
        return _sample(metric.family, self._labels(metric, attributes))

    def _line(self, page: _Page, position: int, reading: Reading) -> str:
        prefix, value = page.prefixes[position], reading[2]
        # A whole number is its own shortest text: most values are, and this is the scrape.
        if value.__class__ is int and prefix.__class__ is str:
            return f"{prefix}{value}\n"
        if not isinstance(value, Distribution):
            return f"{prefix}{number(value)}\n" if isinstance(prefix, str) else ""
        if reading[0].kind is Kind.SUMMARY:
            return self._summary(reading[0], reading[1], value)
        if not isinstance(prefix, _Buckets) or prefix.bounds != value.bounds:
            prefix = page.prefixes[position] = self._prefix(reading, {})
        lines: list[str] = []
        if isinstance(prefix, _Buckets):
            _accumulate(lines, prefix, value)
        return "".join(lines)

    def _summary(self, metric: Metric, attributes: tuple[str, ...], value: Distribution) -> str:
        labels = self._labels(metric, attributes)
        comma = "," if labels else ""
        quantiles = (
            f'{metric.family}{{{labels}{comma}quantile="{bound(share)}"}} {number(limit)}\n'
            for share, limit in value.quantiles
        )
        total = f"{_sample(f'{metric.family}_sum', labels)}{number(value.sum)}\n"
        count = f"{_sample(f'{metric.family}_count', labels)}{value.observations}\n"
        return "".join((*quantiles, total, count))

    def _labels(self, metric: Metric, attributes: tuple[str, ...]) -> str:
        own = label_pairs(metric.labels, attributes)
        return f"{self._common},{own}" if self._common and own else self._common or own


COMMON_LABELS: Final = tuple(attribute.label for attribute in COMMON)
_RANKS: Final = {metric.name: rank for rank, metric in enumerate(CATALOGUE)}


def gzipped(text: bytes) -> bytes:
    """Return an exposition compressed for HTTP."""
    return zlib.compress(text, level=_LEVEL, wbits=_GZIP)


def number(value: float) -> str:
    """Return the shortest decimal that every parser reads back as exactly ``value``."""
    if value.__class__ is int:
        return str(value)
    text = repr(float(value))
    if text.endswith(".0"):
        return text[:-2]
    return _SPECIAL.get(text, text)


_SPECIAL: Final = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


def bound(value: float) -> str:
    """Return a bucket's bound as OpenMetrics spells it canonically: ``1.0``, ``0.005``, ``1e+06``.

    Used in the classic format as well, so that a bucket has one name however it was asked for.
    """
    text = repr(float(value))
    sign = "-" if text.startswith("-") else ""
    whole, _, part = text.removeprefix(sign).partition(".")
    if not whole.isdecimal() or len(whole) <= _LONGEST_PLAIN:
        return text
    digits = f"{whole}{part}".rstrip("0")
    point = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}e+{len(whole) - 1:02d}"


_LONGEST_PLAIN: Final = 6
"""Digits before the point from which on Go, and with it Prometheus, writes an exponent."""


def _rank(metric: Metric) -> int:
    return _RANKS.get(metric.name, len(_RANKS))


def label_pairs(names: Iterable[str], values: Iterable[str]) -> str:
    """Return ``name="value"`` pairs; an empty value is an absent label."""
    return ",".join(
        f'{name}="{value.translate(_LABEL_ESCAPES)}"'
        for name, value in zip(names, values, strict=True)
        if value
    )


def _sample(name: str, labels: str) -> str:
    return f"{name}{{{labels}}} " if labels else f"{name} "


def _buckets(metric: Metric, labels: str, bounds: tuple[float, ...]) -> _Buckets:
    comma = "," if labels else ""
    return _Buckets(
        bounds,
        f'{metric.family}_bucket{{{labels}{comma}le="',
        _ends(bounds),
        _sample(f"{metric.family}_sum", labels),
        _sample(f"{metric.family}_count", labels),
    )


@lru_cache(maxsize=256)
def _ends(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(f'{le}"}} ' for le in (*map(bound, bounds), "+Inf"))


def _accumulate(lines: list[str], prefixes: _Buckets, value: Distribution) -> None:
    """Write a histogram: Prometheus' buckets are cumulative, ours are not.

    Where bounds are below zero, the sum is no counter; OpenMetrics forbids it then, and the count with it.
    """
    total, start = 0, prefixes.start
    for end, count in zip(prefixes.ends, value.counts, strict=True):
        total += count
        lines.append(f"{start}{end}{total}\n")
    if not value.bounds or value.bounds[0] >= 0:
        lines.append(f"{prefixes.total}{number(value.sum)}\n{prefixes.observations}{total}\n")


@cache
def _classic_header(metric: Metric) -> str:
    """Return the lines above a family. The cache is bounded by the catalogue."""
    return classic_header(metric.family, metric.kind.prometheus_type, metric.description)


def classic_header(family: str, kind: str, description: str) -> str:
    """Return the lines above a family in the classic format."""
    described = description.translate(_CLASSIC_HELP_ESCAPES)
    return f"# HELP {family} {described}\n# TYPE {family} {kind}\n"


@cache
def _openmetrics_header(metric: Metric) -> str:
    """Return the lines above a family; a counter's family has no ``_total`` in OpenMetrics."""
    family = metric.family
    if metric.kind is Kind.COUNTER:
        family = family.removesuffix("_total")
    unit = unit_suffix(metric.unit)
    described = metric.description.translate(_LABEL_ESCAPES)
    lines = [f"# TYPE {family} {metric.kind.prometheus_type}\n"]
    if unit and family.endswith(f"_{unit}"):
        lines.append(f"# UNIT {family} {unit}\n")
    lines.append(f"# HELP {family} {described}\n")
    return "".join(lines)
