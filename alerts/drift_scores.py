"""Recording rules that turn drift's counters into scores, pooled over the fleet.

Counts of fixed bins add up, over nodes and over time, so a fleet's score is as exact as one process's, and
whatever stores the series (Prometheus, Mimir, Thanos, VictoriaMetrics) can compute it. Formulas: PSI
(Kullback's J divergence), total variation, Jensen-Shannon (Lin 1991), Pearson's chi-square, ridit
(Bross 1958), and Wilson and Hilferty's quantile of chi-square (1931) for the noise floor.
"""

from collections.abc import Sequence
from typing import Final

from agent.catalogue import drift
from agent.catalogue import recorded_drift as recorded
from agent.catalogue.attributes import BIN, DRIFT_WINDOW, STATISTIC
from agent.catalogue.drift import MISSING
from agent.catalogue.metric import Attribute
from agent.catalogue.promql import aggregate, equals, labels, select
from agent.catalogue.recorded import Recorded
from agent.catalogue.recorded_drift import PER_BIN, PER_FEATURE, PER_REPLICA
from alerts.recording import Recording

SMOOTHING: Final = 0.5
"""Of a value, added to each bin: no bin is empty then, and no logarithm infinite."""
FEWEST_PER_BIN: Final = 100
"""Values per bin below which there is no score: with fewer, PSI above 0.1 is noise as often as not."""
FEWEST_OF_REPLICA: Final = 500
"""Values that a replica must have seen to be compared."""
Z_P999: Final = 3.09
"""The normal distribution's 99.9 % quantile."""
LEAST_SHIFT: Final = {"1h": 0.1, "1d": 0.05}
"""Rank shift that counts where nothing was learned: beyond what a day's cycle does to lengths and ages."""
LEAST_PSI: Final = 0.25
"""PSI that counts where nothing was learned: the upper of the customary two bounds."""
HOURS_OF_DAY: Final = "23h59m59s999ms:1h"
"""A day's counts are sums of hours': the raw counters of a large fleet are too many to read over a day.

Just short of a day, because Prometheus 2 takes both ends of a range and Prometheus 3 only one: these are 24
hours to both.
"""
COUNTED_FOR_A_DAY: Final = f"last_over_time({recorded.BINS['1h'].name}[1h] offset 23h)"
"""A day's score needs the whole day: of a morning alone, the daily cycle would be drift."""
SEASON: Final = "1w"


def reference_recordings() -> tuple[Recording, ...]:
    """Return one series of each reference, however many replicas export it."""
    return (
        _record(
            recorded.REF_PROPORTION, aggregate("max", PER_BIN, select(drift.REFERENCE_PROPORTION))
        ),
        _record(recorded.REF_MIDRANK, aggregate("max", PER_BIN, select(drift.REFERENCE_MIDRANK))),
        _record(
            recorded.REF_SAMPLES, aggregate("max", PER_FEATURE, select(drift.REFERENCE_SAMPLES))
        ),
    )


def hour_recordings(span: str = "1h") -> tuple[Recording, ...]:
    """Return the scores of the last hour; of another ``span`` for tests that cannot wait for one."""
    increase = f"increase({select(drift.FEATURE_OBSERVATIONS, window=span)})"
    by = (*PER_BIN, *PER_REPLICA[len(PER_FEATURE) :])
    return _recordings("1h", aggregate("sum", by, increase))


def day_recordings() -> tuple[Recording, ...]:
    """Return the scores of the last 24 whole hours."""
    hours = recorded.REPLICA_COUNT["1h"].name
    return _recordings("1d", f"sum_over_time({hours}[{HOURS_OF_DAY}])")


def _recordings(window: str, counts: str) -> tuple[Recording, ...]:
    return (*_counted(window, counts), *_scored(window), *_judged(window), *_compared(window))


def _counted(window: str, counts: str) -> tuple[Recording, ...]:
    """Return counts, once per replica and once for all."""
    per_replica = recorded.REPLICA_COUNT[window].name
    pooled, samples = recorded.BIN_COUNT[window].name, recorded.SAMPLES[window].name
    bins = recorded.BINS[window].name
    return (
        _record(recorded.REPLICA_COUNT[window], counts),
        _record(recorded.REPLICA_SAMPLES[window], aggregate("sum", PER_REPLICA, per_replica)),
        _record(recorded.BIN_COUNT[window], aggregate("sum", PER_BIN, per_replica)),
        _record(recorded.SAMPLES[window], aggregate("sum", PER_FEATURE, pooled)),
        _record(recorded.BINS[window], aggregate("count", PER_FEATURE, pooled)),
        _record(
            recorded.PROPORTION[window],
            f"({pooled} + {SMOOTHING})\n/ {_on(PER_FEATURE)} group_left ()\n"
            f"({samples} + {SMOOTHING} * {bins})",
        ),
    )


