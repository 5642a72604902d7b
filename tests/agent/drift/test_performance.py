import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue.drift import LABELS, SCORE_CORRECTNESS, SCORE_POSITIVE_RATE
from agent.drift.awaited import Awaited, Said
from agent.drift.performance import (
    Calibration,
    estimated_accuracy,
    estimated_roc_auc,
    isotonic,
    roc_auc,
)
from agent.drift.readings import readings
from agent.drift.reference import InvalidReferenceError, Reference
from agent.drift.reference_file import from_json
from agent.drift.rows import Rows
from agent.drift.traffic import Learning, Traffic

MODEL = ("churn", "3")
ROWS = 20_000


def scored(count: int, seed: int, skew: float = 1.0) -> dict[str, list[object]]:
    """Return scores that are true probabilities, what is predicted of them, and what came true."""
    numbers = random.Random(seed)
    scores = [numbers.random() ** skew for _ in range(count)]
    return {
        "score": list(scores),
        "prediction": [int(score >= 0.5) for score in scores],
        "label": [int(numbers.random() < score) for score in scores],
    }


def rows(columns: dict[str, list[object]], time: float = 0.0, *, whole: bool = True) -> Rows:
    """Return rows of the model."""
    return Rows(*MODEL, columns, time, whole)


def taught() -> tuple[Traffic, Reference]:
    """Return traffic that has learned what a score is worth."""
    traffic = Traffic(*MODEL, learning=Learning(rows=ROWS, seconds=0))
    reference = traffic.add(rows(scored(ROWS, 1)))
    assert reference is not None
    return traffic, reference


def test_accuracy_and_auc_are_estimated_from_bin_counts() -> None:
    """Other scores than the reference's, no label: the estimate is what the labels say later."""
    traffic, reference = taught()
    calibration = reference.calibration
    assert calibration is not None
    later = scored(50_000, 2, skew=1.4)

    traffic.add(rows({key: later[key] for key in ("score", "prediction")}))

    counts = list(traffic.counters["score"].counts)[:-2]
    right = sum(p == label for p, label in zip(later["prediction"], later["label"], strict=True))
    estimate = estimated_accuracy(counts, calibration)
    assert estimate == pytest.approx(right / 50_000, abs=0.01)
    truth = _auc(later)
    assert estimated_roc_auc(counts, calibration) == pytest.approx(truth, abs=0.01)


def _auc(columns: dict[str, list[object]]) -> float:
    scores = [float(str(each)) for each in columns["score"]]
    pairs = sorted(zip(scores, columns["label"], strict=True))
    below, won = 0, 0
    for _, label in pairs:
        won += below if label else 0
        below += 0 if label else 1
    return won / (below * (len(pairs) - below))


def test_a_score_has_twenty_bins() -> None:
    """The score is cut finer than a feature: estimates from its counts need that."""
    _, reference = taught()

    assert reference.by_name["score"].bins.ordered == 20
    assert reference.calibration is not None
    assert sum(reference.calibration.labelled) == ROWS
    assert reference.calibration.positive == "1"


def test_a_calibration_is_kept_with_the_reference() -> None:
    """It survives the file, is part of the id, and one that does not fit is refused."""
    _, reference = taught()

    again = from_json(reference.to_json())

    assert (again.id, again.calibration) == (reference.id, reference.calibration)
    assert again.id != Reference(*MODEL, reference.features).id
    with pytest.raises(InvalidReferenceError, match="does not fit"):
        Reference(*MODEL, reference.features, calibration=Calibration((1, 2), (1, 1)))
    with pytest.raises(InvalidReferenceError, match="exceeds labelled"):
        from_json(_damaged(reference))


def _damaged(reference: Reference) -> str:
    content = json.loads(reference.to_json())
    content["calibration"]["right"][0] = 10**9
    return json.dumps(content)


def test_what_a_score_is_worth_is_exported() -> None:
    """One series a bin, so that the estimate is a sum in PromQL; outcomes are born at 0."""
    traffic, _ = taught()

    told = list(readings(traffic))

    for metric in (SCORE_CORRECTNESS, SCORE_POSITIVE_RATE):
        found = [reading for reading in told if reading.metric is metric]
        assert len(found) == 20
        assert all(reading.attributes[3] == "score" for reading in found)
        assert all(isinstance(each.value, float) and 0 < each.value < 1 for each in found)
    born = [reading for reading in told if reading.metric is LABELS]
    assert len(born) == 22 * 4
    assert {reading.value for reading in born} == {0.0}


