"""What a profile is: the records that say how a kind of model server names its signals.

Data alone: `agent.collectors.serving.mapping` reads pages by them. ADR 0014 says why they are as they are.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

from agent.catalogue import Metric


class Native(Enum):
    """How the server exposes a signal."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    """With quantiles it gives a summary; for a metric that is a histogram, one without bounds."""
    SUM = "sum"
    """The ``_sum`` of a histogram or summary, as a counter: tokens, from a histogram of lengths."""
    COUNT = "count"
    """The ``_count`` of a histogram or summary, as a counter: requests, from their durations."""


@dataclass(frozen=True)
class Where:
    """Keeps the series whose ``label`` has one of ``values`` or matches ``matching``, as a whole.

    A label that a series lacks is the empty string, as in PromQL: so ``Where("tp_rank", {""})`` keeps
    series without it, and ``Where("status", matching="[45](xx|..)")`` those of two classes, however
    the server writes them. ``excluding`` turns it round.
    """

    label: str
    values: frozenset[str] = frozenset()
    matching: str = ""
    excluding: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.matching) if self.matching else None

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a series with these labels is kept."""
        value = labels.get(self.label, "")
        found = value in self.values or bool(self._pattern and self._pattern.fullmatch(value))
        return found is not self.excluding


@dataclass(frozen=True)
class By:
    """Gives one attribute beyond the model's: the first of ``labels`` that a series has.

    ``values`` translates what stands there into the catalogue's vocabulary; what it does not know stays
    as it is. ``otherwise`` is the value where none of the labels is there: empty is absent.
    """

    labels: tuple[str, ...] = ()
    otherwise: str = ""
    values: tuple[tuple[str, str], ...] = ()

    @cached_property
    def _vocabulary(self) -> Mapping[str, str]:
        return dict(self.values)

    def value(self, labels: Mapping[str, str]) -> str:
        """Return the attribute's value for a series with these labels."""
        raw = next((labels[label] for label in self.labels if labels.get(label)), "")
        return self._vocabulary.get(raw, raw) if raw else self.otherwise


@dataclass(frozen=True, kw_only=True)
class Source:
    """One native family that can give a signal.

    ``name`` is the family as exposed; a counter is found with and without ``_total``, as written first.
    ``per`` is how many of the server's units make one of the catalogue's: 1000 for milliseconds.
    ``where`` are the conditions that a series must all meet. ``by`` gives the attributes that the metric
    has beyond the model's, in their order. ``declared`` are types that some releases declare although
    the family is what ``native`` says: Ray wrote counters as gauges. ``sentinels`` are values that mean
    "none": absent without being a problem; NaN is one of them where it stands there.

    ``value_label``: the value stands in this label and not in the sample, as in ``..._info`` families;
    with ``listed`` the label holds names with commas, and the value is how many. ``newest``: of all
    series of the family only the one with the greatest value (a time) is true, the others are past.
    """

    name: str
    native: Native
    per: float = 1.0
    where: tuple[Where, ...] = ()
    by: tuple[By, ...] = ()
    declared: tuple[str, ...] = ()
    sentinels: tuple[float, ...] = ()
    value_label: str = ""
    listed: bool = False
    newest: bool = False

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """The sample names that it reads; of a counter's the first one that a page has."""
        match self.native:
            case Native.HISTOGRAM:
                return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
            case Native.SUMMARY:
                return (self.name, f"{self.name}_sum", f"{self.name}_count")
            case Native.SUM:
                return (f"{self.name}_sum",)
            case Native.COUNT:
                return (f"{self.name}_count",)
            case Native.COUNTER:
                return spellings(self.name)
            case Native.GAUGE:
                return (self.name,)

    @property
    def leaves(self) -> Iterator["Source"]:
        """The families that it is made of: itself."""
        yield self

    def with_leaves(self, change: "Change") -> "Source":
        """Return it with its families changed."""
        return change(self)


@dataclass(frozen=True)
class Added:
    """Several sources added up, by the attributes that they share. One that is not there adds nothing.

    Histograms have a sum where their buckets are the same.

    ``whole``: all of them must be on the page, at least as a ``# TYPE``, or there is no sum: hits
    without misses are not all queries.
    """

    parts: tuple["Scalar", ...]
    whole: bool = False

    @property
    def leaves(self) -> Iterator[Source]:
        """The families that it is made of."""
        for part in self.parts:
            yield from part.leaves

    def with_leaves(self, change: "Change") -> "Added":
        """Return it with its families changed."""
        return replace(self, parts=tuple(part.with_leaves(change) for part in self.parts))


@dataclass(frozen=True)
class Ratio:
    """One gauge divided by another one of the same moment and model: a share. Over 0 there is none."""

    of: "Scalar"
    over: "Scalar"

    @property
    def leaves(self) -> Iterator[Source]:
        """The families that it is made of."""
        yield from self.of.leaves
        yield from self.over.leaves

    def with_leaves(self, change: "Change") -> "Ratio":
        """Return it with its families changed."""
        return Ratio(self.of.with_leaves(change), self.over.with_leaves(change))


@dataclass(frozen=True)
class Product:
    """An amount in units of which another source tells the size: blocks, times the tokens of a block.

    The size is the one of the same model and engine, else the only one there is.
    """

    of: "Scalar"
    times: "Scalar"

    @property
    def leaves(self) -> Iterator[Source]:
        """The families that it is made of."""
        yield from self.of.leaves
        yield from self.times.leaves

    def with_leaves(self, change: "Change") -> "Product":
        """Return it with its families changed."""
        return Product(self.of.with_leaves(change), self.times.with_leaves(change))