def _scored(window: str) -> tuple[Recording, ...]:
    """Return the distances to the reference."""
    share, counts = recorded.PROPORTION[window].name, recorded.BIN_COUNT[window].name
    samples, bins = recorded.SAMPLES[window].name, recorded.BINS[window].name
    reference, rank = recorded.REF_PROPORTION.name, recorded.REF_MIDRANK.name
    expected = f"({reference} * {_on(PER_FEATURE)} group_left () {samples})"
    middle = f"({share} + {reference})"
    k = f"({bins} - 1)"
    quantile = f"{k} * (1 - 2 / (9 * {k}) + {Z_P999} * sqrt(2 / (9 * {k}))) ^ 3"
    return (
        _record(recorded.PSI[window], _psi(share, reference)),
        _record(recorded.TVD[window], f"0.5 * {_sum(f'abs({share} - {reference})')}"),
        _record(
            recorded.JS[window],
            f"sqrt(clamp_min(\n0.5 * {_sum(f'{share} * log2(2 * {share} / {middle})')}\n"
            f"+ 0.5 * {_sum(f'{reference} * log2(2 * {reference} / {middle})')}\n, 0))",
        ),
        _record(recorded.CHI2[window], _sum(f"({counts} - {expected}) ^ 2 / {expected}")),
        _record(
            recorded.NOISE[window],
            f"{quantile}\n* (1 / ({samples} > 0) + 1 / ({recorded.REF_SAMPLES.name} > 0))",
        ),
        _record(
            recorded.RANK_SHIFT[window],
            f"{_sum(f'{counts} * {rank}')}\n/ ({_sum(f'{counts} and {rank}')} > 0) - 0.5",
        ),
        _record(
            recorded.MISSING_SHARE[window],
            f"{aggregate('sum', PER_FEATURE, f'{counts}{{{equals(BIN, MISSING)}}}')}\n/ ({samples} > 0)",
        ),
        _record(recorded.REPLICA_PSI_MAX[window], _worst_replica(window)),
    )


def _worst_replica(window: str) -> str:
    """Return the greatest PSI of a replica: the sum of eight hides that one of them differs."""
    counts, samples = recorded.REPLICA_COUNT[window].name, recorded.REPLICA_SAMPLES[window].name
    smoothing = f"({SMOOTHING} * {recorded.BINS[window].name})"
    share = (
        f"(({counts} + {SMOOTHING})\n/ {_on(PER_REPLICA)} group_left ()\n"
        f"({samples} + {_on(PER_FEATURE)} group_left () {smoothing}))"
    )
    reference = f"{_on(PER_BIN)} group_left () {recorded.REF_PROPORTION.name}"
    terms = f"({share} - {reference})\n* ln({share} / {reference})"
    psi = aggregate("sum", PER_REPLICA, terms)
    return aggregate(
        "max", PER_FEATURE, f"{psi}\nand {_on(PER_REPLICA)} {samples} >= {FEWEST_OF_REPLICA}"
    )


def _judged(window: str) -> tuple[Recording, ...]:
    """Return the scores where there are samples enough, and what they are held against."""
    enough = f"{recorded.SAMPLES[window].name} >= {FEWEST_PER_BIN} * {recorded.BINS[window].name}"
    if window == "1d":
        enough += f" and {_on(PER_FEATURE)} {COUNTED_FOR_A_DAY}"
    return (
        _record(recorded.PSI_GUARDED[window], f"{recorded.PSI[window].name} and ({enough})"),
        _record(
            recorded.RANK_SHIFT_GUARDED[window],
            f"{recorded.RANK_SHIFT[window].name} and ({enough})",
        ),
        _record(
            recorded.THRESHOLD_RANK[window], _threshold("rank_shift", window, LEAST_SHIFT[window])
        ),
        _record(recorded.THRESHOLD_PSI[window], _threshold("psi", window, LEAST_PSI)),
    )


def _threshold(statistic: str, window: str, default: float) -> str:
    learned = select(drift.THRESHOLD, equals(STATISTIC, statistic), equals(DRIFT_WINDOW, window))
    return (
        f"{aggregate('max', PER_FEATURE, learned)}\nor {recorded.REF_SAMPLES.name} * 0 + {default}"
    )


def _compared(window: str) -> tuple[Recording, ...]:
    """Return how a window differs from an earlier one: references that roll along, and with the season."""
    share = recorded.PROPORTION[window].name
    return (
        _record(recorded.PSI_ROLLING[window], _psi(share, f"({share} offset {window})")),
        _record(recorded.PSI_SEASONAL[window], _psi(share, f"({share} offset {SEASON})")),
    )


def _psi(share: str, reference: str) -> str:
    return _sum(f"({share} - {reference}) * ln({share} / {reference})")


def _sum(expression: str) -> str:
    return aggregate("sum", PER_FEATURE, expression)


def _on(attributes: Sequence[Attribute]) -> str:
    return f"on ({labels(attributes)})"


def _record(series: Recorded, expression: str) -> Recording:
    return Recording(recorded=series, expression=expression)
