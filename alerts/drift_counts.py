"""Recording rules that count: values per bin and window, all replicas together.

Everything else about drift is made of these. Reading a large fleet's raw counters is what the rules cost, so
it is done once, over an hour; a day is the sum of hours that are recorded already.
"""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import drift
from agent.catalogue import recorded_drift as recorded
from agent.catalogue.metric import Attribute
from agent.catalogue.promql import aggregate, labels, rate, select
from agent.catalogue.recorded import Recorded
from agent.catalogue.recorded_drift import PER_BIN, PER_FEATURE
from alerts.recording import Recording

HOURS_OF_DAY: Final = "23h59m59s999ms:1h"
"""A day's counts are sums of hours': the raw counters of a large fleet are too many to read over a day.

Just short of a day, because Prometheus 2 takes both ends of a range and Prometheus 3 only one: these are 24
hours to both.
"""
KEPT: Final = "1h"
"""How long is good what is recorded each half an hour: two evaluations, so that one may fail."""


def reference_recordings() -> tuple[Recording, ...]:
    """Return one series of each reference, however many replicas export it."""
    share = recorded.REF_PROPORTION.name
    return (
        record(
            recorded.REF_PROPORTION, aggregate("max", PER_BIN, select(drift.REFERENCE_PROPORTION))
        ),
        record(recorded.REF_MIDRANK, aggregate("max", PER_BIN, select(drift.REFERENCE_MIDRANK))),
        record(
            recorded.REF_SAMPLES, aggregate("max", PER_FEATURE, select(drift.REFERENCE_SAMPLES))
        ),
        record(recorded.REF_BINS, aggregate("count", PER_FEATURE, share)),
        record(recorded.REF_ENTROPY, f"-{summed(f'{share} * log2({share})')}"),
    )


def hour(span: str) -> tuple[Recording, ...]:
    """Return the counts of the last hour, or of another ``span``."""
    grown = rate(drift.FEATURE_OBSERVATIONS, PER_BIN, window=span, function="increase")
    return (record(recorded.BIN_COUNT["1h"], grown), *_shares("1h"))


def hourly() -> tuple[Recording, ...]:
    """Return what a day is made of, for a group that is evaluated seldom.

    A day of what is recorded each two minutes is 720 samples of a series, to find 24 of them.
    """
    return (record(recorded.HOURLY_COUNT, recorded.BIN_COUNT["1h"].name),)


def day() -> tuple[Recording, ...]:
    """Return the counts of the last 24 whole hours, all replicas together."""
    hours = f"last_over_time({recorded.HOURLY_COUNT.name}[{KEPT}])"
    return (
        record(recorded.BIN_COUNT["1d"], f"sum_over_time({hours}[{HOURS_OF_DAY}])"),
        *_shares("1d"),
    )


def _shares(window: str) -> tuple[Recording, ...]:
    pooled, samples = recorded.BIN_COUNT[window].name, recorded.SAMPLES[window].name
    return (
        record(recorded.SAMPLES[window], summed(pooled)),
        record(
            recorded.PROPORTION[window],
            f"({pooled} + {drift.SMOOTHING})\n/ {on(PER_FEATURE)} group_left ()\n"
            f"({samples} + {drift.SMOOTHING} * {recorded.REF_BINS.name})",
        ),
    )


def psi(share: str, reference: str) -> str:
    """Return the population stability index of two expressions that are per bin."""
    return summed(f"({share} - {reference}) * ln({share} / {reference})")


def summed(expression: str) -> str:
    """Return the sum over a feature's bins."""
    return aggregate("sum", PER_FEATURE, expression)


def on(attributes: Sequence[Attribute]) -> str:
    """Return what two series are matched by."""
    return f"on ({labels(attributes)})"


def record(series: Recorded, expression: str) -> Recording:
    """Return the rule that makes the series."""
    return Recording(recorded=series, expression=expression)
