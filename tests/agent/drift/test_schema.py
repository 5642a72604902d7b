"""What is declared wins over what is learned, and whatever breaks it is counted."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.column import Column
from agent.drift.models import Models
from agent.drift.performance import SCORE_BINS
from agent.drift.reference import FeatureReference, Reference
from agent.drift.rows import LABEL, Rows
from agent.drift.schema import Declared, Schema
from agent.drift.selection import Selection
from agent.drift.store import ReferenceStore
from agent.drift.traffic import Learning, Traffic

DAY = 86_400.0


def rows(size: int, *, whole: bool = True, **columns: list[object]) -> Rows:
    """Return rows, each column repeated to this many."""
    told = {name: (values * size)[:size] for name, values in columns.items()}
    return Rows("m", "", told, 0.0, whole)


def learned(*declared: Declared, size: int = 1_000, **columns: list[object]) -> Reference:
    """Return what is learned of columns."""
    traffic = Traffic("m", "", schema=Schema(declared))
    told = {name: (values * size)[:size] for name, values in columns.items()}
    traffic.add(Rows("m", "", told, 0.0))
    reference = traffic.freeze(0.0)
    assert reference is not None
    return reference


@pytest.mark.parametrize(
    ("declared", "values", "broken"),
    [
        (Declared(name="a", kind="numeric"), [1, 1.5, None, float("nan")], 0),
        (Declared(name="a", kind="numeric"), ["1", True, float("inf"), 10**400, [1], {}], 6),
        (Declared(name="a", kind="numeric", low=0, high=10), [-1, 0, 10, 10.5], 2),
        (Declared(name="a", kind="numeric", required=True), [1, None, float("nan")], 2),
        (Declared(name="a", kind="categorical"), ["x", 1, True, 2.0], 0),
        (Declared(name="a", kind="categorical"), [[1], {}, float("inf")], 3),
        (Declared(name="a", kind="categorical", values=("x", "1", "true")), ["x", 1, True, "y"], 1),
        (Declared(name="a", kind="text", low=1, high=3), ["", "abc", "abcd", 5], 3),
        (Declared(name="a", kind="embedding"), [[0.0] * 8, [0.0] * 7, "x", 1], 3),
        (Declared(name="a", kind="score"), [0, 1, 0.5, 1.1, -0.1], 2),
        (Declared(name="a", kind="latency"), [0.1, -0.1], 1),
        (Declared(name="a", kind="class", values=("yes",)), ["yes", "no"], 1),
    ],
)
def test_values_that_break_the_declaration_are_counted(
    declared: Declared, values: list[object], broken: int
) -> None:
    """Each value counts once, whatever is wrong with it; what may be missing may."""
    assert declared.plain.violations(Column(values)) == broken


@given(
    st.one_of(
        st.lists(st.one_of(st.integers(), st.floats())), st.lists(st.one_of(st.none(), st.text()))
    ),
    st.booleans(),
)
def test_plain_batches_are_judged_as_single_values(values: list[object], required: bool) -> None:
    """The fast ways for numbers and words tell the same as one look after the other."""
    for declared in (
        Declared(name="a", kind="numeric", required=required),
        Declared(name="a", kind="numeric", low=-5, high=7.5, required=required),
        Declared(name="a", kind="categorical", required=required),
        Declared(name="a", kind="categorical", values=("", "0", "x"), required=required),
    ):
        one_by_one = sum(declared.violations(Column([value, ()])) - 1 for value in values)
        assert declared.violations(Column(values)) == one_by_one


@given(st.lists(st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.lists(st.none()))))
def test_any_values_are_judged(values: list[object]) -> None:
    """No value is beyond judgement, and none counts twice."""
    for kind in ("numeric", "categorical", "text", "embedding"):
        declared = Declared(name="a", kind=kind, required=True)
        assert 0 <= declared.violations(Column(values)) <= len(values)


def test_what_is_required_is_missed_in_each_row() -> None:
    """An absent column breaks it in every row; not where only the answer of an inference is known."""
    schema = Schema([Declared(name="a", kind="numeric", required=True)])

    traffic, partly = Traffic("m", "", schema=schema), Traffic("m", "", schema=schema)
    traffic.add(rows(7, b=[1]))
    partly.add(rows(7, whole=False, b=[1]))

    assert (traffic.schema_violations, partly.schema_violations) == (7, 0)


def test_codes_are_categories_where_that_is_declared() -> None:
    """Numbers that are names are never cut into quantiles."""
    codes: list[object] = [1, 2, 2, 7]

    (guessed,) = learned(code=codes).features
    (told,) = learned(Declared(name="code", kind="categorical"), code=codes).features

    assert isinstance(guessed.bins, NumericBins)
    assert told.bins == CategoryBins(("2", "1", "7"))
    assert told.counts == (500, 250, 250, 0, 0)


def test_declared_values_are_the_bins() -> None:
    """Each has a bin, however rare, the frequent ones first; anything else has none."""
    declared = Declared(name="plan", kind="categorical", values=("free", "pro", "team"))

    (plan,) = learned(declared, plan=["pro", "pro", "free", "other"]).features

    assert plan.bins == CategoryBins(("pro", "free", "team"))
    assert plan.counts == (500, 250, 0, 0, 250)


def test_text_is_text_however_few_there_are() -> None:
    """What would pass for categories is known by its length, bounded as declared."""
    declared = Declared(name="note", kind="text", low=0, high=100)

    (note,) = learned(declared, note=["ab", "abcd"]).features

    assert (note.name, note.low, note.high) == ("note.length", 0, 100)


def test_words_in_a_numeric_feature_are_wrong() -> None:
    """Where most values are words, the feature still is what it is declared to be."""
    (age,) = learned(Declared(name="age", kind="numeric"), age=["x", "x", 5, 7]).features

    assert isinstance(age.bins, NumericBins)
    assert age.counts[-1] == 500


def test_an_embedding_is_learned_without_the_switch() -> None:
    """Who declares one allows its sample to be kept."""
    chance = random.Random(1)
    vectors: list[object] = [[chance.gauss(0, 1) for _ in range(16)] for _ in range(200)]

    reference = learned(Declared(name="e", kind="embedding"), size=200, e=vectors)

    assert [each.name for each in reference.projections] == ["e"]


def test_a_declared_score_has_a_score_s_bins_and_range() -> None:
    """It is in the column of scores by whatever name it came, and beyond 0 and 1 it is out of range."""
    scores: list[object] = [n / 1_000 for n in range(1_000)]

    (score,) = learned(Declared(name="p", kind="score"), score=scores).features

    assert (score.name, score.low, score.high) == ("score", 0.0, 1.0)
    assert len(score.bins.labels) == SCORE_BINS + 2


def test_what_is_declared_has_a_place_among_many() -> None:
    """Columns that nobody asked for cannot take the place of one that is declared."""
    schema = Schema([Declared(name="z", kind="numeric")])
    traffic = Traffic("m", "", schema=schema, most_features=3)
    traffic.add(rows(100, a=[1.0], b=[1.0], c=[1.0], z=[1.0]))

    reference = traffic.freeze(0.0)

    assert reference is not None
    assert "z" in reference.by_name
    assert len(reference.features) == 3


def test_violations_are_counted_while_learning_and_after() -> None:
    """Declared features are judged value by value, others by column and batch, as ever."""
    schema = Schema([Declared(name="age", kind="numeric", low=0, required=True)])
    traffic = Traffic("m", "", schema=schema)

    traffic.add(rows(10, age=[1.0, -1.0], plan=["x"]))
    while_learning = traffic.schema_violations
    traffic.freeze(0.0)
    traffic.add(rows(10, age=["old"], plan=["x"]))
    traffic.add(rows(10, plan=["x"], odd=[1]))
    traffic.add(Rows("m", "", {LABEL: [1]}, 0.0, whole=False))

    assert while_learning == 5
    assert traffic.schema_violations == 5 + 10 + 10 + 1


def test_what_may_be_missing_is_no_violation() -> None:
    """A declared feature that is not required may be absent from a whole batch; another one may not."""
    schema = Schema([Declared(name="note", kind="text"), Declared(name="e", kind="embedding")])
    traffic = Traffic("m", "", schema=schema)
    vectors: list[object] = [[float(n + m) for n in range(8)] for m in range(50)]
    traffic.add(rows(50, note=["ab"], e=vectors, age=[1.0]))
    traffic.freeze(0.0)

    traffic.add(rows(10, odd=[1]))

    assert traffic.schema_violations == 2  # odd, and age


@pytest.mark.parametrize(
    ("kind", "feature"),
    [
        ("categorical", FeatureReference("a", NumericBins((1.0,)), (1, 1, 0, 0))),
        ("numeric", FeatureReference("a", CategoryBins(("x",)), (1, 0, 0))),
        ("text", FeatureReference("a", CategoryBins(("x",)), (1, 0, 0))),
        ("numeric", FeatureReference("a.length", NumericBins((1.0,)), (1, 1, 0, 0))),
        ("embedding", FeatureReference("a", NumericBins((1.0,)), (1, 1, 0, 0))),
    ],
)
def test_a_reference_of_another_kind_is_not_used(
    tmp_path: Path, kind: str, feature: FeatureReference
) -> None:
    """What is kept gives way to what is declared: that is told, and another one is learned."""
    store = ReferenceStore(tmp_path)
    store.use(Reference("m", "", (feature,)))
    values: list[object] = {"numeric": [1.0, 2.0], "embedding": [[0.0] * 8, [1.0] * 8]}.get(
        kind, ["x"]
    )  # type: ignore[assignment]
    selection = Selection(declared=(Declared(name="a", kind=kind),))
    models = Models(
        clock=lambda: 0.0,
        store=store,
        learning=Learning(rows=100, seconds=0),
        selections=[selection],
    )

    models.refresh()
    problems, _ = models.take()
    models.add(rows(100, a=values))
    models.count()

    assert {problem.reason for problem in problems} == {"schema_mismatch"}
    assert f"a is declared {kind}" in problems[0].detail
    traffic = models.find("m", "")
    assert traffic is not None
    assert traffic.reference is not None
    assert not Schema(selection.declared).contradiction(traffic.reference)
    assert store.history("m", "")[-1] == traffic.reference.id
