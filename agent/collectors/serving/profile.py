"""What a profile is: the records that say how a kind of model server names its signals."""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from agent.catalogue import Metric


class Native(Enum):
    """How the server exposes a signal."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    PAIR = "pair"
    """A counter of time (or another amount) beside a counter of what it was spent on."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One native family that can give a signal.

    ``name`` is the family as exposed, counters with ``_total`` where the server writes it. ``per`` is how
    many of the server's units make one of the catalogue's: 1000 for milliseconds. ``where`` keeps only
    series whose labels have one of these values. ``by`` is the label that gives the attribute which the
    metric has beyond the model's; ``otherwise`` is its value where that label is missing.
    ``divisor`` is the counter of occasions of a `Native.PAIR`.
    """

    name: str
    native: Native
    per: float = 1.0
    where: tuple[tuple[str, frozenset[str]], ...] = ()
    by: str = ""
    otherwise: str = ""
    divisor: str = ""

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """The sample names that it reads."""
        match self.native:
            case Native.HISTOGRAM:
                return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
            case Native.PAIR:
                return (*spellings(self.name), *spellings(self.divisor))
            case Native.COUNTER:
                return spellings(self.name)
            case Native.GAUGE:
                return (self.name,)


@dataclass(frozen=True)
class Signal:
    """A metric of the catalogue and where it comes from: the first source that the page has.

    Names change with releases: the newest stands first. ``of_server``: the family says nothing about
    models, so the attributes of the model stay empty.
    """

    metric: Metric
    sources: tuple[Source, ...]
    of_server: bool = False


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A kind of model server. ``name`` becomes the provider.

    ``prefixes`` are how the names of its families begin: a page with such a sample is this server's.
    Of the labels for model, version and engine, the first one that a series has counts.
    """

    name: str
    prefixes: tuple[str, ...]
    signals: tuple[Signal, ...]
    model_labels: tuple[str, ...]
    version_labels: tuple[str, ...] = ()
    engine_labels: tuple[str, ...] = ()
    path: str = "/metrics"

    @property
    def samples(self) -> frozenset[str]:
        """All the sample names that it reads."""
        return frozenset(
            name for signal in self.signals for source in signal.sources for name in source.samples
        )


def spellings(counter: str) -> tuple[str, str]:
    """Return a counter's name as given, and as others write it: with or without ``_total``."""
    bare = counter.removesuffix("_total")
    return (counter, bare if bare != counter else f"{counter}_total")
