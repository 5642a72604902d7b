"""Which models are counted: those in use from the start, at 0, and no more than there may be."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.catalogue.drift import (
    BY_PROCESS,
    FEATURE_OBSERVATIONS,
    REFERENCE_MIDRANK,
    REFERENCE_PROPORTION,
    REFERENCE_SAMPLES,
)
from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.collector import DriftCollector
from agent.drift.intake.flatten import columns
from agent.drift.intake.tally import IntakeTally
from agent.drift.kept import IN_USE
from agent.drift.models import IDLE, UNKNOWN, Models
from agent.drift.readings import readings
from agent.drift.reference import FeatureReference, Reference
from agent.drift.reference_file import from_json
from agent.drift.rows import Rows
from agent.drift.schema import Declared
from agent.drift.selection import Selection
from agent.drift.store import ReferenceStore
from agent.drift.traffic import Learning

NOW = 1_700_000_000.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.now


def reference(model: str, version: str = "1") -> Reference:
    """Return a reference of two features."""
    age = FeatureReference("age", NumericBins((10.0, 20.0)), (5, 5, 5, 0, 0), 0.0, 30.0)
    plan = FeatureReference("plan", CategoryBins(("free",)), (14, 1, 0))
    return Reference(model, version, (age, plan))


def rows(model: str, version: str = "1") -> Rows:
    """Return a row."""
    return Rows(model, version, {"age": [15.0], "plan": ["free"]}, NOW)


@pytest.fixture
def store(tmp_path: Path) -> ReferenceStore:
    """Return an empty store."""
    return ReferenceStore(tmp_path / "references")


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


def used(store: ReferenceStore, tmp_path: Path, model: str, *, ago: float) -> None:
    """Put a reference in use that had its last traffic some time ago."""
    store.use(reference(model))
    os.utime(tmp_path / f"references/{model}/v1/history", (NOW - ago, NOW - ago))


def counted(models: Models) -> set[str]:
    """Return the models that make series."""
    return {traffic.model for traffic in models}


async def test_what_is_in_use_is_born_at_zero(
    store: ReferenceStore, clock: Clock, tmp_path: Path
) -> None:
    """Before its first row, a model with a reference has every bin at 0, and what it is compared with."""
    used(store, tmp_path, "churn", ago=3_600)
    models = Models(clock=clock, store=store)
    models.refresh()

    batch = await DriftCollector(models, IntakeTally(), clock).collect()

    identity = ("churn", "1", reference("churn").id)
    bins = [
        (*identity, feature.name, label)
        for feature in reference("churn").features
        for label in feature.bins.labels
    ]
    told = {
        (each.metric, each.attributes): each.value
        for each in batch.readings
        if isinstance(each.value, float)
    }
    assert {told[FEATURE_OBSERVATIONS, (*each, BY_PROCESS)] for each in bins} == {0.0}
    assert all(told[REFERENCE_PROPORTION, each] > 0 for each in bins)
    assert told[REFERENCE_SAMPLES, (*identity, "age")] == 15.0
    assert len([metric for metric, _ in told if metric is REFERENCE_MIDRANK]) == 3


def test_old_models_make_no_series(store: ReferenceStore, clock: Clock, tmp_path: Path) -> None:
    """What had no traffic for a week is not counted until some comes, and then from the reference it had."""
    used(store, tmp_path, "old", ago=IN_USE + 1)
    used(store, tmp_path, "new", ago=IN_USE - 1)
    models = Models(clock=clock, store=store)

    models.refresh()

    assert counted(models) == {"new"}
    models.add(rows("old"))
    models.count()
    old = models.find("old", "1")
    assert old is not None
    assert old.reference == reference("old")


def test_only_so_many_are_taken_up_the_latest_first(
    store: ReferenceStore, clock: Clock, tmp_path: Path
) -> None:
    """A state directory with hundreds of versions makes no more series than traffic could."""
    for number in range(10):
        used(store, tmp_path, f"m{number}", ago=number * 60)
    models = Models(clock=clock, store=store, most_models=3)

    models.refresh()

    assert counted(models) == {"m0", "m1", "m2"}


def test_models_without_traffic_make_room(
    store: ReferenceStore, clock: Clock, tmp_path: Path
) -> None:
    """What was only taken up from the store never keeps out a model that is asked."""
    for number in range(3):
        used(store, tmp_path, f"m{number}", ago=number * 60)
    models = Models(clock=clock, store=store, most_models=3)
    models.refresh()
    models.add(rows("m0"))

    assert models.add(rows("fresh"))
    assert models.add(rows("fresher"))
    assert not models.add(rows("one too many"))
    assert counted(models) == {"m0", "fresh", "fresher"}


def test_versions_that_are_gone_make_room(clock: Clock) -> None:
    """A process that sees a new version each day does not fill up with those of last month."""
    models = Models(clock=clock, most_models=2)
    for version in map(str, range(5)):
        assert models.add(rows("churn", version))
        models.count()
        clock.now += IDLE

    assert {traffic.model_version for traffic in models} == {"3", "4"}


def test_names_that_came_once_keep_nobody_out(store: ReferenceStore, clock: Clock) -> None:
    """What has no reference makes room after an hour, what has one after a day."""
    store.use(reference("known"))
    models = Models(clock=clock, store=store, most_models=2)
    for model in ("known", "mistake"):
        assert models.add(rows(model))
    models.count()

    assert not models.add(rows("fresh"))
    clock.now += UNKNOWN

    assert models.add(rows("fresh"))
    models.count()
    assert counted(models) == {"known", "fresh"}
    assert not models.add(rows("fresher"))


def test_traffic_keeps_a_model_in_use(store: ReferenceStore, clock: Clock, tmp_path: Path) -> None:
    """The store knows when there was traffic last, so that a restart takes up the right ones."""
    used(store, tmp_path, "churn", ago=0)
    models = Models(clock=clock, store=store)
    for _ in range(10):
        clock.now += IDLE
        models.add(rows("churn"))
        models.count()

    after = Models(clock=clock, store=store)
    after.refresh()

    assert counted(after) == {"churn"}


def test_a_reference_put_in_use_makes_its_model_known(
    store: ReferenceStore, clock: Clock, tmp_path: Path
) -> None:
    """A process that runs takes up a reference of a model that nothing came of, within seconds."""
    models = Models(clock=clock, store=store)
    models.refresh()
    used(store, tmp_path, "churn", ago=0)

    clock.now += 20
    models.refresh()

    assert counted(models) == {"churn"}


@pytest.mark.parametrize("damage", [b"\xff\n", b"zz\n"])
def test_a_damaged_store_stops_nothing(
    store: ReferenceStore, clock: Clock, tmp_path: Path, damage: bytes
) -> None:
    """What cannot be read is told once, and everything else goes on."""
    used(store, tmp_path, "bad", ago=0)
    used(store, tmp_path, "good", ago=0)
    models = Models(clock=clock, store=store)
    (tmp_path / "references/bad/v1/history").write_bytes(damage)
    os.utime(tmp_path / "references/bad/v1/history", (NOW, NOW))
    reasons: list[str] = []

    for _ in range(5):
        models.refresh()
        models.add(rows("bad"))
        models.count()
        problems, _ = models.take()
        reasons += (f"{problem.reason} {problem.subject}" for problem in problems)
        clock.now += 1

    assert counted(models) == {"bad", "good"}
    assert set(reasons) == {"unusable_reference bad 1"}
    assert len(reasons) <= 2


def test_a_name_too_long_for_a_folder_is_counted_without_being_kept(
    store: ReferenceStore, clock: Clock, tmp_path: Path
) -> None:
    """The disk has limits that names have not; that is a problem told, and no end of the counting."""
    used(store, tmp_path, "churn", ago=0)
    models = Models(clock=clock, store=store)
    name = "\N{CJK UNIFIED IDEOGRAPH-6A21}" * 128

    assert models.add(rows(name))
    models.count()
    models.refresh()
    learned = models.freeze(name, "1")

    problems, _ = models.take()
    assert learned is not None
    assert {problem.reason for problem in problems} == {"unusable_reference", "reference_not_kept"}


WORDS = st.sampled_from(
    ["__missing__", "__other__", "row_id", "label", "score", "a.length", "a", "", "\x00", 'q"\n']
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**400), 10**400),
        st.floats(),
        WORDS,
        st.text(max_size=100),
        st.lists(st.floats(), min_size=8, max_size=9),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
BODIES = st.lists(
    st.tuples(st.dictionaries(WORDS, VALUES, max_size=6), st.integers(1, 40), st.booleans()),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bodies=BODIES, declared=st.booleans())
def test_any_rows_are_learned_and_counted(
    bodies: list[tuple[dict[str, object], int, bool]], *, declared: bool
) -> None:
    """Nothing that JSON can hold stops the process, before its reference is learned, then or after."""
    schema = tuple(
        Declared(name=name, kind=kind, required=True)
        for name, kind in (("a", "embedding"), ("score", "score"), ("", "text"))
    )
    models = Models(
        clock=Clock(),
        learning=Learning(rows=30, seconds=0),
        embeddings=True,
        selections=[Selection(declared=schema if declared else (), reservoir=5, hashed=("q*",))],
    )

    for _ in range(2):
        for row, count, whole in bodies:
            models.add(Rows("m", "", columns([row] * count), NOW, whole))
            models.count()
        models.freeze("m", "")

    told = [reading for traffic in models for reading in readings(traffic)]
    assert all(isinstance(each.value, float) and each.value >= 0 for each in told)
    assert len({(each.metric, each.attributes) for each in told}) == len(told)
    assert json.dumps(models.sample("m", ""))
    for traffic in models:
        if traffic.reference is not None:
            assert from_json(traffic.reference.to_json()).id == traffic.reference.id


def wide(features: int, *, model: str = "churn") -> Reference:
    """Return a reference of as many features, beside those that every model may have."""
    names = [*(f"f{number}" for number in range(features)), "prediction", "score", "latency"]
    each = (FeatureReference(name, NumericBins((1.0,)), (5, 5, 0, 0)) for name in names)
    return Reference(model, "1", tuple(each))


def test_a_reference_with_too_many_features_is_not_used(
    store: ReferenceStore, clock: Clock
) -> None:
    """It makes no series; that is told once, with its id, how many they are and what to set."""
    given = wide(51)
    store.use(given)
    models = Models(clock=clock, store=store)

    for _ in range(3):
        models.refresh()
        models.add(rows("churn"))
        models.count()
        clock.now += 60

    traffic = models.find("churn", "1")
    assert traffic is not None
    assert traffic.reference is None
    (problem,), _ = models.take()
    assert (problem.reason, problem.subject) == ("too_many_features", "churn 1")
    assert all(word in problem.detail for word in (given.id, " 51 ", " 50", "drift.max_features"))


def test_a_reference_with_as_many_features_as_there_may_be_is_used(
    store: ReferenceStore, clock: Clock
) -> None:
    """Prediction, score and latency stand beside them; the bound is that of the configuration."""
    for model, features, most in (("a", 50, 50), ("b", 51, 51)):
        store.use(wide(features, model=model))
        models = Models(clock=clock, store=store, most_features=most)
        models.refresh()

        traffic = models.find(model, "1")
        assert traffic is not None
        assert traffic.reference is not None
        assert models.take() == ((), ())


def test_a_reference_in_use_outlives_one_that_is_too_large(
    store: ReferenceStore, clock: Clock
) -> None:
    """Who puts one in use beside the command changes nothing."""
    store.use(reference("churn"))
    models = Models(clock=clock, store=store)
    models.refresh()
    store.use(wide(1_000))

    models.refresh()
    models.refresh()

    traffic = models.find("churn", "1")
    assert traffic is not None
    assert traffic.reference == reference("churn")
    assert [each.reason for each in models.take()[0]] == ["too_many_features"]


def test_columns_that_are_not_learned_are_named(clock: Clock) -> None:
    """Once, however many there are; what every model may have is learned nevertheless."""
    models = Models(clock=clock, learning=Learning(rows=10**9, seconds=0), most_features=2)
    names = [*(f"f{number}" for number in range(500)), "prediction", "score"]

    for _ in range(3):
        models.add(Rows("churn", "1", {name: [0.5, 0.25] for name in names}, NOW))
        models.count()
    learned = models.freeze("churn", "1")

    assert learned is not None
    assert set(learned.by_name) == {"f0", "f1", "prediction", "score"}
    (problem,), _ = models.take()
    assert problem.reason == "too_many_features"
    assert "such as f2, f3, f4;" in problem.detail
    traffic = models.find("churn", "1")
    assert traffic is not None
    assert len(traffic.left_out) == 100


def test_columns_of_which_nothing_can_be_learned_are_named(clock: Clock) -> None:
    """Vectors that nobody asked for, lists, nothing at all: what is not in the reference is told."""
    models = Models(clock=clock, learning=Learning(rows=10, seconds=0))
    vector = [[0.5] * 16] * 10
    models.add(Rows("m", "", {"a": [1] * 10, "e": vector, "l": [[1]] * 10, "n": [None] * 10}, NOW))
    models.count()

    (problem,), _ = models.take()
    assert (problem.reason, problem.subject) == ("no_feature", "m")
    assert "3 columns, such as e, l, n:" in problem.detail
    assert "drift.embeddings" in problem.detail


def test_a_learned_reference_is_used_again(store: ReferenceStore, clock: Clock) -> None:
    """An embedding is one of the features that a model may have, when it is learned and ever after."""
    vectors = [[float(n * m % 7) for n in range(16)] for m in range(50)]
    told: dict[str, list[object]] = {"a": [1.0] * 50, "e": [*vectors], "prediction": [*vectors]}
    models = Models(clock=clock, store=store, most_features=2, embeddings=True)
    models.add(Rows("m", "", told, NOW))
    learned = models.freeze("m", "")

    again = Models(clock=clock, store=store, most_features=2, embeddings=True)
    again.refresh()

    traffic = again.find("m", "")
    assert learned is not None
    assert len(learned.features) > 2
    assert traffic is not None
    assert traffic.reference is not None
    assert traffic.reference.id == learned.id
