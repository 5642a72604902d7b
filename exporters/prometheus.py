"""The snapshot as Prometheus reads it: classic text and OpenMetrics.

Written by hand and not with prometheus-client's writer because a scrape should cost the node next to
nothing: what does not change between two snapshots (names and escaped labels) is kept, what does
(numbers) is written anew, and N scrapes of one snapshot cost one rendering.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from agent.catalogue import CATALOGUE, COMMON, Kind, Metric
from agent.catalogue.translation import unit_suffix
from agent.snapshot import Distribution, Reading, Snapshot

CLASSIC: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_GZIP: Final = zlib.MAX_WBITS | 16
_LEVEL: Final = 1
"""Of gzip: the text is so repetitive that the fastest level already divides it by about ten."""

_LABEL_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_CLASSIC_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


class _Buckets(NamedTuple):
    """Kept prefixes of one histogram; they hold as long as its bounds stay."""

    bounds: tuple[float, ...]
    buckets: tuple[str, ...]
    total: str
    observations: str


_Prefixes = dict[tuple[str, ...], str]
_Histograms = dict[tuple[str, ...], _Buckets]


class Exposition:
    """Writes snapshots as text; ``node`` and ``cluster`` are on every series, unless empty.

    Prefixes and results are kept for the series of the latest snapshot only, so a series that vanishes
    leaves nothing behind.
    """

    def __init__(self, node: str, cluster: str) -> None:
        self.node = node
        self.cluster = cluster
        self._common = label_pairs(COMMON_LABELS, (node, cluster))
        self._prefixes: dict[str, _Prefixes] = {}
        self._histograms: dict[str, _Histograms] = {}
        self._sequence = 0
        self._families: list[tuple[Metric, str]] = []
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
        parts = [part for metric, body in self._families for part in (header(metric), body)]
        if form is OPENMETRICS:
            parts.append("# EOF\n")
        return "".join(parts).encode("utf-8", "replace")

    def _render(self, snapshot: Snapshot) -> list[tuple[Metric, str]]:
        """Return the samples of each family that has any, in the catalogue's order."""
        groups: defaultdict[str, list[Reading]] = defaultdict(list)
        for batch in snapshot.batches.values():
            for reading in batch.readings:
                groups[reading[0].name].append(reading)
        prefixes: dict[str, _Prefixes] = {}
        histograms: dict[str, _Histograms] = {}
        families = []
        for name in sorted(groups, key=_rank):
            metric = groups[name][0][0]
            if metric.kind is Kind.SUMMARY:
                body = self._render_summaries(metric, groups[name])
            elif metric.kind is Kind.HISTOGRAM:
                body, histograms[name] = self._render_histograms(metric, groups[name])
            else:
                body, prefixes[name] = self._render_numbers(metric, groups[name])
            families.append((metric, body))
        self._prefixes, self._histograms = prefixes, histograms
        return families

    def _render_numbers(self, metric: Metric, readings: list[Reading]) -> tuple[str, _Prefixes]:
        known = self._prefixes.get(metric.name, {})
        lines = []
        for _, attributes, value in readings:
            prefix = known.get(attributes)
            if prefix is None:
                prefix = known[attributes] = _sample(
                    metric.family, self._labels(metric, attributes)
                )
            # A whole number is its own shortest text: most values are, and this loop is the scrape.
            lines.append(f"{prefix}{value if value.__class__ is int else number(value)}\n")  # type: ignore[arg-type, redundant-expr]  # by the metric's kind
        if len(known) > len(lines):
            known = {reading[1]: known[reading[1]] for reading in readings}
        return "".join(lines), known

    def _render_histograms(
        self, metric: Metric, readings: Iterable[Reading]
    ) -> tuple[str, _Histograms]:
        known = self._histograms.get(metric.name, {})
        kept: _Histograms = {}
        lines: list[str] = []
        for _, attributes, value in readings:
            if not isinstance(value, Distribution):
                continue
            prefixes = known.get(attributes)
            if prefixes is None or prefixes.bounds != value.bounds:
                prefixes = _buckets(metric, self._labels(metric, attributes), value.bounds)
            kept[attributes] = prefixes
            _accumulate(lines, prefixes, value)
        return "".join(lines), kept

    def _render_summaries(self, metric: Metric, readings: Iterable[Reading]) -> str:
        lines: list[str] = []
        for _, attributes, value in readings:
            if not isinstance(value, Distribution):
                continue
            labels = self._labels(metric, attributes)
            comma = "," if labels else ""
            lines += [
                f'{metric.family}{{{labels}{comma}quantile="{bound(share)}"}} {number(limit)}\n'
                for share, limit in value.quantiles
            ]
            lines.append(f"{_sample(f'{metric.family}_sum', labels)}{number(value.sum)}\n")
            lines.append(f"{_sample(f'{metric.family}_count', labels)}{value.observations}\n")
        return "".join(lines)

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


def _rank(name: str) -> int:
    return _RANKS.get(name, len(_RANKS))


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
    spelled = (*map(bound, bounds), "+Inf")
    return _Buckets(
        bounds,
        tuple(f'{metric.family}_bucket{{{labels}{comma}le="{le}"}} ' for le in spelled),
        _sample(f"{metric.family}_sum", labels),
        _sample(f"{metric.family}_count", labels),
    )


def _accumulate(lines: list[str], prefixes: _Buckets, value: Distribution) -> None:
    """Write a histogram: Prometheus' buckets are cumulative, ours are not.

    Where bounds are below zero, the sum is no counter; OpenMetrics forbids it then, and the count with it.
    """
    total = 0
    for prefix, count in zip(prefixes.buckets, value.counts, strict=True):
        total += count
        lines.append(f"{prefix}{total}\n")
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
