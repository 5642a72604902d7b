import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue.drift import MISSING, OTHER
from agent.drift.bins import CategoryBins, NumericBins, midranks, smoothed
from agent.drift.reference import FeatureReference, InvalidReferenceError, Reference
from agent.drift.reference_file import from_json

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


GOOD = {"name": "a", "kind": "numeric", "edges": [1, 5], "counts": [3, 4, 5, 0, 0]}
WORDS = {"name": "w", "kind": "categorical", "counts": [9, 0, 0]}
VECTOR = {"name": "emb", "mean": [0.0] * 8, "components": [[1.0] * 8]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": ""}, "model must be text of 1 to 128 characters"),
        ({"model": None}, "model must be text of 1 to 128 characters"),
        ({"model": "m" * 300}, "model must be text of 1 to 128 characters"),
        ({"model_version": 3}, "model_version must be text"),
        ({"created": math.inf}, "created must be Unix seconds, not inf"),
        ({"created": math.nan}, "created must be Unix seconds, not nan"),
        ({"created": 1e20}, "created must be Unix seconds"),
        ({"features": {"a": 1}}, "features must be a list, not dict"),
        ({"features": ["a"]}, r"features\[0\] is a JSON object, not str"),
        ({"features": [GOOD, GOOD]}, "feature a: stands there twice"),
        ({"features": [{**GOOD, "name": 5}]}, r"features\[0\]: a name has 1 to 160 characters"),
        ({"features": [{**GOOD, "edges": [5, 1]}]}, "feature a: edges of bins must ascend"),
        ({"features": [{**GOOD, "edges": [math.nan, 1]}]}, "feature a: an edge .* no finite"),
        ({"features": [{**GOOD, "edges": ["1", 5]}]}, "feature a: edges: '1' is no number"),
        ({"features": [{**GOOD, "edges": "15"}]}, "feature a: edges must be a list"),
        ({"features": [{**GOOD, "counts": None}]}, "feature a: counts must be a list"),
        ({"features": [{**GOOD, "low": 9, "high": 1}]}, "feature a: low, 9, is above high, 1"),
        ({"features": [{**GOOD, "high": math.inf}]}, "feature a: high: inf is no finite number"),
        (
            {"features": [{"name": "a", "kind": "numeric"}]},
            "feature a: the key 'counts' is missing",
        ),
        ({"features": [{**GOOD, "kind": "odd"}]}, "feature a: the kind 'odd' is not known"),
        (
            {"features": [{**WORDS, "categories": [""]}]},
            "feature w: categories are text of 1 to 64",
        ),
        ({"features": [{**WORDS, "categories": ["x" * 65]}]}, "feature w: categories are text"),
        ({"features": [{**WORDS, "categories": [1]}]}, "feature w: categories are text"),
        ({"projections": [VECTOR]}, "feature emb.pc0: a projection makes it"),
        ({"projections": ["emb"]}, r"projections\[0\] is a JSON object"),
        ({"calibration": [1]}, "calibration is a JSON object, not list"),
        ({"calibration": {"labelled": [1.5]}}, "calibration: labelled: a count is no whole number"),
        ({"calibration": {"labelled": [1, 2, 3]}}, "does not fit the bins of the score"),
    ],
)
def test_each_part_that_cannot_be_is_named(change: dict[str, object], said: str) -> None:
    """What a hand, a program or a full disk made of a file is refused with its name, whatever it is."""
    content = {"format": 1, "model": "m", "model_version": "", "features": [GOOD], **change}

    with pytest.raises(InvalidReferenceError, match=said):
        from_json(json.dumps(content))


def test_one_bin_and_one_bound_are_enough() -> None:
    """A constant needs no edge, and a range that is open on one side stays so in the file."""
    one = {**GOOD, "edges": [], "counts": [7, 0, 0], "low": 2.0}
    content = {"format": 1, "model": "m", "model_version": "", "features": [one]}

    found = from_json(json.dumps(content))

    (feature,) = from_json(found.to_json()).features
    assert (feature.low, feature.high, feature.bins.labels[0]) == (2.0, None, "00 ..")
    assert sum(feature.proportions) == pytest.approx(1.0)


def test_a_file_that_is_cut_short_is_told_so() -> None:
    """At whatever character it ends, it is no reference, and the words say what may have happened."""
    text = REFERENCE.to_json().rstrip()

    for end in range(len(text)):
        with pytest.raises(InvalidReferenceError, match="no JSON, or cut short"):
            from_json(text[:end])
