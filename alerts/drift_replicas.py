"""Recording rules for replicas: the sum of eight hides that one of them differs.

A drift process scores its own counts, and what rules have to do is to find the worst. Counters that come
without such scores, by the label that says so, are scored here: about a series for each bin of each replica,
which is more than all else that drift asks of a Prometheus, and nothing where there are none.
"""

from typing import Final

from agent.catalogue import drift
from agent.catalogue import recorded_drift as recorded
from agent.catalogue.attributes import DRIFT_WINDOW, SCORED_BY
from agent.catalogue.promql import aggregate, equals, rate, select
from agent.catalogue.recorded_drift import PER_BIN, PER_FEATURE, PER_REPLICA
from alerts.drift_counts import HOURS_OF_DAY, KEPT, on, record
from alerts.recording import Recording

_UNSCORED: Final = equals(SCORED_BY, "")


def hour(span: str) -> tuple[Recording, ...]:
    """Return the scores of an hour, of each replica and of the worst one."""
    by = (*PER_BIN, *PER_REPLICA[len(PER_FEATURE) :])
    counts = rate(drift.FEATURE_OBSERVATIONS, by, _UNSCORED, window=span, function="increase")
    each = recorded.REPLICA_PSI["1h"]
    return (
        record(recorded.REPLICA_COUNT["1h"], counts),
        _samples("1h"),
        record(each, f"{_told('1h')}\nor\n{_of_counts('1h')}"),
        record(recorded.REPLICA_PSI_MAX["1h"], aggregate("max", PER_FEATURE, each.name)),
    )


def day() -> tuple[Recording, ...]:
    """Return the scores of the last 24 whole hours, of each replica that does not tell its own."""
    hours = recorded.REPLICA_COUNT["1h"].name
    return (
        record(recorded.REPLICA_COUNT["1d"], f"sum_over_time({hours}[{HOURS_OF_DAY}])"),
        _samples("1d"),
        record(recorded.REPLICA_PSI["1d"], _of_counts("1d")),
    )


def worst_of_day() -> Recording:
    """Return the score of the worst replica, of what is told now and of what `day` has recorded last."""
    scored = f"last_over_time({recorded.REPLICA_PSI['1d'].name}[{KEPT}])"
    return record(
        recorded.REPLICA_PSI_MAX["1d"], aggregate("max", PER_FEATURE, f"{_told('1d')} or {scored}")
    )


def _told(window: str) -> str:
    """Return what replicas say of themselves."""
    own = select(drift.REPLICA_PSI, equals(DRIFT_WINDOW, window))
    return aggregate("max", PER_REPLICA, own)


def _samples(window: str) -> Recording:
    counts = recorded.REPLICA_COUNT[window].name
    return record(recorded.REPLICA_SAMPLES[window], aggregate("sum", PER_REPLICA, counts))


def _of_counts(window: str) -> str:
    counts, samples = recorded.REPLICA_COUNT[window].name, recorded.REPLICA_SAMPLES[window].name
    enough = (
        f"(({samples} >= {drift.FEWEST_OF_REPLICA})"
        f" + {on(PER_FEATURE)} group_left () ({drift.SMOOTHING} * {recorded.REF_BINS.name}))"
    )
    share = f"(({counts} + {drift.SMOOTHING})\n/ {on(PER_REPLICA)} group_left () {enough})"
    reference = f"{on(PER_BIN)} group_left () {recorded.REF_PROPORTION.name}"
    terms = f"({share} - {reference})\n* ln({share} / {reference})"
    return aggregate("sum", PER_REPLICA, terms)
