"""Pages of one server in a row: what happened between them, and what a restart does."""

import pytest

from agent.catalogue import Kind, Metric, serving
from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profiles.vllm import VLLM
from agent.cumulative import Starts
from agent.snapshot import Batch, Distribution, Reading
from agent.vetting import vet
from tests.agent.collectors.serving.pages import captured

LLAMA = ("meta-llama/Llama-3.1-8B-Instruct", "", "0")
T0, T1, T2 = (captured(f"vllm/vllm_0.33.0_dp1_{name}.txt") for name in ("t0", "t1", "t2_drifted"))


class Server:
    """One server's pages, read in turn as a collector and the sampler do."""

    def __init__(self) -> None:
        self.parser = Parser(VLLM.samples)
        self.translation = Translation(VLLM, "chat")
        self.starts = Starts()
        self.time = 1_000.0

    def scrape(self, text: str) -> dict[tuple[Metric, tuple[str, ...]], float | Distribution]:
        """Read a page, 15 seconds after the one before."""
        faults = Faults("chat")
        readings = tuple(self.translation.readings(self.parser.parse(text), faults))
        assert faults.problems() == ()
        self.time += 15
        batch = Batch(self.time, readings)
        assert vet(batch)[0] is batch
        self.starts.follow(batch)
        return {(metric, attributes[2:]): value for metric, attributes, value in readings}


def restarted(text: str) -> str:
    """Return a page as a new process gives it: nothing has been counted yet."""
    lines = []
    for line in text.splitlines():
        name = line.partition("{")[0]
        counted = name.endswith(("_total", "_bucket", "_sum", "_count"))
        lines.append(f"{line.rpartition(' ')[0]} 0.0" if counted and line[0] != "#" else line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("metric", "own", "grown"),
    [
        (serving.TOKENS_PROMPT, (), 94665 - 72903),
        (serving.TOKENS_GENERATED, (), 27311 - 20953),
        (serving.TOKENS_CACHED, (), 21520 - 16656),
        (serving.PREFIX_CACHE_HITS, (), 21520 - 16656),
        (serving.REQUESTS_FINISHED, ("stop",), 96 - 70),
        (serving.REQUESTS_FINISHED, ("length",), 19 - 15),
        (serving.REQUESTS_FINISHED, ("error",), 0),
    ],
)
def test_between_two_pages_counters_grow_by_what_was_counted(
    metric: Metric, own: tuple[str, ...], grown: float
) -> None:
    """The captured pair, against its own numbers."""
    server = Server()
    before, after = server.scrape(T0), server.scrape(T1)

    earlier, later = before[metric, (*LLAMA, *own)], after[metric, (*LLAMA, *own)]

    assert isinstance(earlier, float)
    assert isinstance(later, float)
    assert later - earlier == grown


@pytest.mark.parametrize(
    ("metric", "requests", "seconds"),
    [
        (serving.REQUEST_DURATION, 30, 65.335429),
        (serving.TIME_TO_FIRST_TOKEN, 30, 2.795674),
        (serving.TIME_PER_OUTPUT_TOKEN, 30, 0.291934),
        (serving.INTER_TOKEN_LATENCY, 6328, 68.614824),
        (serving.QUEUE_DURATION, 30, 1.760434),
        (serving.PREFILL_DURATION, 30, 1.03524),
        (serving.DECODE_DURATION, 30, 62.539756),
    ],
)
def test_between_two_pages_histograms_grow_bucket_by_bucket(
    metric: Metric, requests: int, seconds: float
) -> None:
    """No bucket falls, and all of them together grow by the requests there were."""
    server = Server()
    before, after = server.scrape(T0)[metric, LLAMA], server.scrape(T1)[metric, LLAMA]

    assert isinstance(before, Distribution)
    assert isinstance(after, Distribution)
    assert before.bounds == after.bounds
    buckets = [late - early for early, late in zip(before.counts, after.counts, strict=True)]
    assert min(buckets) >= 0
    assert sum(buckets) == requests
    assert after.sum - before.sum == pytest.approx(seconds, abs=1e-5)


