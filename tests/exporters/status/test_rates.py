import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import serving
from agent.snapshot import Batch, Distribution, Reading, Snapshot
from exporters.status.history import History
from exporters.status.lookup import Lookup
from exporters.status.model import Quantile
from exporters.status.rates import growth, latency, per_second, quantile

NOON = 1_796_040_000.0
KEY = ("llama", "vllm", "m", "", "")


def lookup_after(*rows: tuple[float, list[Reading]], started: float = 0.0) -> Lookup:
    """Return the lookup at the last of these moments, with the earlier ones as history."""
    history = History()
    for second, readings in rows:
        batch = Batch(NOON + second, tuple(readings))
        starts = {(r.metric, r.attributes): NOON + started for r in readings}
        snapshot = Snapshot(1, NOON + second, {"s": batch}, starts=starts)
        history.feed(snapshot)
    return Lookup(snapshot, history)


def tokens(count: float, key: tuple[str, ...] = KEY) -> Reading:
    """Return a count of tokens."""
    return Reading(serving.TOKENS_GENERATED, key, count)


def observed(*counts: int, total: float) -> Reading:
    """Return a histogram of time to first token with bounds 1 and 2."""
    bounds = (1.0, 2.0) if len(counts) == 3 else ()
    return Reading(serving.TIME_TO_FIRST_TOKEN, KEY, Distribution(bounds, counts, total))


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        (0.5, (10, 0, 0), 0.5),
        (0.5, (0, 10, 0), 1.5),
        (0.95, (90, 10, 0), 1.5),
        (0.5, (5, 5, 0), 1.0),
    ],
)
def test_quantile_is_linear_within_its_bucket(
    share: float, counts: tuple[int, ...], expected: float
) -> None:
    """A quantile is estimated as Prometheus does it."""
    assert quantile(share, (1.0, 2.0), counts) == Quantile(expected, at_least=False)


def test_quantile_above_the_last_bound_is_a_lower_limit() -> None:
    """What lies above all bounds is known to be at least the last one."""
    assert quantile(0.95, (1.0, 2.0), (1, 1, 8)) == Quantile(2.0, at_least=True)


def test_quantile_needs_buckets_and_observations() -> None:
    """Without bounds or without observations there is no quantile."""
    assert quantile(0.5, (), (5,)) is None
    assert quantile(0.5, (1.0,), (0, 0)) is None


@given(
    st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any),
    st.floats(0.01, 0.99),
)
def test_quantile_lies_within_the_bounds(counts: list[int], share: float) -> None:
    """Whatever the counts, the estimate lies between 0 and the last bound, and grows with the share."""
    bounds = (0.5, 1.0, 4.0)

    low, high = quantile(share, bounds, tuple(counts)), quantile(0.999, bounds, tuple(counts))

    assert low is not None
    assert high is not None
    assert 0 <= low.value <= high.value <= 4.0


def test_latency_is_of_the_last_minute_alone() -> None:
    """What was observed before the window does not weigh."""
    lookup = lookup_after(
        (0, [observed(1000, 0, 0, total=500)]), (30, [observed(1000, 10, 0, total=515)])
    )

    found = latency(lookup, serving.TIME_TO_FIRST_TOKEN, *KEY)

    assert found is not None
    assert (found.requests, found.window, found.mean) == (10, 30, 1.5)
    assert found.p50 == Quantile(1.5, at_least=False)


def test_latency_without_buckets_is_a_mean() -> None:
    """A server that tells a sum and a count alone has a mean and no quantiles."""
    lookup = lookup_after((0, [observed(5, total=1)]), (30, [observed(15, total=6)]))

    found = latency(lookup, serving.TIME_TO_FIRST_TOKEN, *KEY)

    assert found is not None
    assert (found.mean, found.p50, found.p95) == (0.5, None, None)


def test_latency_is_unknown_without_requests() -> None:
    """An idle minute, and a first look, have no latency: neither 0 nor an old one."""
    same = observed(5, 5, 5, total=9)

    assert latency(lookup_after((0, [same])), serving.TIME_TO_FIRST_TOKEN, *KEY) is None
    idle = lookup_after((0, [same]), (30, [same]))
    assert latency(idle, serving.TIME_TO_FIRST_TOKEN, *KEY) is None


def test_rates_add_up_over_series() -> None:
    """Counters that differ only in what is not asked for are added."""
    other = ("llama", "vllm", "other", "", "")
    lookup = lookup_after(
        (0, [tokens(100), tokens(50, other)]), (10, [tokens(200), tokens(80, other)])
    )

    assert growth(lookup, serving.TOKENS_GENERATED, "llama", "vllm") == (130, 10)
    assert per_second(lookup, serving.TOKENS_GENERATED, *KEY) == 10


def test_rate_after_a_restart_counts_from_the_restart() -> None:
    """A server that restarted is compared with its own new count, never with the old one."""
    lookup = lookup_after(
        (0, [tokens(10)]), (30, [tokens(90_000)]), (33, [tokens(5)]), (36, [tokens(35)]), started=33
    )

    assert per_second(lookup, serving.TOKENS_GENERATED, *KEY) == 10


def test_rate_of_what_is_gone_is_unknown() -> None:
    """A series that is missing now has no rate, whatever it had."""
    lookup = lookup_after((0, [tokens(10)]), (30, [tokens(20)]), (33, []))

    assert per_second(lookup, serving.TOKENS_GENERATED, *KEY) is None
