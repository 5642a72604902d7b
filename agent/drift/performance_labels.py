"""How right a model was: counts labels against predictions, by bin of the score, when the labels come."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from agent.catalogue.drift import MISSING, OTHER
from agent.drift.awaited import Halves, Said
from agent.drift.bins import NumericBins
from agent.drift.column import finite, spelled
from agent.drift.reference import Reference
from agent.drift.rows import LABEL, PREDICTION, ROW_ID, SCORE

BINARY: Final = ("true_positive", "false_positive", "true_negative", "false_negative")
OTHERWISE: Final = ("right", "wrong")
"""Where there is no positive class."""


class Joined(NamedTuple):
    """What the labels of a batch told."""

    judged: dict[str, list[object]]
    """Score, prediction and label of the rows of which all is known."""
    labels: list[object]
    """The labels that the batch brought, or that waited for its rows."""
    unmatched: int
    """Labels that belong to no row."""


def joined(
    model: tuple[str, str], columns: Mapping[str, Sequence[object]], halves: Halves, now: float
) -> Joined:
    """Return what labels tell of a batch and of what was said before.

    What the model says of a row without a label waits for it in ``halves``, and a label for its row.
    """
    found: dict[str, list[object]] = {SCORE: [], PREDICTION: [], LABEL: []}
    labels = [label for label in columns.get(LABEL, ()) if label is not None]
    unmatched = 0
    size = max(map(len, columns.values()), default=0) if columns.keys() & found.keys() else 0
    blank: Sequence[object] = [None] * size
    told = [columns.get(name, blank) for name in (ROW_ID, SCORE, PREDICTION, LABEL)]
    for row, score, prediction, truth in zip(*told, strict=False):
        said: Sequence[object] | None = score, prediction
        label = truth
        if score is None and prediction is None:
            if label is None:
                continue
            said = halves.rows.take(model, row) if row is not None else None
            if said is None and row is not None:
                halves.labels.put(model, row, label, now, counted=True)
            unmatched += row is None
        elif label is None and row is not None:
            waited = halves.labels.take(model, row)
            if waited is None:
                halves.rows.put(model, row, Said(finite(score), spelled(prediction)), now)
            else:
                label = waited.value
                labels += [] if waited.counted else [label]
        if said is not None and label is not None:
            for name, value in zip((SCORE, PREDICTION, LABEL), (*said, label), strict=True):
                found[name].append(value)
    return Joined(found, labels, unmatched)


class LabelCounter:
    """Counts of labels by bin of the score and by outcome; every pair is there from the start."""

    def __init__(self, reference: Reference) -> None:
        score = reference.by_name.get(SCORE)
        bins = score.bins if score and isinstance(score.bins, NumericBins) else NumericBins(())
        calibration = reference.calibration
        self._edges = bins.edges
        self._labels = bins.labels
        self._positive = calibration.positive if calibration else ""
        outcomes = BINARY if self._positive else OTHERWISE
        self.counts = {(label, each): 0 for label in bins.labels for each in outcomes}

    def add(self, judged: Mapping[str, Sequence[object]]) -> None:
        """Count rows of which all is known, as `joined` returns them; without a prediction there is none."""
        columns = judged[SCORE], judged[PREDICTION], judged[LABEL]
        for score, prediction, label in zip(*columns, strict=True):
            said, truth = spelled(prediction), spelled(label)
            if said is not None and truth is not None:
                self.counts[self._bin(score), self._outcome(said, truth)] += 1

    def _bin(self, score: object) -> str:
        if score is None:
            return MISSING
        number = finite(score)
        return OTHER if number is None else self._labels[bisect_left(self._edges, number)]

    def _outcome(self, said: str, truth: str) -> str:
        if not self._positive:
            return "right" if said == truth else "wrong"
        verdict = "true" if said == truth else "false"
        return f"{verdict}_{'positive' if said == self._positive else 'negative'}"

    def __iter__(self) -> Iterator[tuple[tuple[str, str], int]]:
        """Return each bin and outcome with its count."""
        return iter(self.counts.items())
