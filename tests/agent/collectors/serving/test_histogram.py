from itertools import accumulate
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.serving.histogram import (
    MOST_BUCKETS,
    MalformedError,
    distribution,
    merged,
    summary,
)
from agent.snapshot import Distribution


def test_cumulative_buckets_become_counts() -> None:
    """The last bucket is the rest above the highest bound."""
    made = distribution([0.1, 1.0, inf], [2.0, 5.0, 9.0], 7.5, 9.0)

    assert made == Distribution((0.1, 1.0), (2, 3, 4), 7.5)


def test_bounds_are_scaled_without_noise() -> None:
    """Milliseconds become seconds by division: 300 ms is 0.3 s and not 0.30000000000000004."""
    made = distribution([300, 700, inf], [1.0, 1.0, 1.0], 250.0, 1.0, per=1000)

    assert made == Distribution((0.3, 0.7), (1, 0, 0), 0.25)


def test_a_bomb_of_buckets_is_no_histogram() -> None:
    """A label that explodes may be `le`: a histogram counts as one series, however many lines it is."""
    most = [*map(float, range(MOST_BUCKETS - 1)), inf]
    made = distribution(most, [1.0] * MOST_BUCKETS, 0.0, 1.0)

    with pytest.raises(MalformedError, match="1001 buckets") as refused:
        distribution([-1.0, *most], [1.0] * (MOST_BUCKETS + 1), 0.0, 1.0)

    assert len(made.counts) == MOST_BUCKETS
    assert refused.value.reason == "too_many_series"


def test_a_bomb_of_quantiles_is_no_summary() -> None:
    """As little as one of buckets is a histogram."""
    shares = {number / 10_000: 1.0 for number in range(MOST_BUCKETS + 1)}

    with pytest.raises(MalformedError, match="1001 quantiles"):
        summary(shares, 1.0, 1.0)

    assert len(summary(dict(list(shares.items())[1:]), 1.0, 1.0).quantiles) == MOST_BUCKETS


def test_a_histogram_without_a_count_has_its_last_bucket() -> None:
    """What +Inf holds is the count; a histogram may be empty, and its sum negative."""
    assert distribution([inf], [3.0], -1.0, None) == Distribution((), (3,), -1.0)
    assert distribution([1, inf], [0.0, 0.0], 0.0, 0.0).observations == 0


@pytest.mark.parametrize(
    ("bounds", "cumulative", "total", "count"),
    [
        ([], [], 1.0, 1.0),
        ([1.0], [1.0], 1.0, 1.0),
        ([2.0, 1.0, inf], [1.0, 1.0, 1.0], 1.0, 1.0),
        ([1.0, 1.0, inf], [1.0, 1.0, 1.0], 1.0, 1.0),
        ([inf, 1.0], [1.0, 1.0], 1.0, 1.0),
        ([nan, inf], [1.0, 1.0], 1.0, 1.0),
        ([-inf, inf], [1.0, 1.0], 1.0, 1.0),
        ([1.0, inf], [2.0, 1.0], 1.0, 1.0),
        ([1.0, inf], [-1.0, 1.0], 1.0, 1.0),
        ([1.0, inf], [0.5, 1.0], 1.0, 1.0),
        ([1.0, inf], [nan, 1.0], 1.0, 1.0),
        ([1.0, inf], [1.0, inf], 1.0, inf),
        ([1.0, inf], [1.0, 1e300], 1.0, 1e300),
        ([1.0, inf], [1.0, 2.0], 1.0, 3.0),
        ([1.0, inf], [1.0, 2.0], None, 2.0),
    ],
)
def test_a_histogram_that_contradicts_itself_is_refused(
    bounds: list[float], cumulative: list[float], total: float | None, count: float | None
) -> None:
    """No +Inf, bounds out of order or doubled, counts that fall or are no counts, no sum."""
    with pytest.raises(MalformedError) as caught:
        distribution(bounds, cumulative, total, count)

    assert caught.value.reason == "malformed_histogram"


def test_a_sum_that_is_no_number_has_its_own_word() -> None:
    """NaN as a sum is refused with the word for it."""
    with pytest.raises(MalformedError) as caught:
        distribution([inf], [1.0], nan, 1.0)

    assert caught.value.reason == "not_finite"


@given(
    st.lists(st.floats(-1e9, 1e9), unique=True, max_size=20).map(sorted),
    st.data(),
)
def test_any_true_histogram_comes_through(bounds: list[float], data: st.DataObject) -> None:
    """Counts made cumulative and taken apart again are the same."""
    size = len(bounds) + 1
    counts = data.draw(st.lists(st.integers(0, 10**9), min_size=size, max_size=size))

    made = distribution([*bounds, inf], [float(n) for n in accumulate(counts)], 1.0, sum(counts))

    assert made == Distribution(tuple(bounds), tuple(counts), 1.0)


def test_two_of_one_model_are_added_if_their_buckets_agree() -> None:
    """Replicas merge bucket by bucket, and not at all where they are bucketed differently."""
    one = Distribution((1.0,), (1, 2), 3.0)

    assert merged(one, Distribution((1.0,), (10, 20), 30.0)) == Distribution((1.0,), (11, 22), 33.0)
    with pytest.raises(MalformedError) as caught:
        merged(one, Distribution((2.0,), (1, 2), 3.0))
    assert caught.value.reason == "ambiguous_series"