def test_labels_that_come_late_find_their_rows() -> None:
    """A label that comes with the id of its row days later is held against what was predicted."""
    traffic, _ = taught()
    ids: list[object] = ["a", "b", "c", "d"]
    said: dict[str, list[object]] = {
        "row_id": ids,
        "score": [0.9, 0.8, 0.1, 0.2],
        "prediction": [1, 1, 0, 0],
    }
    traffic.add(rows(said, time=1.0))

    traffic.add(rows({"row_id": [*ids, "z"], "label": [1, 0, 0, 1, 1]}, time=86_400.0, whole=False))

    assert traffic.labels is not None
    outcomes: dict[str, int] = {}
    for (_, outcome), count in traffic.labels:
        outcomes[outcome] = outcomes.get(outcome, 0) + count
    assert outcomes == {
        "true_positive": 1,
        "false_positive": 1,
        "true_negative": 1,
        "false_negative": 1,
    }
    assert traffic.rows == 4
    assert sum(traffic.counters["label"].counts) == 5
    assert list(traffic.counters["label"].counts)[-2] == 0
    assert "row_id" not in traffic.counters


def test_labels_in_the_row_are_counted_at_once() -> None:
    """Where the truth is known with the row, accuracy is known, by bin of the score."""
    traffic, _ = taught()
    later = scored(5_000, 4)

    traffic.add(rows(later))

    assert traffic.labels is not None
    right = sum(count for (_, outcome), count in traffic.labels if outcome.startswith("true_"))
    truth = sum(p == label for p, label in zip(later["prediction"], later["label"], strict=True))
    assert right == truth


def test_many_classes_are_right_or_wrong() -> None:
    """Without a positive class there is an accuracy and no area under a curve."""
    numbers = random.Random(3)
    said = [numbers.choice("abc") for _ in range(3_000)]
    truth = [word if numbers.random() < 0.8 else "a" for word in said]
    scores: list[object] = [numbers.random() for _ in said]
    traffic = Traffic(*MODEL, learning=Learning(rows=3_000, seconds=0))

    reference = traffic.add(rows({"score": scores, "prediction": list(said), "label": list(truth)}))

    assert reference is not None
    calibration = reference.calibration
    assert calibration is not None
    assert (calibration.positive, calibration.positive_rates) == ("", ())
    assert estimated_roc_auc([1.0] * 20, calibration) is None
    assert estimated_accuracy([1.0] * 20, calibration) == pytest.approx(0.866, abs=0.03)


def test_a_confidence_is_not_the_probability_of_a_class() -> None:
    """How sure a model is of either answer says how often it is right, and nothing about the positive one."""
    columns = scored(10_000, 5)
    columns["score"] = [max(float(str(each)), 1 - float(str(each))) for each in columns["score"]]
    traffic = Traffic(*MODEL, learning=Learning(rows=10_000, seconds=0))

    reference = traffic.add(rows(columns))

    assert reference is not None
    assert reference.calibration is not None
    assert reference.calibration.positives == ()
    assert len(reference.calibration.correctness) == 20


def test_few_labels_calibrate_nothing() -> None:
    """With a few labels an estimate would be noise; there is none."""
    columns = scored(2_000, 6)
    columns["label"] = [*columns["label"][:500], *[None] * 1_500]
    traffic = Traffic(*MODEL, learning=Learning(rows=2_000, seconds=0))

    reference = traffic.add(rows(columns))

    assert reference is not None
    assert reference.calibration is None
    assert reference.by_name["label"].samples == 500


def test_waiting_for_labels_is_bounded() -> None:
    """Neither many rows nor much time makes what waits grow."""
    awaited = Awaited(most=100, time_to_live=1_000.0)

    for number in range(1_000):
        awaited.put(MODEL, number, Said(0.5, "x"), now=1.0)

    assert len(awaited) <= 100
    assert awaited.take(MODEL, 999) == (0.5, "x")
    assert awaited.take(MODEL, 999) is None
    assert awaited.take(("other", ""), 998) is None
    awaited.put(MODEL, "late", Said(0.1, "y"), now=2_000.0)
    assert len(awaited) == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 100)), min_size=1, max_size=30))
def test_isotonic_never_falls_and_keeps_the_mean(pairs: list[tuple[float, int]]) -> None:
    """Pooling keeps the weighted mean, and what never fell stays as it is."""
    values, weights = zip(*pairs, strict=True)

    fitted = isotonic(values, weights)

    assert list(fitted) == sorted(fitted)
    mean = sum(v * w for v, w in pairs)
    assert sum(v * w for v, w in zip(fitted, weights, strict=True)) == pytest.approx(mean)
    assert isotonic(sorted(values), weights) == tuple(sorted(values))


def test_area_without_both_classes_is_absent() -> None:
    """There is no area where there is nothing to tell apart."""
    assert roc_auc([1, 2], [0, 0]) is None
    assert roc_auc([0, 1], [1, 0]) == 1.0
    assert roc_auc([1, 1], [1, 1]) == 0.5
