"""Recording rules for replicas: the sum of eight hides that one of them differs.

They are most of what drift costs a Prometheus, because they are about a series for each bin of each replica.
No alert is about a replica's day, and its counts change only with a full hour, so that a day's rules are a
group of their own that is evaluated seldom.
"""

from typing import Final

from agent.catalogue import recorded_drift as recorded
from agent.catalogue.promql import aggregate
from agent.catalogue.recorded_drift import PER_BIN, PER_FEATURE, PER_REPLICA
from alerts.drift_counts import HOURS_OF_DAY, SMOOTHING, on, record
from alerts.recording import Recording

FEWEST_OF_REPLICA: Final = 500
"""Values that a replica must have seen to be compared."""
KEPT: Final = "1h"
"""How long a replica's score of a day is good for: two evaluations of its group, so that one may fail."""


def hour() -> tuple[Recording, ...]:
    """Return the scores of an hour, of each replica and of the worst one."""
    each = recorded.REPLICA_PSI["1h"].name
    return (
        *_scored("1h"),
        record(recorded.REPLICA_PSI_MAX["1h"], aggregate("max", PER_FEATURE, each)),
    )


def day() -> tuple[Recording, ...]:
    """Return the scores of the last 24 whole hours, of each replica."""
    hours = recorded.REPLICA_COUNT["1h"].name
    return (
        record(recorded.REPLICA_COUNT["1d"], f"sum_over_time({hours}[{HOURS_OF_DAY}])"),
        *_scored("1d"),
    )


def worst_of_day() -> Recording:
    """Return the score of the worst replica, of what `day` has recorded last."""
    each = f"last_over_time({recorded.REPLICA_PSI['1d'].name}[{KEPT}])"
    return record(recorded.REPLICA_PSI_MAX["1d"], aggregate("max", PER_FEATURE, each))


def _scored(window: str) -> tuple[Recording, ...]:
    counts, samples = recorded.REPLICA_COUNT[window].name, recorded.REPLICA_SAMPLES[window].name
    return (
        record(recorded.REPLICA_SAMPLES[window], aggregate("sum", PER_REPLICA, counts)),
        record(recorded.REPLICA_PSI[window], _psi(counts, samples)),
    )


def _psi(counts: str, samples: str) -> str:
    enough = (
        f"(({samples} >= {FEWEST_OF_REPLICA})"
        f" + {on(PER_FEATURE)} group_left () ({SMOOTHING} * {recorded.REF_BINS.name}))"
    )
    share = f"(({counts} + {SMOOTHING})\n/ {on(PER_REPLICA)} group_left () {enough})"
    reference = f"{on(PER_BIN)} group_left () {recorded.REF_PROPORTION.name}"
    terms = f"({share} - {reference})\n* ln({share} / {reference})"
    return aggregate("sum", PER_REPLICA, terms)
