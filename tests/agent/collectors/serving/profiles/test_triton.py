import pytest

from agent.catalogue import serving
from agent.collectors.serving.detection import detect
from agent.collectors.serving.profiles.triton import TRITON
from agent.collectors.serving.profiles.vllm import VLLM
from agent.snapshot import Distribution
from tests.agent.collectors.serving.pages import captured, reasons, translate, values
from tests.agent.collectors.serving.tables import table

T0 = "triton/triton_2.51.0_cpu_t0.txt"
T1 = "triton/triton_2.51.0_cpu_t1.txt"
OLD = "triton/datadog_triton_t4_partial.txt"
RESNET = ("resnet", "1", "")
BERT = ("bert", "1", "")


def test_microseconds_and_successes_become_a_mean() -> None:
    """Duration and queue have no bounds: seconds in all, and how many requests."""
    readings, problems = translate(TRITON, captured(T1))

    assert problems == ()
    assert values(readings, serving.REQUEST_DURATION) == {
        RESNET: Distribution((), (105,), 1.330624),
        BERT: Distribution((), (20,), 0.144192),
    }
    assert values(readings, serving.QUEUE_DURATION) == {
        RESNET: Distribution((), (105,), 0.125167),
        BERT: Distribution((), (20,), 0.017694),
    }


def test_between_two_scrapes_the_mean_is_that_of_the_requests_between() -> None:
    """25 requests of resnet took 0.233828 s."""
    (early, _), (late, _) = (translate(TRITON, captured(name)) for name in (T0, T1))

    before = values(early, serving.REQUEST_DURATION)[RESNET]
    after = values(late, serving.REQUEST_DURATION)[RESNET]

    assert isinstance(before, Distribution)
    assert isinstance(after, Distribution)
    assert after.observations - before.observations == 25
    assert after.sum - before.sum == pytest.approx(0.233828)


def test_a_page_gives_what_the_table_says() -> None:
    """Every reading of a captured page, and nothing else; errors of a Python back end are successes."""
    zeros = {
        ("inference.requests.finished", *model, reason): 0
        for model in (RESNET, BERT)
        for reason in ("abort", "error", "rejected")
    } | {
        ("inference.requests.errors", *model, kind): 0
        for model in (RESNET, BERT)
        for kind in ("BACKEND", "OTHER", "REJECTED")
    }

    assert table(TRITON, captured(T0)) == zeros | {
        ("inference.server.info", *RESNET, "", "", ""): 1,
        ("inference.server.info", *BERT, "", "", ""): 1,
        ("inference.requests.waiting", *RESNET): 0,
        ("inference.requests.waiting", *BERT): 0,
        ("inference.requests.finished", *RESNET, "success"): 80,
        ("inference.requests.finished", *BERT, "success"): 20,
        ("inference.requests.rejected", *RESNET, "REJECTED"): 0,
        ("inference.requests.rejected", *BERT, "REJECTED"): 0,
        ("gen_ai.server.request.duration", *RESNET): (80, 1.096796),
        ("gen_ai.server.request.duration", *BERT): (20, 0.144192),
        ("inference.queue.duration", *RESNET): (80, 0.046883),
        ("inference.queue.duration", *BERT): (20, 0.017694),
        ("inference.compute.duration", *RESNET): (80, 0.98796),
        ("inference.compute.duration", *BERT): (20, 0.12147),
        ("inference.batch.size", *RESNET): (10, 80.0),
        ("inference.batch.size", *BERT): (3, 6.0),
        ("inference.response_cache.queries", *BERT): 19,
        ("inference.response_cache.hits", *BERT): 14,
    }


def test_between_two_pages_only_what_happened_grows() -> None:
    """25 requests of one model, each executed alone; the other model was not asked."""
    early, late = table(TRITON, captured(T0)), table(TRITON, captured(T1))

    changed = {key: late[key] for key in late if late[key] != early[key]}

    assert changed == {
        ("inference.requests.finished", *RESNET, "success"): 105,
        ("gen_ai.server.request.duration", *RESNET): (105, 1.330624),
        ("inference.queue.duration", *RESNET): (105, 0.125167),
        ("inference.compute.duration", *RESNET): (105, 1.132008),
        ("inference.batch.size", *RESNET): (35, 105.0),
    }


def test_what_a_client_cancelled_is_no_error() -> None:
    """Each reason is told in the catalogue's words, and errors in Triton's."""
    text = "".join(
        f'nv_inference_request_failure{{model="m",reason="{reason}",version="1"}} {count}\n'
        for reason, count in (("CANCELED", 1), ("REJECTED", 2), ("BACKEND", 3), ("OTHER", 4))
    )
    model = ("m", "1", "")

    assert table(TRITON, text) == {
        ("inference.requests.finished", *model, "abort"): 1,
        ("inference.requests.finished", *model, "rejected"): 2,
        ("inference.requests.finished", *model, "error"): 7,
        ("inference.requests.errors", *model, "REJECTED"): 2,
        ("inference.requests.errors", *model, "BACKEND"): 3,
        ("inference.requests.errors", *model, "OTHER"): 4,
        ("inference.requests.rejected", *model, "REJECTED"): 2,
    }


def test_summaries_stay_summaries() -> None:
    """Where they are switched on, quantiles of the window are told beside the mean."""
    readings, problems = translate(TRITON, captured(OLD))

    assert problems == ()
    assert values(readings, serving.REQUEST_DURATION_QUANTILES)["densenet_onnx", "1", ""] == (
        Distribution(
            (), (3,), 1.327965, None, tuple((q, 3e-6) for q in (0.5, 0.9, 0.95, 0.99, 0.999))
        )
    )