def test_a_restart_is_seen_in_each_series() -> None:
    """All that was counted begins again after the last page; what was 0 before cannot show it."""
    server = Server()
    server.scrape(T1)
    before = server.scrape(T2)
    counted = set(server.starts.starts)
    after = server.scrape(restarted(T2))
    last = server.time - 15

    assert after.keys() == before.keys()
    fallen = {
        (metric, attributes)
        for (metric, attributes), since in server.starts.starts.items()
        if since == last
    }
    assert fallen <= counted
    for metric, attributes in counted:
        value = after[metric, attributes[2:]]
        earlier = before[metric, attributes[2:]]
        had = earlier.observations if isinstance(earlier, Distribution) else earlier
        assert (value.observations if isinstance(value, Distribution) else value) == 0
        assert ((metric, attributes) in fallen) is (had > 0)
    gauges = (Kind.GAUGE, Kind.UP_DOWN_COUNTER)
    assert {k: v for k, v in after.items() if k[0].kind in gauges} == {
        k: v for k, v in before.items() if k[0].kind in gauges
    }


def test_a_restart_between_pages_gives_what_was_counted_since() -> None:
    """The new process has counted something by the next page: that is what is told, and no less."""
    server = Server()
    server.scrape(T2)
    server.scrape(T0)  # as if a new process had come as far as the first page
    after = server.scrape(T1)

    key = (serving.TOKENS_PROMPT, LLAMA)
    assert after[key] == 94665
    assert server.starts.starts[serving.TOKENS_PROMPT, ("chat", "vllm", *LLAMA)] == server.time - 30


def test_an_engine_that_goes_leaves_the_others() -> None:
    """A data-parallel engine that is scaled away is absent, and comes back as a series that begins anew."""
    engine = "\n".join(line for line in T1.splitlines() if 'engine="0"' in line)
    both = T1 + engine.replace('engine="0"', 'engine="1"') + "\n"
    server = Server()
    first, second, third = server.scrape(both), server.scrape(T1), server.scrape(both)

    gone = {key for key in first if key[1][2] == "1"}
    assert gone
    assert second.keys() == first.keys() - gone
    assert third == first
    starts = server.starts.starts
    of_engine = [
        starts[serving.TOKENS_PROMPT, ("chat", "vllm", *LLAMA[:2], number)] for number in ("0", "1")
    ]
    assert of_engine == [server.time - 30, server.time]


def test_http_errors_are_one_counter_though_their_handlers_come_and_go() -> None:
    """A worker that restarts with one handler unseen does not make the errors of all fall."""
    line = 'http_requests_total{{handler="{0}",method="POST",status="5xx"}} {1}\n'
    server = Server()
    running = 'vllm:num_requests_running{model_name="m"} 0\n'
    key = (serving.REQUESTS_ERRORS, ("", "", "", "5xx"))

    found = [
        server.scrape(running + "".join(line.format(*pair) for pair in page))[key]
        for page in (
            [("/a", 4)],
            [("/a", 5), ("/b", 2)],
            [("/a", 6)],
            [("/a", 6), ("/b", 1)],
            [("/a", 7), ("/b", 1)],
        )
    ]

    assert found == [4, 7, 8, 9, 10]


def test_created_times_are_no_readings() -> None:
    """Families that tell when a series began are skipped: they are gauges that look like counters."""
    names = {name for name in VLLM.samples if name.endswith("_created")}
    with_created = Reading(serving.TOKENS_PROMPT, ("chat", "vllm", *LLAMA), 94665.0)

    readings = Translation(VLLM, "chat").readings(Parser(VLLM.samples).parse(T1), Faults("chat"))

    assert names == set()
    assert "vllm:prompt_tokens_created" in T1
    assert with_created in readings
