"""Recording rules that turn drift's counters into scores, pooled over the fleet.

Counts of fixed bins add up, over nodes and over time, so a fleet's score is as exact as one process's, and
whatever stores the series (Prometheus, Mimir, Thanos, VictoriaMetrics) can compute it. Formulas: PSI
(Kullback's J divergence), ridit (Bross 1958), and Wilson and Hilferty's quantile of chi-square (1931) for the
noise floor.
"""

from typing import Final

from agent.catalogue import drift
from agent.catalogue import recorded_drift as recorded
from agent.catalogue.attributes import BIN, DRIFT_WINDOW, STATISTIC
from agent.catalogue.promql import aggregate, equals, matches, select
from agent.catalogue.recorded_drift import PER_FEATURE
from alerts import drift_counts, drift_replicas
from alerts.drift_counts import on, psi, record, summed
from alerts.recording import Recording

FEWEST_PER_BIN: Final = 100
"""Values per bin below which there is no score: with fewer, PSI above 0.1 is noise as often as not."""
Z_P999: Final = 3.09
"""The normal distribution's 99.9 % quantile."""
LEAST_SHIFT: Final = {"1h": 0.1, "1d": 0.05}
"""Rank shift that counts where nothing was learned: beyond what a day's cycle does to lengths and ages."""
LEAST_PSI: Final = 0.25
"""PSI that counts where nothing was learned: the upper of the customary two bounds."""
COUNTED_FOR_A_DAY: Final = f"last_over_time({recorded.SAMPLES['1h'].name}[1h] offset 23h)"
"""A day's score needs the whole day: of a morning alone, the daily cycle would be drift."""


def hour_recordings(span: str = "1h") -> tuple[Recording, ...]:
    """Return the scores of the last hour; of another ``span`` for tests that cannot wait for one."""
    return (
        *drift_counts.hour(span),
        *drift_replicas.hour(span),
        *_scored("1h"),
    )


def day_recordings() -> tuple[Recording, ...]:
    """Return the scores of the last 24 whole hours."""
    return (*drift_counts.day(), *_scored("1d"), drift_replicas.worst_of_day())


def _scored(window: str) -> tuple[Recording, ...]:
    return (*_measured(window), *_judged(window))


def _measured(window: str) -> tuple[Recording, ...]:
    """Return how far the window is from the reference."""
    counts, samples = recorded.BIN_COUNT[window].name, recorded.SAMPLES[window].name
    rank, k = recorded.REF_MIDRANK.name, f"({recorded.REF_BINS.name} - 1)"
    quantile = f"{k} * (1 - 2 / (9 * {k}) + {Z_P999} * sqrt(2 / (9 * {k}))) ^ 3"
    unordered = matches(BIN, f"{drift.MISSING}|{drift.OTHER}")
    missing = aggregate("sum", PER_FEATURE, f"{counts}{{{equals(BIN, drift.MISSING)}}}")
    return (
        record(
            recorded.PSI[window],
            psi(recorded.PROPORTION[window].name, recorded.REF_PROPORTION.name),
        ),
        record(
            recorded.NOISE[window],
            f"{quantile}\n* (1 / ({samples} > 0) + 1 / ({recorded.REF_SAMPLES.name} > 0))",
        ),
        record(
            recorded.RANK_SHIFT[window],
            f"{summed(f'{counts} * {rank}')}\n"
            f"/ (({samples} - {summed(f'{counts}{{{unordered}}}')}) > 0) - 0.5",
        ),
        record(recorded.MISSING_SHARE[window], f"{missing}\n/ ({samples} > 0)"),
    )


def _judged(window: str) -> tuple[Recording, ...]:
    """Return the scores where there are samples enough, and what they are held against."""
    enough = f"{recorded.SAMPLES[window].name} >= {FEWEST_PER_BIN} * {recorded.REF_BINS.name}"
    if window == "1d":
        enough += f" and {on(PER_FEATURE)} {COUNTED_FOR_A_DAY}"
    return (
        record(recorded.PSI_GUARDED[window], f"{recorded.PSI[window].name} and ({enough})"),
        record(
            recorded.RANK_SHIFT_GUARDED[window],
            f"{recorded.RANK_SHIFT[window].name} and ({enough})",
        ),
        record(
            recorded.THRESHOLD_RANK[window], _threshold("rank_shift", window, LEAST_SHIFT[window])
        ),
        record(recorded.THRESHOLD_PSI[window], _threshold("psi", window, LEAST_PSI)),
    )


def _threshold(statistic: str, window: str, default: float) -> str:
    learned = select(drift.THRESHOLD, equals(STATISTIC, statistic), equals(DRIFT_WINDOW, window))
    return (
        f"{aggregate('max', PER_FEATURE, learned)}\nor {recorded.REF_SAMPLES.name} * 0 + {default}"
    )
