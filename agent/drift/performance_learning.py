"""Learns how a score relates to the truth, from rows of which all is known: score, prediction and label.

The bins of the score are known only when learning ends, so a bounded sample of such rows is kept until then:
three small values a row, none of them a feature.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from agent.drift.bins import NumericBins
from agent.drift.column import finite, spelled
from agent.drift.performance import Calibration, roc_auc
from agent.drift.rows import LABEL, PREDICTION, SCORE

MOST_ROWS: Final = 50_000
"""Labelled rows that are kept while learning, some 4 MiB; of more, a uniform sample."""
FEWEST_ROWS: Final = 1_000
"""With fewer, 20 bins of the score have too few rows each to tell how often the model is right."""
POSITIVE: Final[Mapping[frozenset[str], str]] = {
    frozenset({"0", "1"}): "1",
    frozenset({"-1", "1"}): "1",
    frozenset({"false", "true"}): "true",
    frozenset({"False", "True"}): "True",
    frozenset({"no", "yes"}): "yes",
    frozenset({"n", "y"}): "y",
    frozenset({"negative", "positive"}): "positive",
}
"""Pairs of classes of which it is plain which one is meant by a high score."""
_OF_POSITIVE: Final = 0.9
"""ROC AUC of the predictions by the score from which on the score is the positive class's probability."""


class Judged(NamedTuple):
    """One row of which the truth is known; classes are spelled as `counting.spelled` does."""

    score: float
    prediction: str | None
    label: str


def judged(score: object, prediction: object, label: object) -> Judged | None:
    """Return a row as it can be learned from; `None` where the score or the label is none."""
    number, truth = finite(score), spelled(label)
    if number is None or truth is None:
        return None
    return Judged(number, spelled(prediction), truth)


class PerformanceSample:
    """A uniform sample of judged rows (reservoir, Vitter 1985), the same for the same rows."""

    def __init__(self, most: int = MOST_ROWS) -> None:
        self._most = most
        self._rows: list[Judged] = []
        self._seen = 0
        self._random = random.Random(0)  # noqa: S311 - a sample, not a secret

    def add(self, columns: Mapping[str, Sequence[object]]) -> None:
        """Take in the rows of a batch that have a score and a label."""
        labels, scores = columns.get(LABEL), columns.get(SCORE)
        if labels is None or scores is None:
            return
        predictions = columns.get(PREDICTION) or [None] * len(scores)
        for score, prediction, label in zip(scores, predictions, labels, strict=False):
            row = judged(score, prediction, label)
            if row is not None:
                self.take(row)

    def take(self, row: Judged) -> None:
        """Take in one row."""
        self._seen += 1
        if len(self._rows) < self._most:
            self._rows.append(row)
        elif (place := self._random.randrange(self._seen)) < self._most:
            self._rows[place] = row

    def calibrate(self, bins: object) -> Calibration | None:
        """Return what each bin of the score told; `None` with too few rows, or a score that is no number."""
        if not isinstance(bins, NumericBins) or len(self._rows) < FEWEST_ROWS:
            return None
        scores = np.array([row.score for row in self._rows])
        place = np.searchsorted(np.array(bins.edges), scores, side="left")
        size = bins.ordered

        def per_bin(chosen: Sequence[bool]) -> tuple[int, ...]:
            weights = np.array(chosen, dtype=np.int64)
            return tuple(int(n) for n in np.bincount(place, weights=weights, minlength=size))

        rows = self._rows
        positive = POSITIVE.get(frozenset(row.label for row in rows), "")
        if positive and not self._is_of_positive(positive, per_bin):
            positive = ""
        predicted = all(row.prediction is not None for row in rows)
        return Calibration(
            per_bin([True] * len(rows)),
            per_bin([row.prediction == row.label for row in rows]) if predicted else (),
            per_bin([row.label == positive for row in rows]) if positive else (),
            positive,
        )

    def _is_of_positive(
        self, positive: str, per_bin: Callable[[Sequence[bool]], tuple[int, ...]]
    ) -> bool:
        """Tell whether the score is the probability of the positive class, not of the predicted one."""
        said = [row.prediction or row.label for row in self._rows]
        area = roc_auc(
            per_bin([word == positive for word in said]),
            per_bin([word != positive for word in said]),
        )
        predicted = all(row.prediction is not None for row in self._rows)
        return area is not None and area > (_OF_POSITIVE if predicted else 0.5)
