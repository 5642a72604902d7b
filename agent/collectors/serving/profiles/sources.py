"""Short forms of the records, for profiles that name many families."""

from agent.collectors.serving.profile import By, Native, Source, Where

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


def label(name: str, value_label: str) -> Source:
    """Return a fact that stands in a label of an info family."""
    return Source(name=name, native=Native.GAUGE, value_label=value_label)
