from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.column import Column
from agent.drift.counting import CategoryCounter, NumericCounter
from agent.drift.reference import FeatureReference

AGE = FeatureReference("age", NumericBins((18.0, 40.0)), (10, 70, 20, 0, 0), 0.0, 90.0)
PLAN = FeatureReference("plan", CategoryBins(("free", "1", "true")), (80, 15, 5, 0, 0))
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([17, 18, 18.0, 18.1, 40, 41], [3, 2, 1, 0, 0]),
        ([None, float("nan")], [0, 0, 0, 2, 0]),
        ([float("inf"), float("-inf")], [0, 0, 0, 0, 2]),
        (["18", True, [1], {}], [0, 0, 0, 0, 4]),
        ([10**400, 5, None], [1, 0, 0, 1, 1]),
        ([5, None, 20.5], [1, 1, 0, 1, 0]),
        ([], [0, 0, 0, 0, 0]),
    ],
)
def test_numbers_fall_into_their_bins(values: list[object], counts: list[int]) -> None:
    """An edge belongs to the bin below it; words, truth values and lists are no numbers."""
    counter = NumericCounter(AGE)

    counter.add(Column(values))

    assert list(counter.counts) == counts


def test_numbers_beyond_the_reference_are_out_of_range() -> None:
    """The reference's own ends are within range; what cannot be a number is a type error."""
    counter = NumericCounter(AGE)

    counter.add(Column([0, 90, -0.1, 90.5, 10**400, "x"]))

    assert counter.issues == {"out_of_range": 3, "type_error": 1}


@pytest.mark.parametrize(
    ("values", "counts", "issues"),
    [
        (["free", "free", 1, True, 1.0], [2, 2, 1, 0, 0], (0, 0)),
        (["pro", "", "FREE"], [0, 0, 0, 0, 3], (3, 0)),
        ([None, float("nan")], [0, 0, 0, 2, 0], (0, 0)),
        ([["free"], {}, float("inf"), 10**400], [0, 0, 0, 0, 4], (0, 4)),
    ],
)
def test_words_fall_into_their_bins(
    values: list[object], counts: list[int], issues: tuple[int, int]
) -> None:
    """A category is told by how it is written; truth values and whole numbers are words as well."""
    counter = CategoryCounter(PLAN)

    counter.add(Column(values))

    assert list(counter.counts) == counts
    assert counter.issues == dict(zip(("new_category", "type_error"), issues, strict=True))


@given(st.lists(st.lists(ANYTHING, max_size=20), max_size=5), st.sampled_from([AGE, PLAN]))
def test_every_value_is_counted_once_whatever_it_is(
    batches: Sequence[Sequence[object]], reference: FeatureReference
) -> None:
    """Counts only grow, and their sum is the number of values, in whatever batches they come."""
    kind = NumericCounter if reference is AGE else CategoryCounter
    counter, whole = kind(reference), kind(reference)
    before = list(counter.counts)

    for batch in batches:
        counter.add(Column(batch))
        assert all(now >= then for now, then in zip(counter.counts, before, strict=True))
        before = list(counter.counts)
    whole.add(Column([value for batch in batches for value in batch]))

    assert sum(counter.counts) == sum(map(len, batches))
    assert list(whole.counts) == list(counter.counts)
    assert whole.issues == counter.issues
