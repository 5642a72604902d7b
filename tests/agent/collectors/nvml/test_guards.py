from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.nvml.decoding import Refused
from agent.collectors.nvml.guards import Backwards, Contradiction, Meter

COUNTS = st.lists(st.integers(0, 2**40), min_size=1)


@given(COUNTS)
def test_a_counter_that_grows_is_believed(steps: list[int]) -> None:
    """Whatever a counter adds is taken as it is, by the guard and by the meter."""
    values = list(accumulate(steps))
    guard, meter = Backwards(), Meter()

    assert [guard.judge("energy", value) for value in values] == values
    assert [meter.judge(value) for value in values] == values


def test_a_counter_that_falls_once_is_refused_once() -> None:
    """A single low value is a glitch: it is refused, and what follows is believed."""
    guard = Backwards()

    judged = [guard.judge("energy", value) for value in (100, 40, 101, 102)]

    assert judged == [100, Refused("40 after 100", "ran_backwards"), 101, 102]


def test_a_counter_that_stays_low_was_reset() -> None:
    """The second low value in a row is believed, and growth is judged from there."""
    guard = Backwards()

    judged = [guard.judge("energy", value) for value in (100, 40, 41, 30, 31)]

    assert judged == [
        100,
        Refused("40 after 100", "ran_backwards"),
        41,
        Refused("30 after 41", "ran_backwards"),
        31,
    ]


def test_counters_are_judged_one_by_one() -> None:
    """What one counter does says nothing of another."""
    guard = Backwards()
    guard.judge(("throttle_time", "hw_thermal"), 9)

    assert guard.judge(("throttle_time", "sw_thermal"), 3) == 3


@given(
    st.sampled_from([32, 64]),
    st.integers(0, 2**31),
    st.lists(st.integers(0, 2**30), min_size=1, max_size=40),
)
def test_a_wrap_is_undone(bits: int, first: int, steps: list[int]) -> None:
    """A counter of 32 or 64 bits that wraps goes on growing by what it counted."""
    raw_start = (1 << bits) - 1 - first
    truth = list(accumulate(steps, initial=raw_start))
    meter = Meter()

    judged = [meter.judge(value % (1 << bits)) for value in truth]

    assert judged == truth


def test_a_reset_goes_on_from_what_was_counted() -> None:
    """A meter's total never falls: the low value is refused once, then counts from 0 again."""
    meter = Meter()

    judged = [meter.judge(value) for value in (100, 5, 7, 9)]

    assert judged == [100, Refused("5 after 100", "ran_backwards"), 107, 109]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_a_total_never_falls(values: list[int]) -> None:
    """Whatever a counter says, what is told of it only grows."""
    meter = Meter()

    totals = [one for one in map(meter.judge, values) if not isinstance(one, Refused)]

    assert all(before <= after for before, after in pairwise(totals))


def test_contradiction_needs_several_in_a_row() -> None:
    """Full utilization with no active multiprocessor is believed once, and not the second time."""
    guard = Contradiction()

    first = [guard.judge(0.99, 0.0) for _ in range(4)]
    relieved = guard.judge(1.0, 0.001)
    again = [guard.judge(1.0, 0) for _ in range(2)]

    assert [bool(one) for one in first] == [False, True, True, True]
    assert relieved == ""
    assert [bool(one) for one in again] == [False, True]


def test_what_is_absent_contradicts_nothing() -> None:
    """Without utilization or without performance counters nothing is compared."""
    guard = Contradiction()

    assert not any(guard.judge(None, 0.0) for _ in range(5))
    assert not any(guard.judge(1.0, None) for _ in range(5))
