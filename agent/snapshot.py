"""What is known at one moment, and the records that it is made of.

Everything here is frozen. One writer (the sampler) makes a snapshot, any number of readers (Prometheus,
OTLP, the status page, the terminal) present it, and none of them can change what another one sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from agent.catalogue import EventKind, Metric


class Exponential(NamedTuple):
    """Buckets whose bounds grow by a factor, as OTLP has them.

    With ``base`` 2^(2^-scale), bucket i holds what is above base^i and up to base^(i+1); ``counts`` begin
    at bucket ``offset``. ``zero`` counts what is too small for any of them.
    """

    scale: int
    zero: int
    offset: int
    counts: tuple[int, ...]


class Distribution(NamedTuple):
    """The value of a histogram or a summary, as OpenTelemetry has it.

    ``bounds`` are the upper bounds without infinity, ascending; ``counts`` are per bucket (not
    cumulative) and one longer than ``bounds``. No bounds at all: only sum and count are known.
    ``exponential`` holds the same observations, for the road that can carry them. A summary has no
    bounds but ``quantiles``: pairs of a share (0..1), ascending, and the value that this share is below.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    exponential: Exponential | None = None
    quantiles: tuple[tuple[float, float], ...] = ()

    @property
    def observations(self) -> int:
        """How many observations there were."""
        return sum(self.counts)


class Train(NamedTuple):
    """What a source sampled of one series since its last batch, finer than the batches come.

    ``samples`` are pairs, oldest first: for how many seconds a value held, and the value. A pair of 0
    seconds tells a value and no time. Together they may cover less than the time between two batches:
    what nobody saw is not covered.
    """

    metric: Metric
    attributes: tuple[str, ...]
    samples: tuple[tuple[float, float], ...]


SeriesKey = tuple[Metric, tuple[str, ...]]
"""What tells one series from another: a reading without its value."""


class Reading(NamedTuple):
    """One value of one series.

    ``attributes`` follow the order of ``metric.attributes``; an empty string means that the attribute
    is absent, in both export paths. A tuple and not a dataclass: an agent makes hundreds a second.
    """

    metric: Metric
    attributes: tuple[str, ...]
    value: float | Distribution


def series_key(metric: Metric, attributes: tuple[str, ...]) -> SeriesKey:
    """Return what tells the series from others: of facts, what they are about."""
    return (metric, attributes[:1]) if metric.facts else (metric, attributes)


class Problem(NamedTuple):
    """Something that could not be read or believed. ``reason`` is one of few words, for a counter.

    ``subject`` names the thing (a GPU's UUID, a server's URL) and ``detail`` says what was seen; both go
    to the log and the status page, never into a label.
    """

    reason: str
    subject: str = ""
    detail: str = ""


class Holder(NamedTuple):
    """Who holds memory on a GPU: a process, for the status page. Never a label."""

    hw_id: str
    pid: int
    name: str
    memory_bytes: int | None
    container: str = ""
    """The id of the container that it runs in, where one is known."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at ``time`` (Unix seconds).

    ``attributes`` are pairs of an attribute's key and its value; ``body`` is one sentence for people.
    """

    kind: EventKind
    time: float
    body: str
    attributes: tuple[tuple[str, str | int | float], ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """What one run of a collector gave: all that is true at ``taken_at`` (Unix seconds)."""

    taken_at: float
    readings: tuple[Reading, ...]
    problems: tuple[Problem, ...] = ()
    events: tuple[Event, ...] = ()
    holders: tuple[Holder, ...] = ()
    trains: tuple[Train, ...] = ()
    """Of series that are among the readings."""


class Status(Enum):
    """The state of a collector; the catalogue's `warpwatch.collector.status` explains the words."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class CollectorState:
    """How a collector is doing. Times are Unix seconds, durations seconds."""

    name: str
    status: Status
    since: float
    detail: str = ""
    duration: float | None = None
    last_success: float | None = None
    problems: tuple[Problem, ...] = ()
    """Of its last run."""


@dataclass(frozen=True, slots=True)
class ExporterState:
    """How an exporter that pushes is doing, per signal."""

    name: str
    signal: str
    sent: int = 0
    failed: int = 0
    dropped: int = 0
    queued: int = 0
    last_success: float | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the agent knows at ``taken_at`` (Unix seconds).

    ``batches`` holds what is exported of each collector that has a batch, by collector name, with no
    series twice: gauges that are sampled faster than they are exported are folded over the trailing
    window. ``sequence`` counts snapshots from 1. ``events`` are the newest ones, oldest first, and
    ``event_total`` counts all there ever were: a reader that saw N of them lacks ``event_total - N``.
    ``starts`` says since when a cumulative series has been counting (Unix seconds): when it was first
    seen, or when it was last seen to fall.
    """

    sequence: int
    taken_at: float
    batches: Mapping[str, Batch]
    collectors: tuple[CollectorState, ...] = ()
    exporters: tuple[ExporterState, ...] = ()
    events: tuple[Event, ...] = ()
    event_total: int = 0
    starts: Mapping[SeriesKey, float] = field(default_factory=dict)
    samples: Mapping[str, Batch] = field(default_factory=dict)
    """The newest batches as they were collected, of those collectors whose exported batch is folded."""

    @property
    def latest(self) -> Mapping[str, Batch]:
        """The newest values there are: for eyes, which want now and not the mean."""
        return {**self.batches, **self.samples}
