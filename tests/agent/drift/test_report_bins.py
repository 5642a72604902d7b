import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.column import Column
from agent.drift.counting import counter
from agent.drift.learning import FeatureLearner
from agent.drift.readings import readings
from agent.drift.reference import FeatureReference, Reference
from agent.drift.report_bins import Sample, UnusableSeriesError, apportioned, exported, rebuilt
from agent.drift.rows import Rows
from agent.drift.traffic import Traffic

AGE = FeatureReference(
    "age", NumericBins((18.123456789, 40.0, 65.5)), (900, 4_000, 3_100, 700, 50, 3), 0.0, 99.0
)
PLAN = FeatureReference("plan", CategoryBins(("pro", "free")), (6_000, 2_700, 10, 43))
REFERENCE = Reference("churn", "3", (AGE, PLAN))


def page(replicas: int = 1) -> list[Sample]:
    """Return what so many replicas export after ten rows each."""
    found = []
    for number in range(replicas):
        traffic = Traffic("churn", "3", reference=REFERENCE)
        traffic.add(Rows("churn", "3", {"age": [20.0] * 9 + [None], "plan": ["free"] * 10}, 0.0))
        found += [
            Sample(
                each.metric.family,
                dict(zip(each.metric.labels, each.attributes, strict=True), instance=str(number)),
                float(str(each.value)),
            )
            for each in readings(traffic)
        ]
    return found


def test_what_is_exported_is_a_reference_again() -> None:
    """Counts of the reference come back exactly, of the traffic summed over replicas; edges to six digits."""
    found = exported(page(replicas=3))

    assert found.identity == REFERENCE.id
    assert found.counts == {"age": (0, 27, 0, 0, 3, 0), "plan": (0, 30, 0, 0)}
    age, plan = found.reference.by_name["age"], found.reference.by_name["plan"]
    assert (age.counts, plan.counts, plan.bins) == (AGE.counts, PLAN.counts, PLAN.bins)
    assert isinstance(age.bins, NumericBins)
    assert age.bins.edges == pytest.approx((18.123456789, 40.0, 65.5), rel=1e-5)


def test_edges_that_look_the_same_are_kept_apart() -> None:
    """Bins narrower than six digits tell are bins all the same."""
    narrow = NumericBins((1.0, 1.00000001, 1.00000002))
    reference = Reference("m", "", (FeatureReference("x", narrow, (5, 5, 5, 5, 0, 0)),))
    told = [
        Sample(
            each.metric.family,
            dict(zip(each.metric.labels, each.attributes, strict=True)),
            float(str(each.value)),
        )
        for each in readings(Traffic("m", "", reference=reference))
    ]

    assert exported(told).reference.by_name["x"].counts == (5, 5, 5, 5, 0, 0)


def test_what_is_in_use_now_is_reported() -> None:
    """A window may hold counts against a reference that was given up; only the one in use tells its size."""
    old = [
        each._replace(labels={**each.labels, "reference": "given up"})
        for each in page()
        if "observations" in each.series
    ]

    found = exported([*old, *page()])

    assert found.identity == REFERENCE.id
    assert found.counts == exported(page()).counts


def test_what_cannot_be_told_is_refused_in_words() -> None:
    """Another page, another model, two versions at once, a cut page."""
    two = [
        *page(),
        *(each._replace(labels={**each.labels, "model_version": "4"}) for each in page()),
    ]

    with pytest.raises(UnusableSeriesError, match="is this the drift process"):
        exported([Sample("up", {}, 1.0)])
    with pytest.raises(UnusableSeriesError, match="of fraud"):
        exported(page(), model="fraud")
    with pytest.raises(UnusableSeriesError, match=r"several: churn 3 .*churn 4"):
        exported(two)
    assert exported(two, model_version="4").reference.model_version == "4"
    with pytest.raises(UnusableSeriesError, match="cut off"):
        exported([each for each in page() if "samples" not in each.series])


@given(st.lists(st.integers(0, 10_000), min_size=6, max_size=6), st.integers(1, 5_000))
def test_rebuilt_rows_fall_into_the_bins_they_come_from(counts: list[int], most: int) -> None:
    """Counted again, as live traffic is, they give the counts; no more rows than there may be."""
    values = rebuilt(AGE, counts, most)

    assert len(values) == min(most, sum(counts))
    expected = apportioned(counts, most)
    again = counter(AGE)
    again.add(Column(values))
    assert list(again.counts)[:4] == expected[:4]
    assert list(again.counts)[4] == expected[4] + expected[5]


def test_rebuilt_categories_are_words() -> None:
    """A category is itself, what was missing is missing, and the rest is told apart from both."""
    assert rebuilt(PLAN, (1, 2, 1, 1), 10) == ["pro", "free", "free", None, "__other__"]


def test_a_constant_is_rebuilt_as_one_value() -> None:
    """Its own bin is as narrow as numbers can be; what was beside it is seen beside it."""
    learner = FeatureLearner("a")
    learner.add([5] * 100)
    learned = learner.freeze()
    assert learned is not None
    (feature,) = learned.features

    assert set(rebuilt(feature, feature.counts, 50)) == {5.0}
    below, above = rebuilt(feature, (1, 0, 1, 0, 0), 50)
    assert isinstance(below, float)
    assert isinstance(above, float)
    assert below < 4.9
    assert above > 5.1


def test_the_least_value_stays_what_it_is() -> None:
    """Where the first edge is the least value, as 0 of many counts, nothing is shown below it."""
    feature = FeatureReference("a", NumericBins((0.0, 3.0)), (9, 9, 9, 0, 0), 0.0, 8.0)

    assert rebuilt(feature, (2, 0, 0, 0, 0), 50) == [0.0, 0.0]
