"""The detectors that are compared: ours, by the code that runs, and what others do by default."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import log2, sqrt
from typing import Any, Final

import numpy as np

from agent.drift import column
from agent.drift.calibration import Point, bound_of
from agent.drift.counting import counter
from agent.drift.difference import psi, rank_shift
from agent.drift.learning import FeatureLearner
from agent.drift.reference import FeatureReference
from alerts.drift_scores import FEWEST_PER_BIN, LEAST_PSI, LEAST_SHIFT, Z_P999

P_VALUE: Final = 0.05
"""Evidently's default for references of at most 1,000 rows, and many a dashboard's."""
PSI_ALARM: Final = 0.1
"""The customary bound of PSI."""
EVIDENTLY_ALARM: Final = 0.1
"""Evidently's default above 1,000 rows: normed Wasserstein distance, or Jensen-Shannon of categories."""
_FEW: Final = 5
"""Distinct values up to which it takes numbers for categories."""

Column = Sequence[Any]


def learned(name: str, values: Column) -> FeatureReference:
    """Return the reference of a column, learned as the drift process learns it."""
    learner = FeatureLearner(name)
    learner.add(list(values))
    found = learner.freeze()
    if found is None:
        raise ValueError(f"{name} cannot be learned")
    return found.features[0]


def counted(feature: FeatureReference, values: Column) -> FeatureReference:
    """Return what the drift process counts of values."""
    known = counter(feature)
    known.add(column.Column(list(values)))
    return replace(feature, counts=tuple(known.counts))


def noise_floor(feature: FeatureReference, current: FeatureReference) -> float:
    """Return what the rule ``drift:psi_noise_p999`` gives: PSI's 99.9 % quantile where nothing changed."""
    k = len(feature.counts) - 1
    quantile = k * (1 - 2 / (9 * k) + Z_P999 * sqrt(2 / (9 * k))) ** 3
    return quantile * (1 / current.samples + 1 / feature.samples)


def is_enough(feature: FeatureReference, samples: int) -> bool:
    """Tell whether the rules give a score at all."""
    return samples >= FEWEST_PER_BIN * len(feature.counts)


class Ours:
    """Our two scores of a window against bounds learned from the reference's own windows."""

    def __init__(self, name: str, reference: Column, chunks: Sequence[Column]) -> None:
        self.feature = learned(name, reference)
        history = [self.scores(chunk) for chunk in chunks]
        shifts = [Point(number, shift) for number, (shift, _) in enumerate(history) if shift]
        scores = [Point(number, score) for number, (_, score) in enumerate(history)]
        self.shift_bound = bound_of(shifts, "rank_shift", "1d")
        self.psi_bound = bound_of(scores, "psi", "1d")

    def scores(self, values: Column) -> tuple[float | None, float]:
        """Return rank shift (`None` for categories) and PSI of a window."""
        current = counted(self.feature, values)
        return rank_shift(self.feature, current), psi(self.feature, current)

    def fires(self, values: Column) -> bool:
        """Tell whether the daily rules would, were this window a day."""
        current = counted(self.feature, values)
        if not is_enough(self.feature, current.samples):
            return False
        shift, score = rank_shift(self.feature, current), psi(self.feature, current)
        shaped = score > self.psi_bound and score > noise_floor(self.feature, current)
        return shaped or (shift is not None and abs(shift) > self.shift_bound)

    def fires_uncalibrated(self, values: Column) -> bool:
        """Tell the same for the cautious bounds before calibration."""
        current = counted(self.feature, values)
        if not is_enough(self.feature, current.samples):
            return False
        shift, score = rank_shift(self.feature, current), psi(self.feature, current)
        shaped = score > LEAST_PSI and score > noise_floor(self.feature, current)
        return shaped or (shift is not None and abs(shift) > LEAST_SHIFT["1d"])


def doane_edges(values: Any) -> Any:
    """Return edges of equal width, as many as Doane's rule (1976) asks for, as numpy's ``doane``."""
    return np.histogram_bin_edges(values, bins="doane")


