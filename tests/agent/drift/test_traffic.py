import random
from pathlib import Path

import pytest

from agent.catalogue.drift import FEATURE_OBSERVATIONS, LEARNING_ROWS, REFERENCE_SAMPLES
from agent.drift.readings import readings
from agent.drift.reference import InvalidReferenceError, Reference
from agent.drift.reference_file import from_json
from agent.drift.rows import Rows
from agent.drift.store import ReferenceStore
from agent.drift.traffic import Learning, Traffic

DAY = 86_400.0


def rows(count: int, time: float = 0.0, **columns: object) -> Rows:
    """Return rows in which each column has one value over and over."""
    return Rows("churn", "3", {name: [value] * count for name, value in columns.items()}, time)


def taught() -> tuple[Traffic, Reference]:
    """Return traffic that has learned ages and plans."""
    traffic = Traffic("churn", "3", learning=Learning(rows=100, seconds=0))
    traffic.add(rows(60, age=20.0, plan="free"))
    reference = traffic.add(rows(60, age=50.0, plan="pro"))
    assert reference is not None
    return traffic, reference


def test_a_reference_takes_both_rows_and_time() -> None:
    """A burst of rows does not teach what a day looks like."""
    traffic = Traffic("churn", "3", learning=Learning(rows=100, seconds=DAY))

    assert traffic.add(rows(500, time=0, age=1.0)) is None
    assert [reading.metric for reading in readings(traffic)][-1] is LEARNING_ROWS
    assert traffic.add(rows(1, time=DAY + 1, age=2.0)) is not None


def test_bins_are_born_at_zero() -> None:
    """The moment a reference is there, every bin is, at 0."""
    traffic, reference = taught()

    counts = {
        reading.attributes[3:5]: reading.value
        for reading in readings(traffic)
        if reading.metric is FEATURE_OBSERVATIONS
    }

    assert set(counts) == {
        (feature.name, label) for feature in reference.features for label in feature.bins.labels
    }
    assert set(counts.values()) == {0.0}


def test_every_series_carries_the_reference() -> None:
    """Series of two references can never be mixed up."""
    traffic, reference = taught()

    identities = {
        reading.attributes[:3] for reading in readings(traffic) if len(reading.attributes) > 2
    }

    assert identities == {("churn", "3", reference.id)}


def test_a_missing_column_is_missing_values() -> None:
    """Rows without a feature count as missing, and a column nobody knows as a violation."""
    traffic, _ = taught()

    traffic.add(rows(10, age=20.0, height=1.8))

    assert list(traffic.counters["plan"].counts)[-2] == 10
    assert sum(traffic.counters["age"].counts) == 10
    assert traffic.schema_violations == 2


def test_a_column_that_comes_late_was_missing_before() -> None:
    """Learning counts the rows before its first value."""
    traffic = Traffic("churn", "3", learning=Learning(rows=100, seconds=0))

    traffic.add(rows(60, age=20.0))
    reference = traffic.add(rows(60, age=20.0, plan="pro"))

    assert reference is not None
    assert reference.by_name["plan"].counts == (60, 60, 0)


def test_text_is_counted_by_its_length() -> None:
    """A text feature that was learned as a length is counted as one."""
    traffic = Traffic("chat", "", learning=Learning(rows=100, seconds=0))
    texts = [f"prompt {number}" for number in range(1000, 1200)]
    traffic.add(Rows("chat", "", {"prompt": texts}, 0.0))

    traffic.add(Rows("chat", "", {"prompt": ["x" * 11, "x" * 5, None, 7]}, 1.0))

    counted = traffic.counters["prompt.length"]
    assert sum(counted.counts) == 4
    assert list(counted.counts)[-2:] == [1, 1]
    assert counted.issues == {"out_of_range": 1, "type_error": 1}


def test_a_column_named_like_a_length_goes_first() -> None:
    """Text whose length has the name of another column is not counted, and never into that one."""
    traffic = Traffic("churn", "3")
    words: dict[str, list[object]] = {
        "note": [f"text {n}" for n in range(100)],
        "note.length": [float(n) for n in range(100)],
    }
    traffic.add(Rows("churn", "3", words, 0.0))

    reference = traffic.freeze(0.0)
    traffic.add(Rows("churn", "3", words, 0.0))

    assert reference is not None
    assert [feature.name for feature in reference.features] == ["note.length"]
    assert sum(traffic.counters["note.length"].counts) == 100
    assert traffic.schema_violations == 1


