"""Performance without labels: our estimate from 20 counts, beside NannyML's from every row, and the truth."""

from collections.abc import Sequence
from csv import DictReader
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from agent.drift.column import Column
from agent.drift.performance import Calibration, estimated_accuracy, estimated_roc_auc, isotonic
from agent.drift.rows import LABEL, PREDICTION, SCORE, Rows
from agent.drift.traffic import Learning, Traffic
from tests.evaluation.data import Split
from tests.evaluation.detectors import cut, doane_edges, js_numeric

CHUNK: Final = 5_000
NANNYML: Final = Path(__file__).resolve().parents[1] / "fixtures/nannyml/cbpe_0.13.1.csv"
"""What NannyML 0.13.1 itself gives for both data sets; its own documents publish those of the loans."""
PUBLISHED_JS: Final = (0.031661, 0.030011, 0.031129, 0.029464, 0.030809, 0.028681, 0.043628)
"""Jensen-Shannon distances of debt_to_income_ratio that NannyML's documents show, the first chunks."""


class Columns(NamedTuple):
    """The names of a data set's columns."""

    score: str
    prediction: str
    label: str


CENSUS: Final = Columns("predicted_probability", "prediction", "employed")
CAR_LOAN: Final = Columns("y_pred_proba", "y_pred", "repaid")


class Estimate(NamedTuple):
    """One chunk: NannyML's values, those of every row by its formula, ours from counts, and the truth."""

    nannyml: tuple[float, float]
    rows: tuple[float, float]
    counts: tuple[float, float]
    truth: tuple[float, float]


def estimates(split: Split, columns: Columns, data: str) -> list[Estimate]:
    """Return ROC AUC and accuracy of each chunk of the later rows."""
    calibration, traffic = _taught(split, columns)
    fitted = _isotonic_rows(split, columns)
    found = []
    parts = [cut(split.later[name], CHUNK) for name in columns]
    rest = len(split.later[columns.score]) % CHUNK
    if rest:
        parts = [
            [*part, split.later[name][-rest:]] for part, name in zip(parts, columns, strict=True)
        ]
    for said, chunk in zip(oracle(data), zip(*parts, strict=True), strict=True):
        score, prediction, label = (np.asarray(each, dtype=float) for each in chunk)
        truth = _area(score, label), float(np.mean(prediction == label))
        counts = _counted(traffic, chunk[0])
        area, accuracy = (
            estimated_roc_auc(counts, calibration),
            estimated_accuracy(counts, calibration),
        )
        assert area is not None
        assert accuracy is not None
        found.append(Estimate(said, _of_rows(fitted, score, prediction), (area, accuracy), truth))
    return found


def oracle(data: str) -> list[tuple[float, float]]:
    """Return NannyML's estimates of a data set, by chunk."""
    with NANNYML.open(newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        return [
            (float(row["estimated_roc_auc"]), float(row["estimated_accuracy"]))
            for row in DictReader(lines)
            if row["data"] == data
        ]


def _taught(split: Split, columns: Columns) -> tuple[Calibration, Traffic]:
    """Learn the score as the drift process does: with 20 bins, from labelled rows."""
    told = {
        own: list(split.reference[name])
        for own, name in zip((SCORE, PREDICTION, LABEL), columns, strict=True)
    }
    size = len(told[SCORE])
    traffic = Traffic("m", "", learning=Learning(rows=size, seconds=0))
    reference = traffic.add(Rows("m", "", told, 0.0))
    assert reference is not None
    assert reference.calibration is not None
    return reference.calibration, traffic


def _counted(traffic: Traffic, scores: Sequence[Any]) -> list[int]:
    """Return the counts of a chunk's scores."""
    known = traffic.counters[SCORE]
    before = list(known.counts)
    known.add(Column([float(score) for score in scores]))
    ordered = known.reference.bins.ordered
    return [now - then for now, then in zip(known.counts, before, strict=True)][:ordered]


def _isotonic_rows(split: Split, columns: Columns) -> tuple[Any, Any]:
    """Return thresholds of an isotonic fit to every row, as scikit-learn keeps it."""
    score = np.asarray(split.reference[columns.score], dtype=float)
    label = np.asarray(split.reference[columns.label], dtype=float)
    at, place, weight = np.unique(score, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=label) / weight
    return at, np.array(isotonic(mean.tolist(), weight.tolist()))


def _of_rows(fitted: tuple[Any, Any], score: Any, prediction: Any) -> tuple[float, float]:
    """Return the estimates from every row (CBPE): the oracle's own way, once more."""
    chance = np.interp(score, *fitted)
    accuracy = float(np.mean(np.where(prediction == 1, chance, 1 - chance)))
    order = np.argsort(-score, kind="stable")
    levels, place = np.unique(-score[order], return_inverse=True)
    positive = np.bincount(place, weights=chance[order], minlength=len(levels))
    negative = np.bincount(place, weights=1 - chance[order], minlength=len(levels))
    above = np.concatenate(([0.0], np.cumsum(positive)[:-1]))
    area = float(((above + positive / 2) * negative).sum() / (positive.sum() * negative.sum()))
    return area, accuracy


def _area(score: Any, label: Any) -> float:
    """Return the area under the ROC curve (Mann-Whitney, ties counting half)."""
    _, place = np.unique(score, return_inverse=True)
    positive = np.bincount(place, weights=label)
    negative = np.bincount(place, weights=1 - label, minlength=len(positive))
    below = np.concatenate(([0.0], np.cumsum(negative)[:-1]))
    return float((positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum()))


def mean_errors(found: Sequence[Estimate]) -> dict[str, tuple[float, float]]:
    """Return the mean absolute distances of each way to the truth, and of ours to NannyML."""

    def between(one: str, other: str) -> tuple[float, float]:
        return tuple(  # type: ignore[return-value]
            float(np.mean([abs(getattr(e, one)[at] - getattr(e, other)[at]) for e in found]))
            for at in (0, 1)
        )

    return {
        "NannyML, of every row, to the truth": between("nannyml", "truth"),
        "Warpwatch, of 20 counts, to the truth": between("counts", "truth"),
        "Warpwatch to NannyML": between("counts", "nannyml"),
        "the formula on every row to NannyML": between("rows", "nannyml"),
    }


def js_of_published(split: Split) -> list[float]:
    """Return our distances where NannyML's documents publish theirs."""
    reference = np.asarray(split.reference["debt_to_income_ratio"], dtype=float)
    edges = doane_edges(reference)
    both = [*cut(split.reference["debt_to_income_ratio"], CHUNK)]
    later = cut(split.later["debt_to_income_ratio"], CHUNK)
    return [js_numeric(reference, edges, np.asarray(part, dtype=float)) for part in (*later, *both)]