TRT_LLM = "".join(
    f'nv_trt_llm_{family}_metrics{{model="tensorrt_llm",{label}="{kind}",version="1"}} {value}\n'
    for family, label, kind, value in (
        ("request", "request_type", "waiting", 3),
        ("request", "request_type", "context", 1),
        ("request", "request_type", "scheduled", 4),
        ("request", "request_type", "max", 512),
        ("request", "request_type", "active", 7),
        ("kv_cache_block", "kv_cache_block_type", "tokens_per", 64),
        ("kv_cache_block", "kv_cache_block_type", "used", 1),
        ("kv_cache_block", "kv_cache_block_type", "free", 6239),
        ("kv_cache_block", "kv_cache_block_type", "max", 6240),
        ("inflight_batcher", "inflight_batcher_specific_metric", "generation_requests", 2),
        ("general", "general_type", "timestamp", 1700074049),
    )
)


def test_tensorrt_llm_tells_by_labels() -> None:
    """Its queue is beside Triton's; the share is computed where the release does not tell it."""
    engine = ("tensorrt_llm", "1", "")
    pending = 'nv_inference_pending_request_count{model="tensorrt_llm",version="1"} 2\n'
    share = (
        'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",'
        'model="tensorrt_llm",version="1"} 0.25\n'
    )
    expected = {
        ("inference.server.info", *engine, "", "", ""): 1,
        ("inference.requests.running", *engine): 4,
        ("inference.requests.waiting", *engine): 5,
        ("inference.kv_cache.utilization", *engine): 1 / 6240,
        ("inference.kv_cache.capacity", *engine): 399_360,
    }

    assert table(TRITON, TRT_LLM + pending) == expected
    assert table(TRITON, TRT_LLM + pending + share) == expected | {
        ("inference.kv_cache.utilization", *engine): 0.25
    }


def test_vllm_as_a_back_end_is_read_as_vllm() -> None:
    """The page is of both; vLLM's families have Triton's labels, and a provider of their own."""
    text = captured(T0) + (
        "# TYPE vllm:prompt_tokens_total counter\n"
        'vllm:prompt_tokens_total{model="vllm_model",version="1"} 10\n'
        "# TYPE vllm:time_per_output_token_seconds histogram\n"
        'vllm:time_per_output_token_seconds_count{model="vllm_model",version="1"} 15\n'
        'vllm:time_per_output_token_seconds_sum{model="vllm_model",version="1"} 0.045\n'
        'vllm:time_per_output_token_seconds_bucket{model="vllm_model",version="1",le="0.01"} 14\n'
        'vllm:time_per_output_token_seconds_bucket{model="vllm_model",version="1",le="+Inf"} 15\n'
    )

    assert [profile.name for profile in detect(text)] == ["triton", "vllm"]
    assert table(VLLM, text) == {
        ("inference.server.info", "vllm_model", "1", "", "", "", ""): 1,
        ("inference.tokens.prompt", "vllm_model", "1", ""): 10,
        ("inference.inter_token_latency", "vllm_model", "1", ""): (15, 0.045),
    }


def test_failures_without_a_reason_are_failures() -> None:
    """Older releases tell only that requests failed."""
    readings, problems = translate(TRITON, captured(OLD))

    assert problems == ()
    assert {key[3] for key in values(readings, serving.REQUESTS_ERRORS)} == {"failure"}
    assert values(readings, serving.REQUESTS_FINISHED)["densenet_onnx", "1", "", "success"] == 3


def test_waiting_requests_are_those_pending() -> None:
    """The gauge of pending requests, per model and version."""
    readings, _ = translate(TRITON, captured(T1))

    assert values(readings, serving.REQUESTS_WAITING) == {RESNET: 0, BERT: 0}


def test_milliseconds_of_the_first_response_become_seconds() -> None:
    """The histogram of decoupled models keeps its bounds, in seconds."""
    text = "# TYPE nv_inference_first_response_histogram_ms histogram\n" + "".join(
        f"nv_inference_first_response_histogram_ms_{part} {number}\n"
        for part, number in (
            ('count{model="m",version="1"}', 3),
            ('sum{model="m",version="1"}', 900),
            ('bucket{model="m",version="1",le="100"}', 1),
            ('bucket{model="m",version="1",le="500"}', 3),
            ('bucket{model="m",version="1",le="+Inf"}', 3),
        )
    )

    readings, problems = translate(TRITON, text)

    assert problems == ()
    assert values(readings, serving.TIME_TO_FIRST_TOKEN) == {
        ("m", "1", ""): Distribution((0.1, 0.5), (1, 2, 0), 0.9)
    }


def test_time_without_a_count_says_nothing() -> None:
    """Without the counter of successes there is no duration, rather than one of 0 requests."""
    text = 'nv_inference_request_duration_us{model="m",version="1"} 5000\n'

    readings, _ = translate(TRITON, text)

    assert readings == []


def test_a_count_that_is_no_count_is_refused() -> None:
    """Half a request makes no mean."""
    text = (
        'nv_inference_request_duration_us{model="m",version="1"} 5000\n'
        'nv_inference_request_success{model="m",version="1"} 1.5\n'
    )

    readings, problems = translate(TRITON, text)

    assert values(readings, serving.REQUEST_DURATION) == {}
    assert reasons(problems) == {"malformed_histogram"}


@pytest.mark.parametrize("name", [T0, T1, OLD])
def test_its_pages_are_recognised(name: str) -> None:
    """Triton is told by its names; one without a loaded model too; one with vLLM inside as well."""
    text = captured(name)
    empty = "\n".join(line for line in text.splitlines() if "nv_inference_" not in line)

    assert detect(text)[0] is TRITON
    assert detect(empty) == (TRITON,)
    assert detect(f'{text}vllm:num_requests_running{{model="m",version="1"}} 1\n')[0] is TRITON
