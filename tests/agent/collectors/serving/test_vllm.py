import pytest

from agent.catalogue import serving
from agent.collectors.serving.detection import detect
from agent.collectors.serving.profiles.vllm import VLLM
from agent.snapshot import Distribution
from tests.agent.collectors.serving.pages import captured, reasons, translate, values

LLAMA = ("meta-llama/Llama-3.1-8B-Instruct", "", "0")
OPT = ("facebook/opt-125m", "", "")
T0 = "vllm/vllm_0.33.0_dp1_t0.txt"
T1 = "vllm/vllm_0.33.0_dp1_t1.txt"
V0 = "vllm/datadog_vllm_v0_2024-06_partial.txt"


def _histogram(text: str, family: str) -> tuple[float, float]:
    """Return _count and _sum of a family with one series, read without any parser."""
    found = {
        line.partition("{")[0].rsplit("_", 1)[1]: float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith((f"{family}_count", f"{family}_sum"))
    }
    return found["count"], found["sum"]


@pytest.mark.parametrize("name", [T0, T1, "vllm/vllm_0.33.0_dp1_t2_drifted.txt"])
def test_a_current_page_gives_every_signal(name: str) -> None:
    """Each metric of the catalogue's serving group that vLLM has is there, with the server's values."""
    text = captured(name)

    readings, problems = translate(VLLM, text)

    assert problems == ()
    assert {reading.metric for reading in readings} == set(serving.METRICS) - {
        serving.SERVER_UP,
        serving.SCRAPE_DURATION,
    }
    assert {reading.attributes[:2] for reading in readings} == {("chat", "vllm")}
    for metric, family in (
        (serving.REQUEST_DURATION, "vllm:e2e_request_latency_seconds"),
        (serving.TIME_TO_FIRST_TOKEN, "vllm:time_to_first_token_seconds"),
        (serving.TIME_PER_OUTPUT_TOKEN, "vllm:request_time_per_output_token_seconds"),
        (serving.INTER_TOKEN_LATENCY, "vllm:inter_token_latency_seconds"),
        (serving.QUEUE_DURATION, "vllm:request_queue_time_seconds"),
    ):
        found = values(readings, metric)[LLAMA]
        assert isinstance(found, Distribution)
        assert (found.observations, found.sum) == _histogram(text, family)


def test_values_of_a_known_page() -> None:
    """The numbers of the page stand at the right metrics, with the right attributes."""
    readings, _ = translate(VLLM, captured(T1))

    assert values(readings, serving.REQUESTS_RUNNING) == {LLAMA: 7}
    assert values(readings, serving.REQUESTS_WAITING) == {LLAMA: 0}
    assert values(readings, serving.KV_CACHE_UTILIZATION) == {LLAMA: 0.44444472573460725}
    assert values(readings, serving.TOKENS_PROMPT) == {LLAMA: 94665}
    assert values(readings, serving.TOKENS_GENERATED) == {LLAMA: 27311}
    assert values(readings, serving.PREEMPTIONS) == {LLAMA: 0}
    assert values(readings, serving.REQUESTS_FINISHED) == {
        (*LLAMA, "stop"): 96,
        (*LLAMA, "length"): 19,
        (*LLAMA, "abort"): 0,
        (*LLAMA, "error"): 0,
        (*LLAMA, "repetition"): 0,
    }


def test_histograms_keep_the_servers_bounds() -> None:
    """Nothing is re-binned: the bounds are those of the page, infinity left out."""
    readings, _ = translate(VLLM, captured(T1))

    found = values(readings, serving.REQUEST_DURATION)[LLAMA]

    assert isinstance(found, Distribution)
    assert found.bounds[:4] == (0.3, 0.5, 0.8, 1.0)
    assert found.bounds[-1] == 7680
    assert len(found.counts) == len(found.bounds) + 1 == 22


