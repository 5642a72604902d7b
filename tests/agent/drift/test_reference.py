import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue.drift import MISSING, OTHER
from agent.drift.bins import CategoryBins, NumericBins, midranks, smoothed
from agent.drift.reference import FeatureReference, InvalidReferenceError, Reference, from_json

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)
AGE = FeatureReference("age", NumericBins((18.0, 40.0)), (10, 70, 20, 1, 0), 0.5, 91.0)
PLAN = FeatureReference("plan", CategoryBins(("free", "pro")), (80, 15, 0, 5))
REFERENCE = Reference("churn", "3", (AGE, PLAN), origin="a test", created=1.0)


@given(COUNTS)
def test_smoothed_shares_are_positive_and_sum_to_one(counts: list[int]) -> None:
    """No share is 0, so that no logarithm is infinite, and together they are 1."""
    shares = smoothed(counts)

    assert min(shares) > 0
    assert sum(shares) == pytest.approx(1)


@given(COUNTS)
def test_the_mean_rank_of_the_reference_is_one_half(counts: list[int]) -> None:
    """Traffic like the reference has a rank shift of 0."""
    ranks, shares = midranks(counts), smoothed(counts)

    assert sum(rank * share for rank, share in zip(ranks, shares, strict=True)) == pytest.approx(
        0.5
    )
    assert list(ranks) == sorted(ranks)


def test_bins_are_named_in_the_order_of_their_values() -> None:
    """A legend sorted by name is sorted by value, and open ends are left out."""
    assert NumericBins((-1.5, 0.0, 1e7)).labels == (
        "00 ..-1.5",
        "01 -1.5..0",
        "02 0..1e+07",
        "03 1e+07..",
        MISSING,
        OTHER,
    )


@pytest.mark.parametrize("edges", [(1.0, 1.0), (2.0, 1.0), (float("nan"),), (float("inf"),)])
def test_edges_that_cut_nothing_are_refused(edges: tuple[float, ...]) -> None:
    """Edges must ascend and be finite."""
    with pytest.raises(ValueError, match="edge"):
        NumericBins(edges)


def test_a_reference_survives_its_file() -> None:
    """What is written is what is read, its id included."""
    again = from_json(REFERENCE.to_json())

    assert again == REFERENCE
    assert again.id == REFERENCE.id
    assert (again.origin, again.created) == ("a test", 1.0)


def test_the_id_is_of_the_content_alone() -> None:
    """Order, origin and time do not matter, a single count does."""
    other_order = Reference("churn", "3", (PLAN, AGE))
    other_count = Reference(
        "churn", "3", (AGE, FeatureReference("plan", PLAN.bins, (80, 15, 1, 5)))
    )

    assert other_order.id == REFERENCE.id
    assert other_count.id != REFERENCE.id


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2 is not known"),
        ({"model": "other"}, "content was changed"),
        ({"features": [{"name": "a"}]}, "'counts' is missing"),
        ({"features": 3}, "int"),
        ({"features": [{"name": "a", "kind": "numeric", "edges": [2, 1], "counts": []}]}, "ascend"),
        ({"features": [{"name": "a", "kind": "odd", "counts": []}]}, "'odd' is not known"),
        (
            {"features": [{"name": "a", "kind": "numeric", "edges": [1], "counts": [1]}]},
            "feature a: 1 counts for 4 bins",
        ),
        (
            {
                "features": [
                    {"name": "a", "kind": "categorical", "categories": [], "counts": [1, 0.5]}
                ]
            },
            "no whole number",
        ),
    ],
)
def test_a_file_that_is_no_reference_is_refused_in_words(
    change: dict[str, object], said: str
) -> None:
    """The words name what is wrong."""
    content = {**json.loads(REFERENCE.to_json()), **change}

    with pytest.raises(InvalidReferenceError, match=said):
        from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([], "no feature in it"),
        ([{}, {}], "feature a: stands there twice"),
        ([{"counts": [0] * 4}], "of no sample"),
        ([{"counts": [10**400, 0, 0, 0]}], "or of too many"),
        ([{"edges": [10**400]}], "too large"),
        ([{"name": ""}], "1 to 160 characters"),
        ([{"name": "n" * 200}], "1 to 160 characters"),
        ([{"name": "a\ud800"}], "surrogates"),
        ([{"edges": list(range(200)), "counts": [1] * 203}], "203 bins, each a series"),
    ],
)
def test_what_would_harm_whoever_counts_it_is_refused(
    features: list[dict[str, object]], said: str
) -> None:
    """A reference by hand may be well formed and still break labels, shares or budgets."""
    good = {"name": "a", "kind": "numeric", "edges": [1], "counts": [1, 1, 0, 0]}
    content = {"format": 1, "model": "m", "model_version": ""}
    content["features"] = [{**good, **each} for each in features]

    with pytest.raises(InvalidReferenceError, match=said):
        from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "null", '{"format": 1}'])
def test_garbage_is_refused(text: str) -> None:
    """A file that is something else raises nothing but the one error."""
    with pytest.raises(InvalidReferenceError):
        from_json(text)
