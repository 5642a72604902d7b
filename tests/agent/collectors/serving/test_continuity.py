"""Sums of counters of which a part is lost."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.serving.continuity import HISTOGRAMS, NUMBERS, Continuity
from agent.collectors.serving.histogram import MalformedError
from agent.snapshot import Distribution

KEY = ("s", "p", "m", "", "")


def totals(*pages: Mapping[str, float]) -> list[float]:
    """Return the sums of one key over some pages."""
    continuity = Continuity(NUMBERS)
    return [continuity.total(KEY, dict(page)) for page in pages]


def test_one_series_passes_through() -> None:
    """A counter that begins again is given as it is: whoever reads it sees the restart."""
    assert totals({"a": 100}, {"a": 150}, {"a": 3}) == [100, 150, 3]


def test_a_part_that_begins_again_does_not_make_the_sum_fall() -> None:
    """One of two workers restarts: only what it counted since is new."""
    assert totals({"a": 100, "b": 50}, {"a": 110, "b": 4}, {"a": 111, "b": 6}) == [150, 164, 167]


def test_a_part_that_goes_stays_in_the_sum() -> None:
    """A replica is scaled away; another one comes and counts from 0."""
    pages = {"a": 100, "b": 50}, {"a": 110}, {"a": 110, "c": 7}, {"a": 111, "c": 8}

    assert totals(*pages) == [150, 160, 167, 169]


def test_a_part_that_comes_back_is_not_counted_twice() -> None:
    """A family may be missing on one page; if it has begun again meanwhile, it counts as new."""
    assert totals({"a": 1, "b": 50}, {"a": 1}, {"a": 1, "b": 52}) == [51, 51, 53]
    assert totals({"a": 1, "b": 50}, {"a": 1}, {"a": 1, "b": 2}) == [51, 51, 53]


def test_when_everything_begins_again_the_sum_does() -> None:
    """The server restarted: what was kept of lost parts goes with the rest."""
    pages = {"a": 100, "b": 50}, {"a": 100, "b": 5}, {"a": 2, "b": 1}, {"a": 3, "b": 2}

    assert totals(*pages) == [150, 155, 3, 5]


def test_other_series_altogether_are_a_new_beginning() -> None:
    """All parts were replaced, as a server with new labels does."""
    assert totals({"a": 100, "b": 50}, {"c": 7, "d": 1}) == [150, 8]


def test_a_late_part_adds_what_it_has() -> None:
    """A label that appears with its first request was born at 0."""
    assert totals({"a": 100}, {"a": 100, "b": 1}, {"a": 100, "b": 2}) == [100, 101, 102]


def test_sums_are_followed_one_by_one() -> None:
    """Another model's parts have nothing to do with it."""
    continuity = Continuity(NUMBERS)
    other = ("s", "p", "n", "", "")
    continuity.total(KEY, {"a": 5.0, "b": 5.0})
    continuity.total(other, {"c": 1.0, "d": 1.0})

    assert continuity.total(KEY, {"a": 6.0}) == 11
    assert continuity.total(other, {"c": 1.0, "d": 2.0}) == 3


def of(*counts: int, bounds: tuple[float, ...] = (1.0,)) -> Distribution:
    """Return a histogram."""
    return Distribution(bounds, counts, float(sum(counts)))


def test_buckets_of_a_lost_histogram_stay_together() -> None:
    """All its buckets and its sum are kept, by its count alone: a sum may fall without a restart."""
    continuity = Continuity(HISTOGRAMS)
    continuity.total(KEY, {"a": of(10, 5), "b": of(3, 1)})

    restarted = continuity.total(KEY, {"a": of(11, 5), "b": of(0, 1)})
    fallen_sum = Distribution((1.0,), (12, 5), -4.0)
    later = continuity.total(KEY, {"a": fallen_sum, "b": of(0, 1)})

    assert restarted == Distribution((1.0,), (14, 7), 16 + 4 + 1)
    assert later == Distribution((1.0,), (15, 7), -4 + 4 + 1)


def test_a_histogram_that_comes_back_is_taken_out_again() -> None:
    """As it was before it went."""
    continuity = Continuity(HISTOGRAMS)
    continuity.total(KEY, {"a": of(10, 5), "b": of(3, 1)})
    continuity.total(KEY, {"a": of(10, 5)})

    assert continuity.total(KEY, {"a": of(10, 5), "b": of(4, 1)}) == of(14, 6)


def test_other_buckets_are_another_server() -> None:
    """What was kept has other bounds and cannot be added: the sum begins again."""
    continuity = Continuity(HISTOGRAMS)
    continuity.total(KEY, {"a": of(10, 5), "b": of(3, 1)})
    continuity.total(KEY, {"a": of(10, 5)})
    new = {"a": of(12, 5, bounds=(2.0,)), "b": of(1, 1, bounds=(2.0,))}

    assert continuity.total(KEY, new) == of(13, 6, bounds=(2.0,))


def test_parts_with_different_buckets_have_no_sum() -> None:
    """That is the caller's to report."""
    with pytest.raises(MalformedError) as caught:
        Continuity(HISTOGRAMS).total(KEY, {"a": of(1, 1), "b": of(1, 1, bounds=(2.0,))})

    assert caught.value.reason == "ambiguous_series"


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9) | st.none()), max_size=40)


@given(STEPS)
def test_while_one_part_lives_the_sum_is_all_that_was_ever_counted(
    steps: list[tuple[str, int | None]],
) -> None:
    """Whatever parts restart, go and come back: the sum grows by exactly what they count."""
    continuity = Continuity(NUMBERS)
    here: dict[str, float] = {"alive": 1.0, "beside": 1.0}
    ever: dict[str, float] = {}
    expected = continuity.total(KEY, dict(here))

    for part, value in steps:
        if value is None:
            here.pop(part, None)
        else:
            before = ever.get(part, 0.0)
            expected += value - before if value >= before else value
            here[part] = ever[part] = float(value)

        assert continuity.total(KEY, dict(here)) == expected