def test_a_column_without_a_name_is_a_violation() -> None:
    """No label could tell it."""
    traffic = Traffic("churn", "3")
    traffic.add(Rows("churn", "3", {"": [1.0], "a": [1.0]}, 0.0))

    reference = traffic.freeze(0.0)

    assert reference is not None
    assert [feature.name for feature in reference.features] == ["a"]
    assert traffic.schema_violations == 1


def test_an_embedding_is_nine_features() -> None:
    """Where vectors may be sampled, they are told by their main directions and their distance."""
    numbers = random.Random(1)
    vectors = [[numbers.gauss(0, 1 + place) for place in range(16)] for _ in range(300)]
    traffic = Traffic("m", "", learning=Learning(rows=200, seconds=0), embeddings=True)
    reference = traffic.add(Rows("m", "", {"emb": vectors}, 0.0))

    traffic.add(Rows("m", "", {"emb": [*vectors, None, [1.0]]}, 1.0))

    assert reference is not None
    assert from_json(reference.to_json()).id == reference.id
    assert len(traffic.counters) == 9
    for counted in traffic.counters.values():
        assert sum(counted.counts) == 302
        assert list(counted.counts)[-2:] == [1, 1]
        assert max(list(counted.counts)[:-2]) < 60


def test_vectors_are_not_kept_unless_allowed() -> None:
    """Without the switch a vector is a value of the wrong kind, and nothing of it stays."""
    traffic = Traffic("m", "", learning=Learning(rows=10, seconds=0))

    assert traffic.add(Rows("m", "", {"emb": [[0.0] * 16] * 20}, 0.0)) is None
    assert traffic.reference is None


def test_features_have_a_limit() -> None:
    """A name per request makes violations, not series."""
    traffic = Traffic("churn", "3", learning=Learning(rows=100, seconds=0), most_features=5)

    for number in range(100):
        traffic.add(rows(2, **{f"id{number}": 1.0}))

    assert traffic.reference is not None
    assert len(traffic.counters) == 5
    assert traffic.schema_violations > 90


def test_a_reference_says_how_many_samples_it_has() -> None:
    """The noise floor needs the reference's size."""
    traffic, _ = taught()

    samples = {r.attributes[3]: r.value for r in readings(traffic) if r.metric is REFERENCE_SAMPLES}

    assert samples == {"age": 120.0, "plan": 120.0}


def test_references_are_kept_and_rolled_back(tmp_path: Path) -> None:
    """The store knows every reference there was, which is in use, and the way back."""
    store = ReferenceStore(tmp_path / "references")
    _, first = taught()
    second = Reference("churn", "3", first.features[:1])
    odd = Reference("../etc", "..", first.features)

    for reference in (first, second, odd):
        store.use(reference)

    assert list(store.models()) == [("../etc", ".."), ("churn", "3")]
    assert store.current("churn", "3") == second
    assert store.roll_back("churn", "3") == first
    assert store.current("churn", "3") == first
    assert store.ids("churn", "3") == [first.id, second.id]
    assert store.load("churn", "3", second.id[:6]) == second
    assert {path.parent for path in tmp_path.rglob("*.json")} >= {tmp_path / "references/churn/v3"}
    assert not list(tmp_path.parent.glob("etc"))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """Who has to mend a reference is told which file it is."""
    store = ReferenceStore(tmp_path)
    _, reference = taught()
    store.use(reference)
    (tmp_path / f"churn/v3/{reference.id}.json").write_bytes(b"\xff{")

    with pytest.raises(InvalidReferenceError, match=reference.id):
        store.current("churn", "3")
    with pytest.raises(InvalidReferenceError, match="no reference 'zz'"):
        store.load("churn", "3", "zz")
    with pytest.raises(InvalidReferenceError, match="no earlier"):
        store.roll_back("churn", "3")
