"""Since when series have been counting: first sight, restarts, clocks that jump."""

from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import gpu, serving
from agent.cumulative import Count, Starts, follow
from agent.snapshot import Batch, Distribution, Reading, SeriesKey

ENERGY: SeriesKey = (gpu.ENERGY, ("GPU-1", "gpu"))
LATENCY: SeriesKey = (serving.REQUEST_DURATION, ("vllm", "vllm", "llama", "", ""))


def _batch(at: float, key: SeriesKey, value: float | Distribution) -> Batch:
    return Batch(at, (Reading(*key, value),))


def test_a_series_starts_when_it_is_first_seen() -> None:
    """A new counter has been counting since now, and goes on from there."""
    first = follow({}, _batch(100, ENERGY, 5))
    second = follow(first, _batch(101, ENERGY, 7))

    assert first[ENERGY] == Count(total=5, start=100, seen_at=100)
    assert second[ENERGY] == Count(total=7, start=100, seen_at=101)


def test_a_counter_that_falls_starts_when_it_was_last_seen() -> None:
    """After a restart of the source the count began somewhere after the last look."""
    before = {ENERGY: Count(total=50, start=10, seen_at=99)}

    after = follow(before, _batch(100, ENERGY, 3))

    assert after[ENERGY] == Count(total=3, start=99, seen_at=100)


def test_a_standing_counter_has_not_restarted() -> None:
    """A total that stays the same keeps its start."""
    before = {ENERGY: Count(total=50, start=10, seen_at=99)}

    assert follow(before, _batch(100, ENERGY, 50))[ENERGY].start == 10


def test_histograms_are_judged_by_their_count() -> None:
    """A sum that falls is no restart; a count that falls is one."""
    begun = follow({}, _batch(10, LATENCY, Distribution((1.0,), (2, 1), 9.0)))

    smaller_sum = follow(begun, _batch(11, LATENCY, Distribution((1.0,), (2, 2), 5.0)))
    smaller_count = follow(smaller_sum, _batch(12, LATENCY, Distribution((1.0,), (1, 0), 6.0)))

    assert smaller_sum[LATENCY].start == 10
    assert smaller_count[LATENCY].start == 11


def test_a_histogram_with_other_buckets_is_another_one() -> None:
    """A server that comes back with other buckets counts anew, though it has soon counted further."""
    one, other = Distribution((1.0,), (2, 1), 9.0), Distribution((1.0, 5.0), (3, 1, 1), 9.5)
    counts: dict[SeriesKey, Count] = {}
    starts, layout = Starts(), object()

    for at, value in ((10, one), (20, one), (30, other)):
        counts = follow(counts, _batch(at, LATENCY, value))
        starts.follow(_batch(at, LATENCY, value), layout)

    assert counts[LATENCY].start == starts.starts[LATENCY] == 20


def test_gauges_have_no_start() -> None:
    """Only what accumulates is followed."""
    assert follow({}, _batch(1, (gpu.POWER, ("GPU-1", "gpu")), 5)) == {}


def test_a_series_that_is_gone_is_forgotten() -> None:
    """A series that comes back after an absence starts anew, and nothing is kept for ever."""
    seen = follow({}, _batch(1, ENERGY, 5))

    gone = follow(seen, Batch(2, ()))

    assert gone == {}


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=2e9),
            st.integers(min_value=0, max_value=10**15),
        ),
        min_size=1,
    )
)
def test_no_start_lies_in_the_future(looks: list[tuple[float, int]]) -> None:
    """Whatever clock and counter do, a series never starts after the moment it is looked at."""
    counts: dict[SeriesKey, Count] = {}

    for at, total in looks:
        counts = follow(counts, _batch(at, ENERGY, total))

        assert counts[ENERGY].start <= at
        assert counts[ENERGY].total == total


_KEYS: tuple[SeriesKey, ...] = (
    ENERGY,
    (gpu.ENERGY, ("GPU-2", "gpu")),
    (gpu.XID_EVENTS, ("GPU-1", "79")),
    (gpu.POWER, ("GPU-1", "gpu")),
    (serving.REQUESTS_FINISHED, ("chat", "vllm", "m", "", "", "stop")),
)
_BATCHES = st.lists(
    st.tuples(
        st.integers(0, 50),
        st.lists(st.tuples(st.sampled_from(_KEYS), st.integers(0, 5)), unique_by=lambda r: r[0]),
    ),
    max_size=12,
)


@given(_BATCHES)
def test_remembering_what_the_series_were_changes_nothing(
    batches: list[tuple[int, list[tuple[SeriesKey, int]]]],
) -> None:
    """Whatever comes, goes, falls, or goes back in time, the starts are those of `follow`."""
    known: dict[SeriesKey, Count] = {}
    starts, layouts = Starts(), dict[tuple[SeriesKey, ...], object]()

    for at, readings in batches:
        batch = Batch(at, tuple(Reading(*key, value) for key, value in readings))
        known = follow(known, batch)
        starts.follow(batch, layouts.setdefault(tuple(key for key, _ in readings), object()))

        assert starts.starts == {key: count.start for key, count in known.items()}
