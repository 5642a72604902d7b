"""Short forms of the records, for profiles that name many families."""

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Facts, Native, Signal, Source, Where

OTHERWISE_SUCCESS = (By(otherwise="success"),)
"""Of a counter that has only requests which ended well."""


def gauge(name: str, *where: Where, per: float = 1.0) -> Source:
    """Return a gauge."""
    return Source(name=name, native=Native.GAUGE, where=where, per=per)


def counter(name: str, *where: Where, by: tuple[By, ...] = (), per: float = 1.0) -> Source:
    """Return a counter."""
    return Source(name=name, native=Native.COUNTER, where=where, by=by, per=per)


def histogram(name: str, *where: Where, per: float = 1.0) -> Source:
    """Return a histogram."""
    return Source(name=name, native=Native.HISTOGRAM, where=where, per=per)


def total(name: str, *where: Where) -> Source:
    """Return what the observations of a histogram or summary add up to, as a counter."""
    return Source(name=name, native=Native.SUM, where=where)


def times(name: str, *where: Where) -> Source:
    """Return how often a histogram or summary was observed, as a counter."""
    return Source(name=name, native=Native.COUNT, where=where)


def info(
    *models: Source,
    release: tuple[Source, ...] = (),
    length: tuple[Source, ...] = (),
    dtype: tuple[Source, ...] = (),
) -> Signal:
    """Return the info of a server: one series per model that the first of ``models`` on the page names.

    Its facts, each from the first source that tells it: the server's release, the greatest length of the
    model, the data type of the KV cache. A server that tells none still says which models it has.
    """
    return Signal(
        serving.SERVER_INFO, tuple(Facts(each, (release, length, dtype)) for each in models)
    )


def label(name: str, value_label: str) -> Source:
    """Return a fact that stands in a label of an info family."""
    return Source(name=name, native=Native.GAUGE, value_label=value_label)