@dataclass(frozen=True)
class Mean:
    """A histogram without bounds: a counter of what was spent, and one of what it was spent on."""

    of: "Scalar"
    over: "Scalar"

    @property
    def leaves(self) -> Iterator[Source]:
        """The families that it is made of."""
        yield from self.of.leaves
        yield from self.over.leaves

    def with_leaves(self, change: "Change") -> "Mean":
        """Return it with its families changed."""
        return Mean(self.of.with_leaves(change), self.over.with_leaves(change))


@dataclass(frozen=True)
class Facts:
    """An info series for each model that ``models`` names: always 1, the facts in its attributes.

    ``parts`` give the attributes that the metric has beyond the model's, in their order: each the first
    of some sources, read from its ``value_label`` or else from its value. A fact that is told without a
    model is every model's of that engine.
    """

    models: Source
    parts: tuple[tuple[Source, ...], ...]

    @property
    def leaves(self) -> Iterator[Source]:
        """The families that it is made of."""
        yield self.models
        for sources in self.parts:
            yield from sources

    def with_leaves(self, change: "Change") -> "Facts":
        """Return it with its families changed."""
        parts = tuple(tuple(map(change, sources)) for sources in self.parts)
        return Facts(change(self.models), parts)


Change = Callable[[Source], Source]
Scalar = Source | Added | Ratio | Product
Origin = Scalar | Mean | Facts


@dataclass(frozen=True)
class Signal:
    """A metric of the catalogue and where it comes from: the first origin that a page has values of.

    Names change with releases: the newest stands first. ``of_server``: the family says nothing about
    models, so the attributes of the model stay empty. ``models`` names the models of a family that
    tells an engine and no model.
    """

    metric: Metric
    sources: tuple[Origin, ...]
    of_server: bool = False
    models: Source | None = None

    @property
    def leaves(self) -> Iterator[Source]:
        """All the families that it can come from."""
        for origin in self.sources:
            yield from origin.leaves
        if self.models is not None:
            yield self.models

    def with_leaves(self, change: Change) -> "Signal":
        """Return it with its families changed."""
        sources = tuple(origin.with_leaves(change) for origin in self.sources)
        return replace(self, sources=sources, models=self.models and change(self.models))


@dataclass(frozen=True)
class Dialect:
    """The same families under other names: those that begin with ``native`` begin with ``spoken``.

    ``declared`` are types that it declares for counters besides theirs.
    """

    native: str
    spoken: str
    declared: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A kind of model server. ``name`` becomes the provider.

    ``prefixes`` are how the names of its families begin: a page with such a family is this server's,
    if it also has one for each of ``requires`` (names too general to tell a server alone). Without
    prefixes, only servers that are configured to be of this kind are.

    Of the labels for model and version, the first one that a series has counts. The engine is the
    first of ``replica_labels`` and the first of ``engine_labels``, with a slash between where both are
    there. Series that differ in nothing else are added up, except by ``rank_labels``: ranks say the
    same thing once more, and only the lowest one counts. ``nameless`` are values of labels for model and
    version that mean: none.

    ``started`` is the gauge that tells when the process began which counts all of this (Unix seconds), and
    ``uptime`` one that tells for how long it has run; either shows a restart that no counter shows. In a
    dialect there is neither: whoever passes the families on under other names tells of himself.

    ``api`` is how it can be asked for an answer at host and port of its metrics: ``openai``, or empty where
    it cannot, or not there.

    ``paths`` are tried in order where the URL has none. ``dialects`` are tried after its own names.
    """

    name: str
    prefixes: tuple[str, ...]
    signals: tuple[Signal, ...]
    model_labels: tuple[str, ...] = ()
    version_labels: tuple[str, ...] = ()
    engine_labels: tuple[str, ...] = ()
    replica_labels: tuple[str, ...] = ()
    rank_labels: tuple[str, ...] = ()
    nameless: frozenset[str] = frozenset()
    started: str = ""
    uptime: str = ""
    api: str = ""
    requires: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/metrics",)
    dialects: tuple[Dialect, ...] = ()

    @cached_property
    def samples(self) -> frozenset[str]:
        """All the sample names that it reads."""
        return frozenset(
            name for signal in self.signals for leaf in signal.leaves for name in leaf.samples
        )

    @property
    def wanted(self) -> frozenset[str]:
        """All the sample names that it takes from a page."""
        return self.samples | ({self.started, self.uptime} - {""})

    @cached_property
    def spoken(self) -> tuple["Profile", ...]:
        """The profile as it is, and in each of its dialects."""
        return (self, *(_in_dialect(self, dialect) for dialect in self.dialects))


def spellings(counter: str) -> tuple[str, str]:
    """Return a counter's name as given, and as others write it: with or without ``_total``."""
    bare = counter.removesuffix("_total")
    return (counter, bare if bare != counter else f"{counter}_total")


def _in_dialect(profile: Profile, dialect: Dialect) -> Profile:
    def renamed(name: str) -> str:
        bare = name.removeprefix(dialect.native)
        return name if bare == name else dialect.spoken + bare

    def spoken(source: Source) -> Source:
        extra = dialect.declared if source.native is Native.COUNTER else ()
        return replace(source, name=renamed(source.name), declared=(*source.declared, *extra))

    return replace(
        profile,
        prefixes=tuple(map(renamed, profile.prefixes)),
        requires=tuple(map(renamed, profile.requires)),
        signals=tuple(signal.with_leaves(spoken) for signal in profile.signals),
        dialects=(),
        started="",
        uptime="",
        api="",
    )
