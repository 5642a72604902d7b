"""Real model servers, the agent and Prometheus together: what PromQL says is what was sent."""

from itertools import pairwise

import pytest

from agent.catalogue import events, probe, serving
from agent.catalogue.attributes import EVENT_NAME, FINISH_REASON, PROBE_FAILURE, PROVIDER, SERVER
from agent.catalogue.itself import EVENTS
from agent.catalogue.promql import Condition, aggregate, equals, select
from tests.e2e.serving.conftest import Watched
from tests.real_parts.programs import eventually, http_get
from tests.real_servers import processes
from tests.real_servers.expected import EXPECTED, GOOD

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
NAMES = ("dynamo", "mlserver", "triton")


def of(name: str) -> Condition:
    """Return the condition that a series is of this server."""
    return equals(SERVER, name)


def one(watched: Watched, expression: str) -> float | None:
    """Return the only value of an expression now; None where there is none yet."""
    found = watched.prometheus.query(expression)
    assert len(found) <= 1, found
    return found[0][1] if found else None


def until(watched: Watched, expression: str, wanted: float) -> None:
    """Wait until Prometheus says so."""
    eventually(
        f"{expression} is {wanted:g}", lambda: one(watched, expression) == wanted, timeout=60
    )


def finished(name: str) -> str:
    """Return the expression for all requests that ended, by the server's only model that is asked."""
    return aggregate("sum", (), select(serving.REQUESTS_FINISHED, of(name)))


def increase(watched: Watched, selector: str) -> float:
    """Return how much a counter grew over all its samples, resets reckoned in, nothing extrapolated."""
    (series,) = watched.prometheus.ask("query", query=f"{selector}[10m]")["result"]
    values = [float(value) for _, value in series["values"]]
    grown = sum(b - a if b >= a else b for a, b in pairwise(values))
    return values[0] + grown


@pytest.mark.parametrize("name", NAMES)
def test_each_server_is_found_out(watched: Watched, name: str) -> None:
    """Each server is up under its own kind, which nobody configured."""
    until(watched, select(serving.SERVER_UP, of(name), equals(PROVIDER, name)), 1)


def test_requests_are_counted_through_a_restart(watched: Watched) -> None:
    """What PromQL reckons over a power cut is all that was sent, before and after; the cut is an event."""
    name = "mlserver"
    server, expected = watched.servers[name], EXPECTED[name]
    good = select(serving.REQUESTS_FINISHED, of(name), equals(FINISH_REASON, "success"))
    server.load(good=GOOD, bad=3)
    until(watched, good, GOOD)
    until(watched, finished(name), sum(expected.finished.values()))

    server.kill()
    until(watched, aggregate("max", (), select(serving.SERVER_UP, of(name))), 0)
    until(watched, f"absent({good})", 1)
    server.start()
    server.load(good=4, bad=0)
    until(watched, good, 4)

    assert increase(watched, good) == GOOD + 4
    assert one(watched, f"resets({good}[10m])") == 1
    down = select(EVENTS, equals(EVENT_NAME, events.SERVER_DOWN.name))
    assert one(watched, down) == 1


def test_durations_are_seconds(watched: Watched) -> None:
    """Triton's microseconds arrive as seconds: the mean of requests that take 0.05 s is about that."""
    server = watched.servers["triton"]
    duration = {
        part: aggregate("sum", (), select(serving.REQUEST_DURATION, of("triton"), part=part))
        for part in ("sum", "count")
    }
    until(watched, f"{duration['count']} > bool 0", 1)  # the probe asks as well

    server.load(good=20, bad=0, seconds=0.05)
    until(watched, f"{duration['sum']} > bool 1", 1)

    mean = one(watched, f"{duration['sum']} / {duration['count']}")
    assert mean is not None
    assert 0.005 < mean < 5


@pytest.mark.parametrize("name", ["dynamo", "triton"])
def test_servers_that_are_well_answer_the_probe(watched: Watched, name: str) -> None:
    """Each probed server answers, and how long it takes is a histogram."""
    until(watched, select(probe.SUCCESS, of(name)), 1)
    until(watched, f"{select(probe.DURATION, of(name), part='count')} >= bool 2", 1)

    failures = aggregate("sum", (), select(probe.FAILURES, of(name)))
    assert one(watched, failures) == 0


def test_a_hung_engine_behind_metrics_that_are_fine_pages(watched: Watched) -> None:
    """The engine freezes: its metrics go on, the probe fails, an event and an alert tell; then it is over."""
    alert = 'ALERTS{alertname="ModelServerProbeUnanswered", alertstate="firing"}'
    worker = watched.servers["dynamo"].programs["worker"]
    until(watched, select(probe.SUCCESS, of("dynamo")), 1)

    processes.freeze(worker)
    try:
        until(watched, f'count({alert[:-1]}, {SERVER.label}="dynamo"}})', 1)
        up = one(watched, select(serving.SERVER_UP, of("dynamo")))
        failed = select(probe.FAILURES, of("dynamo"), equals(PROBE_FAILURE, "timeout"))
        failures, others = one(watched, failed), one(watched, f"count({alert})")
    finally:
        processes.thaw(worker)
    until(watched, select(probe.SUCCESS, of("dynamo")), 1)

    assert up == 1
    assert failures is not None
    assert failures >= 1
    assert others == 1
    assert one(watched, select(EVENTS, equals(EVENT_NAME, events.PROBE_FAILED.name))) == 1
    tokens = one(watched, select(probe.TOKENS, of("dynamo")))
    assert tokens is not None
    assert tokens > 0


def test_nothing_of_a_prompt_or_an_answer_is_told(watched: Watched) -> None:
    """Neither what the probe asks nor what it hears is on the agent's page or in its log."""
    page = http_get(f"{watched.agent.url}/metrics").decode()

    assert "Count to three" not in page + watched.agent.said()
    assert " w1" not in watched.agent.said()
