from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.simulation.exposition import Histogram
from agent.simulation.scenario import FOUND, PERIOD, RELOAD
from agent.simulation.servers import Triton, Vllm, simulated_servers
from agent.simulation.spec import parse_spec
from agent.simulation.vllm import VllmEngine
from agent.simulation.vllm_page import vllm_page

FIXTURES = Path(__file__).parents[2] / "fixtures"
VLLM_FIXTURE = (FIXTURES / "vllm/vllm_0.33.0_dp1_t0.txt").read_text()
TRITON_FIXTURE = (FIXTURES / "triton/triton_2.51.0_cpu_t0.txt").read_text()
LEFT_OUT = ("python_", "process_")
"""Families of the Python runtime, which the simulated vLLM does not tell."""

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
Types = dict[str, str]
Labels = dict[str, set[tuple[str, ...]]]


def vllm(spec: str = "8xH100", seed: int = 0) -> Vllm:
    """Return a vLLM-like server with a fixed date of creation."""
    return Vllm(parse_spec(spec), seed, created=1_700_000_000.0)


def triton(spec: str = "8xH100", seed: int = 0) -> Callable[[float], str]:
    """Return the page of a Triton-like server at moments at which it answers."""
    server = Triton(parse_spec(spec), seed)

    def page(elapsed: float) -> str:
        text = server.page(elapsed)
        assert text is not None
        return text

    return page


def series(page: str) -> Series:
    """Return every sample of a page."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def value(page: str, name: str, **labels: str) -> float:
    """Return the sum of the samples of one name that have these labels."""
    return sum(
        number
        for (sample, own), number in series(page).items()
        if sample == name and labels.items() <= dict(own).items()
    )


def counts(page: str) -> Series:
    """Return the samples that only ever rise."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        if family.type in ("counter", "histogram", "summary")
        for sample in family.samples
    }


def schema(page: str) -> tuple[Types, Labels]:
    """Return the type of each family, and the sets of label names that each sample name has."""
    types: Types = {}
    labels: Labels = {}
    for family in text_string_to_metric_families(page):
        if family.name.startswith(LEFT_OUT):
            continue
        types[family.name] = family.type
        for sample in family.samples:
            labels.setdefault(sample.name, set()).add(tuple(sorted(sample.labels)))
    return types, labels


def bounds(page: str) -> dict[str, set[str]]:
    """Return the bounds of each histogram, as they are written."""
    found: dict[str, set[str]] = {}
    for name, labels in series(page):
        if name.endswith("_bucket"):
            found.setdefault(name, set()).add(dict(labels)["le"])
    return found


def test_vllm_page_has_the_shape_of_the_real_one() -> None:
    """Every family of vLLM 0.33 is there, with its type, labels and bounds, and no other."""
    page = vllm().page(60.0)

    assert schema(page) == schema(VLLM_FIXTURE)
    assert bounds(page) == bounds(VLLM_FIXTURE)


def test_triton_page_has_the_shape_of_the_real_one() -> None:
    """Every family of Triton 2.51 is there, with its type and labels, and no other."""
    assert schema(triton()(60.0)) == schema(TRITON_FIXTURE)


def test_label_values_are_those_of_the_real_servers() -> None:
    """Reasons, sources and states are the words of the real servers."""
    for page, fixture in ((vllm().page(90.0), VLLM_FIXTURE), (triton()(90.0), TRITON_FIXTURE)):
        for label in ("reason", "finished_reason", "source", "sleep_state", "handler", "status"):
            words, real = (
                {(name, dict(labels)[label]) for name, labels in series(p) if label in dict(labels)}
                for p in (page, fixture)
            )
            assert words == real


@settings(max_examples=10, deadline=None)
@given(
    steps=st.lists(st.floats(0, 60, allow_nan=False), min_size=1, max_size=6),
    spec=st.sampled_from(["1xT4", "2xL40S", "8xH100"]),
)
def test_vllm_never_counts_backwards_and_does_not_depend_on_the_scraper(
    steps: list[float], spec: str
) -> None:
    """Counts rise at every scrape, and end where they would have ended unscraped."""
    scraped, unscraped = vllm(spec), vllm(spec)
    elapsed, before = 0.0, counts(scraped.page(0.0))

    for step in steps:
        elapsed += step
        after = counts(scraped.page(elapsed))
        assert after.keys() == before.keys()
        assert all(after[key] >= before[key] for key in before)
        before = after

    assert scraped.page(elapsed) == unscraped.page(elapsed)


@settings(max_examples=10, deadline=None)
@given(steps=st.lists(st.floats(0, 40, allow_nan=False), min_size=1, max_size=6))
def test_triton_never_counts_backwards_until_it_is_restarted(steps: list[float]) -> None:
    """Counts rise at every scrape before the reset, and end where they would have ended unscraped."""
    scraped = triton()
    elapsed, before = 0.0, counts(scraped(0.0))

    for step in steps:
        elapsed = min(elapsed + step, FOUND - 0.01)
        after = counts(scraped(elapsed))
        assert after.keys() == before.keys()
        assert all(after[key] >= before[key] for key in before)
        before = after

    assert scraped(elapsed) == triton()(elapsed)


def test_histograms_and_counters_of_vllm_agree() -> None:
    """Buckets ascend to the count, and what is counted twice is counted alike."""
    page = vllm().page(200.0)

    finished = value(page, "vllm:request_success_total")
    assert finished > 300
    for name in ("vllm:e2e_request_latency_seconds", "vllm:request_queue_time_seconds"):
        assert value(page, f"{name}_count") == finished
        assert value(page, f"{name}_bucket", le="+Inf") == finished
    assert value(page, "vllm:time_to_first_token_seconds_count") >= finished
    tokens = value(page, "vllm:generation_tokens_total")
    firsts = value(page, "vllm:time_to_first_token_seconds_count")
    assert value(page, "vllm:inter_token_latency_seconds_count") == tokens - firsts
    parts = value(page, "vllm:prompt_tokens_by_source_total")
    assert parts == value(page, "vllm:prompt_tokens_total")
    assert 0 < value(page, "vllm:kv_cache_usage_perc") < 1
    assert value(page, "http_requests_total", status="2xx") == finished


