"""What came between two scrapes, however the server's histogram changed meanwhile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.slo.growth import Growth, bound_for, counted, growth
from agent.snapshot import Distribution

BOUNDS = (0.3, 0.5, 1.0, 2.5)


def histogram(*counts: int, bounds: tuple[float, ...] = BOUNDS) -> Distribution:
    """Return a histogram with these counts per bucket; the sum is of no interest."""
    return Distribution(bounds, counts, 0.0)


@pytest.mark.parametrize(
    ("threshold", "bound"),
    [(0.5, 0.5), (0.9, 0.5), (0.3, 0.3), (0.29, None), (100.0, 2.5), (0.1 + 0.2, 0.3)],
)
def test_bound_is_the_greatest_one_not_above_the_threshold(
    threshold: float, bound: float | None
) -> None:
    """An exact bound is taken, else the next lower one; below the first there is none."""
    assert bound_for(BOUNDS, threshold) == bound


def test_no_bounds_fit_nothing() -> None:
    """A histogram that is a sum and a count alone has no bound."""
    assert bound_for((), 1.0) is None


def test_growth_is_the_difference_of_the_buckets() -> None:
    """Good is what came into the buckets up to the bound."""
    before, now = histogram(1, 1, 1, 1, 1), histogram(3, 2, 1, 4, 2)

    assert growth(before, now, 0.5) == Growth(3, 7)


def test_a_histogram_that_fell_counts_from_nothing() -> None:
    """After a restart all that the server has counted is new."""
    assert growth(histogram(50, 0, 0, 0, 0), histogram(2, 0, 1, 0, 0), 0.5) == Growth(2, 3)


def test_a_restart_that_overtook_the_old_count_shows_in_a_bucket() -> None:
    """More observations than before, but fewer in one bucket: that is a restart as well."""
    assert growth(histogram(0, 0, 5, 0, 0), histogram(9, 0, 0, 0, 0), 0.5) == Growth(9, 9)


def test_other_bounds_are_compared_at_one_that_both_have() -> None:
    """0.5 is gone, 0.3 is in both layouts: what came is told by 0.3."""
    before = histogram(4, 1, 0, 0, 0)
    now = Distribution((0.3, 1.0), (6, 2, 0), 0.0)

    assert growth(before, now, 0.5) == Growth(2, 3)


def test_other_bounds_without_a_common_one_tell_nothing() -> None:
    """No guess is made of which observations moved between the layouts."""
    assert growth(histogram(1, 0, 0, 0, 0), Distribution((0.4,), (3, 0), 0.0), 0.5) is None


@pytest.mark.parametrize(("before", "now", "came"), [(3, 5, 2), (5, 5, 0), (5, 2, 2)])
def test_a_counter_that_fell_counts_from_nothing(before: float, now: float, came: float) -> None:
    """The new value is what came since the restart."""
    assert counted(before, now) == came


LAYOUTS = st.sampled_from([BOUNDS, (0.3, 1.0), (0.4,), ()])


@st.composite
def histograms(draw: st.DrawFn) -> Distribution:
    """Draw a histogram of any of a few layouts."""
    bounds = draw(LAYOUTS)
    size = len(bounds) + 1
    counts = draw(st.lists(st.integers(0, 50), min_size=size, max_size=size))
    return Distribution(bounds, tuple(counts), 0.0)


@given(before=st.none() | histograms(), now=histograms(), threshold=st.floats(0.01, 10))
def test_good_is_never_more_than_total_and_nothing_is_negative(
    before: Distribution | None, now: Distribution, threshold: float
) -> None:
    """Whatever two scrapes hold, what came of them can be added to counters."""
    came = growth(before, now, threshold)

    assert came is None or 0 <= came.good <= came.total <= now.observations
