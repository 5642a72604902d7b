"""What a metric, an attribute and an event are: the records that the catalogue is made of."""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from agent.catalogue.translation import family_name, label_name


class Kind(Enum):
    """OpenTelemetry's instruments, as far as we use them; the value is its own spelling."""

    GAUGE = "Gauge"
    UP_DOWN_COUNTER = "UpDownCounter"
    COUNTER = "Counter"
    HISTOGRAM = "Histogram"
    SUMMARY = "Summary"
    """Not an instrument, but a point of OTLP's data model: quantiles that a source computed itself."""

    @property
    def prometheus_type(self) -> str:
        """The word behind ``# TYPE``: an UpDownCounter is a gauge to Prometheus."""
        return "gauge" if self is Kind.UP_DOWN_COUNTER else self.value.lower()


class Stability(Enum):
    """How safe it is to build on a name: OpenTelemetry's words."""

    DEVELOPMENT = "development"
    STABLE = "stable"


class Severity(Enum):
    """Who should care about an event, and when."""

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


@dataclass(frozen=True)
class Attribute:
    """A dimension of a metric or an event. ``values`` lists them all where the set is closed."""

    key: str
    description: str
    values: tuple[str, ...] = ()

    @cached_property
    def label(self) -> str:
        """Its name as a Prometheus label."""
        return label_name(self.key)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: all that is said about it is said here, once.

    ``unit`` is UCUM; ``attributes`` are complete and ordered: a reading's values follow this order.
    ``k8s.node.name`` and ``k8s.cluster.name`` are on every series and not repeated here. ``fold``: what
    is exported is the mean over the trailing window, because the value of one moment says little.
    ``facts`` marks a metric that is always 1 and carries facts in its attributes: there is one series
    for each value of the first attribute, or joins on it would find two.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[Attribute, ...] = ()
    group: str
    stability: Stability = Stability.DEVELOPMENT
    fold: bool = False
    facts: bool = False

    @cached_property
    def family(self) -> str:
        """The Prometheus name, as it stands behind ``# TYPE`` and in PromQL (histograms: the base)."""
        return family_name(
            self.name,
            self.unit,
            counter=self.kind is Kind.COUNTER,
            gauge=self.kind is Kind.GAUGE,
        )

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The Prometheus labels, in the order of the attributes."""
        return tuple(attribute.label for attribute in self.attributes)

    @property
    def series(self) -> tuple[str, ...]:
        """The names that PromQL sees: three for histograms and summaries, else one."""
        if self.kind is Kind.HISTOGRAM:
            return (f"{self.family}_bucket", f"{self.family}_sum", f"{self.family}_count")
        if self.kind is Kind.SUMMARY:
            return (self.family, f"{self.family}_sum", f"{self.family}_count")
        return (self.family,)

    def __hash__(self) -> int:
        """Hash by name: names are unique, and hot paths look metrics up in dictionaries."""
        return hash(self.name)


@dataclass(frozen=True, kw_only=True)
class EventKind:
    """One kind of event: something that happened at a moment, as opposed to a value that is."""

    name: str
    severity: Severity
    description: str
    attributes: tuple[Attribute, ...] = ()

    def __hash__(self) -> int:
        """Hash by name: names are unique."""
        return hash(self.name)