def js_numeric(reference: Any, edges: Any, values: Any) -> float:
    """Return the Jensen-Shannon distance as NannyML has it: bins of the reference, the rest beside them."""
    before = np.histogram(reference, edges)[0] / len(reference)
    now = np.histogram(values, edges)[0] / len(values)
    return _distance([*before, 1 - sum(before)], [*now, 1 - sum(now)])


def js_words(reference: Column, values: Column) -> float:
    """Return the same of categories."""
    words = sorted({*map(str, reference), *map(str, values)})
    sides = []
    for side in (reference, values):
        told = list(map(str, side))
        sides.append([told.count(word) / len(told) for word in words])
    return _distance(*sides)


def _distance(before: Sequence[float], now: Sequence[float]) -> float:
    total = 0.0
    for p, q in zip(before, now, strict=True):
        middle = (p + q) / 2
        total += sum(part * log2(part / middle) for part in (p, q) if part > 1e-15) / 2
    return sqrt(max(total, 0.0))


class NannyML:
    """Its default for a column: Jensen-Shannon beyond mean and 3 standard deviations of reference chunks."""

    def __init__(self, reference: Column, chunks: Sequence[Column]) -> None:
        self._score = _js(reference)
        values = [self._score(chunk) for chunk in chunks]
        self.bound = float(np.mean(values) + 3 * np.std(values))

    def fires(self, values: Column) -> bool:
        """Tell whether a chunk alerts."""
        return self._score(values) > self.bound


def _js(reference: Column) -> Callable[[Column], float]:
    if _is_numeric(reference):
        array = np.asarray(reference, dtype=float)
        edges = doane_edges(array)
        return lambda values: js_numeric(array, edges, np.asarray(values, dtype=float))
    return lambda values: js_words(reference, values)


def _is_numeric(values: Column) -> bool:
    return isinstance(values[0], int | float) and not isinstance(values[0], bool)


def p_value(reference: Column, values: Column) -> float:
    """Return the p-value of the two-sample KS test, or of chi-square for categories."""
    from scipy import stats  # noqa: PLC0415 - of the evaluation's environment

    if _is_numeric(reference):
        return float(stats.ks_2samp(reference, values).pvalue)
    words = sorted({*map(str, reference), *map(str, values)})
    table = [[list(map(str, side)).count(word) for word in words] for side in (reference, values)]
    return float(stats.chi2_contingency(table).pvalue)


def evidently_scorer(reference: Column) -> Callable[[Column], float]:
    """Return what Evidently's own default test gives for references of more than 1,000 rows."""
    import pandas as pd  # noqa: PLC0415 - of the evaluation's environment
    from evidently.legacy.calculations import stattests  # noqa: PLC0415 - as above
    from evidently.legacy.core import ColumnType  # noqa: PLC0415 - as above

    numeric = _is_numeric(reference)
    kind = ColumnType.Numerical if numeric else ColumnType.Categorical
    is_wasserstein = numeric and len(set(reference)) > _FEW
    test = stattests.wasserstein_stat_test if is_wasserstein else stattests.jensenshannon_stat_test
    before = pd.Series(list(reference))
    score = stattests.get_stattest(before, before, kind, test)

    def scored(values: Column) -> float:
        return float(score(before, pd.Series(list(values)), kind, EVIDENTLY_ALARM).drift_score)

    return scored


def detectors(
    name: str, reference: Column, chunks: Sequence[Column]
) -> Mapping[str, Callable[[Column], bool]]:
    """Return every detector, taught with a reference; ``chunks`` are its own windows."""
    ours, nannyml = Ours(name, reference, chunks), NannyML(reference, chunks)
    evidently = evidently_scorer(reference)
    return {
        "Warpwatch, calibrated": ours.fires,
        "Warpwatch, defaults": ours.fires_uncalibrated,
        "PSI > 0.1": lambda values: ours.scores(values)[1] > PSI_ALARM,
        "KS / chi-square p < 0.05": lambda values: p_value(reference, values) < P_VALUE,
        "Evidently default": lambda values: evidently(values) > EVIDENTLY_ALARM,
        "NannyML JS, 3 sigma": nannyml.fires,
    }


def cut(values: Column, size: int) -> list[Column]:
    """Return whole chunks of ``size``."""
    return [values[at : at + size] for at in range(0, len(values) - size + 1, size)]