def test_requests_that_never_reach_the_engine_are_errors_without_a_model() -> None:
    """What the HTTP front end refuses is kept apart from what the engine fails on."""
    readings, _ = translate(VLLM, captured(T1))

    assert values(readings, serving.REQUESTS_ERRORS) == {
        (*LLAMA, "error"): 0,
        ("", "", "", "4xx"): 5,
    }


def test_http_errors_are_added_over_handlers_and_only_posts_count() -> None:
    """A GET of a page that is not there is nobody's inference."""
    text = "".join(
        f'http_requests_total{{handler="{handler}",method="{method}",status="{status}"}} {count}\n'
        for handler, method, status, count in (
            ("/v1/completions", "POST", "4xx", 1),
            ("/v1/chat/completions", "POST", "4xx", 2),
            ("/v1/chat/completions", "POST", "5xx", 4),
            ("/v1/chat/completions", "POST", "2xx", 8),
            ("none", "GET", "4xx", 16),
        )
    )

    readings, _ = translate(VLLM, text)

    assert values(readings, serving.REQUESTS_ERRORS) == {
        ("", "", "", "4xx"): 3,
        ("", "", "", "5xx"): 4,
    }


def test_v0_names_are_known() -> None:
    """The first release's page gives what it has; what came later is absent, not 0."""
    readings, problems = translate(VLLM, captured(V0))

    assert problems == ()
    assert values(readings, serving.KV_CACHE_UTILIZATION) == {OPT: 0}
    assert values(readings, serving.REQUESTS_FINISHED) == {(*OPT, "length"): 1}
    assert values(readings, serving.REQUESTS_ERRORS) == {}
    assert values(readings, serving.QUEUE_DURATION) == {}


def test_the_time_per_step_is_never_the_time_per_token_of_a_request() -> None:
    """V0's time_per_output_token_seconds is inter-token latency under its former name."""
    readings, _ = translate(VLLM, captured(V0))

    steps = values(readings, serving.INTER_TOKEN_LATENCY)[OPT]
    assert isinstance(steps, Distribution)
    assert (steps.observations, steps.sum) == (6, 0.19016313552856445)
    assert values(readings, serving.TIME_PER_OUTPUT_TOKEN) == {}


def test_the_newest_name_wins() -> None:
    """A release that has both names of a signal gives it once."""
    text = 'vllm:gpu_cache_usage_perc{model_name="m"} 0.1\nvllm:kv_cache_usage_perc{model_name="m"} 0.2\n'

    readings, problems = translate(VLLM, text)

    assert values(readings, serving.KV_CACHE_UTILIZATION) == {("m", "", ""): 0.2}
    assert problems == ()


def test_engines_and_models_are_kept_apart() -> None:
    """Each data-parallel engine and each model has its own series."""
    text = "".join(
        f'vllm:num_requests_running{{engine="{engine}",model_name="{model}"}} {number}\n'
        for engine, model, number in (("0", "a", 1), ("1", "a", 2), ("0", "b", 3))
    )

    readings, _ = translate(VLLM, text)

    assert values(readings, serving.REQUESTS_RUNNING) == {
        ("a", "", "0"): 1,
        ("a", "", "1"): 2,
        ("b", "", "0"): 3,
    }


def test_minus_one_is_no_value() -> None:
    """V0's way to say that something is switched off is absent, and counted."""
    text = (
        'vllm:gpu_cache_usage_perc{model_name="m"} -1.0\n'
        'vllm:num_requests_running{model_name="m"} -1\n'
        'vllm:num_requests_waiting{model_name="m"} 2\n'
    )

    readings, problems = translate(VLLM, text)

    assert [reading.value for reading in readings] == [2]
    assert reasons(problems) == {"negative"}
    assert len(problems) == 2


@pytest.mark.parametrize(
    "name", [T0, V0, "vllm/datadog_vllm_hybrid_v0_v1_partial.txt"], ids=["0.33", "V0", "hybrid"]
)
def test_its_pages_are_recognised(name: str) -> None:
    """A vLLM server is told by its names, in every release."""
    assert detect(captured(name))[0].name == "vllm"
