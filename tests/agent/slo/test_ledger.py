"""What is counted for an objective over the life of servers, models and engines."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import Metric, serving, serving_slo
from agent.slo.ledger import FORGET, SloLedger
from agent.slo.objective import Objective
from agent.snapshot import Batch, Distribution, Problem, Reading

BOUNDS = (0.5, 1.0, 2.0)
FAST = Objective(
    name="fast",
    signal="time_to_first_token",
    threshold=1.5,
    target=0.99,
    window=2_592_000,
    model="llama*",
)
UP = Objective(name="up", signal="availability", target=0.999, window=2_419_200)


def ttft(
    *counts: int,
    model: str = "llama-3",
    engine: str = "0",
    server: str = "chat",
    bounds: tuple[float, ...] = BOUNDS,
) -> Reading:
    """Return a histogram of times to first token."""
    value = Distribution(bounds, counts, 0.0)
    return Reading(serving.TIME_TO_FIRST_TOKEN, (server, "vllm", model, "", engine), value)


def finished(amount: float, reason: str = "stop", model: str = "llama-3") -> Reading:
    """Return a counter of requests that ended."""
    return Reading(serving.REQUESTS_FINISHED, ("chat", "vllm", model, "", "0", reason), amount)


def batch(
    at: float, *readings: Reading, up: float = 1, problems: tuple[Problem, ...] = ()
) -> Batch:
    """Return what a server told at ``at``."""
    return Batch(at, (Reading(serving.SERVER_UP, ("chat", "vllm"), up), *readings), problems)


def played(ledger: SloLedger, batches: Sequence[Batch], source: str = "serving/chat") -> None:
    """Let the ledger see the batches and be read after each."""
    for each in batches:
        ledger.take(source, each)
        ledger.readings()


def told(ledger: SloLedger, metric: Metric) -> dict[str, float | Distribution]:
    """Return what is told of a metric, by server and model."""
    return {
        "/".join((attributes[1], attributes[3])): value
        for reading, attributes, value in ledger.readings()
        if reading is metric
    }


def counts(ledger: SloLedger, who: str = "chat/llama-3") -> tuple[float, float] | None:
    """Return good and total of a model; `None` where it has none."""
    values = {
        (metric, "/".join((attributes[1], attributes[3]))): value
        for metric, attributes, value in ledger.readings()
        if metric in (serving_slo.SLO_GOOD, serving_slo.SLO_TOTAL)
    }
    good, total = (
        values.get((metric, who)) for metric in (serving_slo.SLO_GOOD, serving_slo.SLO_TOTAL)
    )
    if good is None or total is None:
        return None
    assert not isinstance(good, Distribution)
    assert not isinstance(total, Distribution)
    return good, total


def test_what_was_counted_before_does_not_count() -> None:
    """A server that has run for weeks begins at 0; what comes then is counted by its own bound."""
    ledger = SloLedger([FAST])
    played(ledger, [batch(1, ttft(100, 100, 100, 100))])
    first = counts(ledger)
    played(ledger, [batch(6, ttft(103, 101, 104, 102))])

    assert first == (0, 0)
    assert counts(ledger) == (4, 10)
    assert told(ledger, serving_slo.SLO_THRESHOLD) == {"chat/llama-3": 1.0}


def test_a_batch_counts_once_however_often_it_is_seen() -> None:
    """A snapshot holds a server's last batch until the next one comes."""
    ledger = SloLedger([FAST])
    played(ledger, [batch(1, ttft(0, 0, 0, 0)), *[batch(6, ttft(5, 0, 0, 0))] * 3])

    assert counts(ledger) == (5, 5)


def test_a_restart_adds_what_came_after_it() -> None:
    """A counter that falls began at 0; nothing is lost of what was counted before."""
    ledger = SloLedger([FAST])
    played(ledger, [batch(1, ttft(0, 0, 0, 0)), batch(6, ttft(8, 0, 0, 2))])
    played(ledger, [batch(9, up=0), batch(11, ttft(1, 1, 0, 1))])

    assert counts(ledger) == (10, 13)


def test_engines_of_a_model_are_summed() -> None:
    """Data-parallel engines are one model to the one who was promised something."""
    ledger = SloLedger([FAST])
    played(
        ledger,
        [
            batch(1, ttft(0, 0, 0, 0), ttft(0, 0, 0, 0, engine="1")),
            batch(6, ttft(2, 0, 0, 1), ttft(3, 0, 0, 0, engine="1")),
        ],
    )

    assert counts(ledger) == (5, 6)


def test_a_model_that_appears_late_began_at_nothing() -> None:
    """Its series come with its first request, which counts, after a 0 that Prometheus can see."""
    ledger = SloLedger([FAST])
    played(ledger, [batch(1, finished(3))])
    ledger.take("serving/chat", batch(6, ttft(1, 0, 0, 1)))

    assert counts(ledger) == (0, 0)
    assert counts(ledger) == (1, 2)


def test_a_model_that_appears_after_a_bad_page_has_an_unknown_past() -> None:
    """A page with problems may have lacked what was there: then what it holds next is no growth."""
    ledger = SloLedger([FAST])
    broken = Problem("conflicting_type", "chat")
    played(ledger, [batch(1, problems=(broken,)), batch(6, ttft(900, 0, 0, 1))])

    assert counts(ledger) == (0, 0)


