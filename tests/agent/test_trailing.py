"""The queue of two stacks, held against a list that is added up anew each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.trailing import Cell, Trailing

seconds = st.one_of(st.just(0.0), st.floats(0.01, 3.0))
cells = st.lists(
    st.tuples(seconds, seconds, st.floats(0.0, 1e3), st.floats(0.0, 1e3)),
    min_size=1,
    max_size=60,
)


@given(steps=cells, window=st.sampled_from([1.0, 4.0, 20.0]))
def test_sum_and_extremes_are_those_of_the_window(
    steps: list[tuple[float, float, float, float]], window: float
) -> None:
    """Whatever comes and leaves, the mean, the least and the greatest are those of what is left."""
    trailing, kept, end = Trailing(), list[Cell](), 0.0

    for step, weight, one, other in steps:
        end += step
        low, high = sorted((one, other))
        middle = (low + high) / 2
        kept.append((end, weight, middle * weight, low, high))
        mean, least, greatest = trailing.add(kept[-1], middle, end - window)

        live = [cell for cell in kept if cell[0] > end - window]
        weights = sum(cell[1] for cell in live)
        expected = sum(cell[2] for cell in live) / weights if weights else middle
        assert (least, greatest) == (min(c[3] for c in live), max(c[4] for c in live))
        assert mean == pytest.approx(expected, rel=1e-9)
        assert least <= mean <= greatest


def test_a_great_value_leaves_no_trace() -> None:
    """Once it has left the window, a value of 1e18 has not made the small ones wrong."""
    trailing = Trailing()
    trailing.add((0.0, 1.0, 1e18, 1e18, 1e18), 1e18, -5.0)

    means = [trailing.add((at, 1.0, 0.1, 0.1, 0.1), 0.1, at - 5.0)[0] for at in range(1, 20)]

    assert means[4:] == [0.1] * 15


def test_rounding_does_not_carry_a_mean_past_its_values() -> None:
    """The mean of many times 0.1 is 0.1, and not a little more."""
    trailing = Trailing()

    told = [trailing.add((at, 0.3, 0.1 * 0.3, 0.1, 0.1), 0.1, -1.0) for at in range(1000)]

    assert set(told) == {(0.1, 0.1, 0.1)}