def mean(page: str, earlier: str, name: str) -> float:
    """Return the mean of a histogram between two pages."""
    total = value(page, f"{name}_sum") - value(earlier, f"{name}_sum")
    return total / (value(page, f"{name}_count") - value(earlier, f"{name}_count"))


def test_hot_gpu_makes_its_server_slow() -> None:
    """While its GPU is throttled, vLLM needs longer per token than before and after."""
    server = vllm()
    start, cool, hot_from, hot, free, after = (
        server.page(second) for second in (0.0, 40.0, 60.0, 130.0, 170.0, 240.0)
    )

    between_tokens = "vllm:inter_token_latency_seconds"
    slow = mean(hot, hot_from, between_tokens)
    assert slow > 1.3 * mean(cool, start, between_tokens)
    assert slow > 1.3 * mean(after, free, between_tokens)
    assert mean(hot, hot_from, "vllm:e2e_request_latency_seconds") > 1.3 * mean(
        after, free, "vllm:e2e_request_latency_seconds"
    )
    assert value(hot, "vllm:num_requests_waiting") > value(after, "vllm:num_requests_waiting")


def test_overloaded_server_refuses_what_its_queue_cannot_hold() -> None:
    """A server that is far too slow lets a bounded number wait and counts the others as refused."""
    engine = VllmEngine(seed=0, speed=lambda _: 0.0)

    engine.advance(200.0)
    page = vllm_page(engine, created=0.0)

    assert value(page, "vllm:num_requests_waiting") == 256
    assert value(page, "vllm:num_requests_running") == 32
    assert value(page, "vllm:admission_rejections_total") > 0


def test_server_on_a_gpu_that_never_falls_is_always_well() -> None:
    """A single GPU has no fall in its play: Triton answers all the time and fails nothing."""
    page = triton("1xT4")

    around_the_fall = [page(second) for second in (100.0, 200.0, 244.0, 400.0)]

    successes = [value(p, "nv_inference_request_success_total") for p in around_the_fall]
    assert successes == sorted(set(successes))
    assert value(around_the_fall[-1], "nv_inference_request_failure_total") == 0


def test_lost_gpu_makes_its_server_fail_and_restart() -> None:
    """Without its GPU Triton serves nothing and fails requests; it is away, and counts from zero again."""
    server = Triton(parse_spec("8xH100"), seed=0)

    well, lost, late = (server.page(second) for second in (149.0, 160.0, 230.0))
    loading = [server.page(FOUND), server.page(FOUND + RELOAD - 0.01)]
    again = server.page(FOUND + RELOAD)
    later = server.page(PERIOD)

    assert well
    assert lost
    assert late
    assert again
    assert later
    assert value(well, "nv_inference_request_failure_total") == 0
    assert value(lost, "nv_inference_pending_request_count") > value(
        well, "nv_inference_pending_request_count"
    )
    assert value(lost, "nv_inference_request_failure_total", reason="BACKEND") > 0
    success = "nv_inference_request_success_total"
    assert value(late, success) - value(lost, success) == 0
    assert loading == [None, None]
    assert set(counts(again).values()) == {0.0}
    assert value(later, success) > 0
    assert value(later, "nv_inference_request_failure_total") == 0


def test_queue_and_stages_of_triton_make_up_the_duration() -> None:
    """The duration of requests is no less than what was spent on their stages."""
    page = triton()(100.0)

    stages = sum(
        value(page, f"nv_inference_{stage}_duration_us_total", model="resnet")
        for stage in ("queue", "compute_input", "compute_infer", "compute_output")
    )
    assert value(page, "nv_inference_request_duration_us_total", model="resnet") == stages > 0


async def test_servers_answer_on_loopback_and_are_gone_afterwards() -> None:
    """Each address gives a page as long as the context lasts, and what befalls the clock befalls it."""
    now = 10.0
    async with (
        aiohttp.ClientSession() as client,
        simulated_servers("2xH100", clock=lambda: now) as servers,
    ):
        pages = []
        for server in servers:
            async with client.get(server.url) as response:
                assert response.status == 200
                pages.append(await response.text())
        now += FOUND + 1
        async with client.get(servers[1].url) as response:
            assert response.status == 503

    assert [server.profile for server in servers] == ["vllm", "triton"]
    assert all(server.url.startswith("http://127.0.0.1:") for server in servers)
    assert "vllm:num_requests_running" in pages[0]
    assert "nv_inference_count" in pages[1]
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(servers[0].url)


async def test_node_that_cannot_be_simulated_starts_nothing() -> None:
    """A bad spec is refused with the form to write."""
    with pytest.raises(ValueError, match="write COUNTxMODEL"):
        async with simulated_servers("8 GPUs, please"):
            pass


@given(st.lists(st.tuples(st.floats(-5, 50), st.integers(1, 9)), max_size=30))
def test_histogram_counts_values_up_to_and_with_the_bound(
    observations: list[tuple[float, int]],
) -> None:
    """A bucket holds what is not above its bound, as Prometheus has it."""
    histogram = Histogram((1.0, 5.0, 25.0))

    for number, times in observations:
        histogram.observe(number, times)

    for bound, count in histogram.cumulative():
        assert count == sum(times for number, times in observations if number <= float(bound))
    assert histogram.count == sum(times for _, times in observations)