def test_a_series_that_vanishes_for_a_while_goes_on_where_it_was() -> None:
    """Its return is no second life of all that it counted."""
    ledger = SloLedger([FAST])
    played(
        ledger,
        [batch(1, ttft(5, 0, 0, 0)), batch(6), batch(11), batch(16, ttft(7, 0, 0, 0))],
    )

    assert counts(ledger) == (2, 2)


def test_changed_buckets_do_not_move_what_was_counted() -> None:
    """A server that comes back with other buckets is counted by the bound that fits now."""
    ledger = SloLedger([FAST])
    other = ttft(1, 0, 2, bounds=(0.25, 1.5))
    played(ledger, [batch(1, ttft(0, 0, 0, 0)), batch(6, ttft(4, 0, 0, 4)), batch(11, other)])

    assert counts(ledger) == (5, 11)
    assert told(ledger, serving_slo.SLO_THRESHOLD) == {"chat/llama-3": 1.5}


def test_other_models_and_servers_are_not_covered() -> None:
    """A pattern covers what it matches; a server that is named covers itself."""
    ledger = SloLedger(
        [FAST, Objective(name="one", signal="queue", threshold=1, target=0.9, window=1, server="x")]
    )
    played(ledger, [batch(1, ttft(0, 0, 0, 0, model="qwen")), batch(2, ttft(5, 0, 0, 0))])

    assert set(told(ledger, serving_slo.SLO_TOTAL)) == {"chat/llama-3"}
    assert [each.name for each in ledger.unmatched()] == ["one"]


def test_a_threshold_below_the_first_bound_is_a_problem_and_no_series() -> None:
    """Nothing is counted that cannot be told, and the first bound says what could be."""
    ledger = SloLedger([FAST])

    problems = ledger.take("serving/chat", batch(1, ttft(3, 1, bounds=(2.0,))))

    assert counts(ledger) is None
    assert [(each.reason, each.subject) for each in problems] == [("no_bucket_fits", "chat")]
    assert "its first is 2 s" in problems[0].detail


def test_a_mean_without_buckets_is_a_problem() -> None:
    """Triton tells how long requests took together: no share of them can be known."""
    ledger = SloLedger([FAST])

    problems = ledger.take("serving/chat", batch(1, ttft(3, bounds=())))

    assert [each.reason for each in problems] == ["no_buckets"]


def test_availability_counts_errors_and_what_ended() -> None:
    """Errors are bad, all that ended is the whole; restarts are by counter."""
    ledger = SloLedger([UP])
    error = Reading(serving.REQUESTS_ERRORS, ("chat", "vllm", "llama-3", "", "0", "error"), 0.0)
    worse = error._replace(value=2.0)
    played(
        ledger,
        [
            batch(1, finished(100), finished(1, "error"), error),
            batch(6, finished(108), finished(3, "error"), worse),
            batch(11, finished(5), finished(0, "error"), error),
        ],
    )

    assert counts(ledger) == (13, 15)
    assert told(ledger, serving_slo.SLO_THRESHOLD) == {}


def test_objectives_are_told_as_data() -> None:
    """What was promised stands beside the counts, from the first run on."""
    readings = SloLedger([FAST, UP]).readings()

    assert Reading(serving_slo.SLO_OBJECTIVE, ("fast", "time_to_first_token"), 0.99) in readings
    assert Reading(serving_slo.SLO_WINDOW, ("up",), 2_419_200) in readings


def test_what_is_gone_for_an_hour_is_forgotten() -> None:
    """Servers come and go for ever, and memory stays as it is."""
    ledger = SloLedger([FAST])
    played(ledger, [batch(1, ttft(0, 0, 0, 0)), batch(6, ttft(1, 0, 0, 0))])

    ledger.forget(6 + FORGET)
    kept = counts(ledger)
    ledger.forget(7 + FORGET)

    assert kept == (1, 1)
    assert counts(ledger) is None
    assert not ledger._pasts


LAYOUTS = st.sampled_from([BOUNDS, (0.25, 1.5), (3.0,), ()])


@st.composite
def pages(draw: st.DrawFn) -> list[Reading]:
    """Draw what a server tells: any engines, any buckets, any counts."""
    found = []
    for engine in draw(st.sets(st.sampled_from("012"))):
        bounds = draw(LAYOUTS)
        size = len(bounds) + 1
        numbers = draw(st.lists(st.integers(0, 20), min_size=size, max_size=size))
        found.append(ttft(*numbers, engine=engine, bounds=bounds))
    return found


@given(st.lists(st.tuples(pages(), st.booleans()), max_size=12))
def test_counts_never_fall_and_good_is_never_more(story: list[tuple[list[Reading], bool]]) -> None:
    """Whatever servers tell, what is exported are two counters that make a share."""
    ledger = SloLedger([FAST])
    last = (0.0, 0.0)

    for at, (page, up) in enumerate(story, 1):
        ledger.take("serving/chat", batch(at, *page, up=up))
        ledger.readings()
        now = counts(ledger) or (0.0, 0.0)
        assert last[0] <= now[0] <= now[1]
        assert last[1] <= now[1]
        last = now
