"""Servers of which there is no captured page: pages written from what is documented of them."""

import pytest

from agent.catalogue import serving
from agent.collectors.serving.detection import detect
from agent.collectors.serving.profiles.dynamo import DYNAMO
from agent.collectors.serving.profiles.lmdeploy import LMDEPLOY
from agent.collectors.serving.profiles.tei import TEI
from agent.collectors.serving.profiles.trtllm_serve import TRTLLM_SERVE
from tests.agent.collectors.serving.pages import names, translate, values
from tests.agent.collectors.serving.tables import table

QWEN = ("qwen", "", "0")
NOBODY = ("", "", "")
MODEL = ("m", "", "")


def histogram(family: str, labels: str, count: int, total: float, bound: str = "1") -> str:
    """Write a histogram of one bucket, the sum first as multiprocess mode does."""
    comma = "," if labels else ""
    return (
        f"# TYPE {family} histogram\n"
        f"{family}_sum{{{labels}}} {total}\n"
        f'{family}_bucket{{{labels}{comma}le="{bound}"}} {count}\n'
        f'{family}_bucket{{{labels}{comma}le="+Inf"}} {count}\n'
        f"{family}_count{{{labels}}} {count}\n"
    )


LMDEPLOY_LABELS = 'model_name="qwen",engine="0"'
LMDEPLOY_PAGE = (
    "# TYPE lmdeploy:backend_config_info gauge\n"
    'lmdeploy:backend_config_info{session_len="8192",tp="2"} 1\n'
    "# TYPE lmdeploy:num_requests_succeeded gauge\n"
    f"lmdeploy:num_requests_succeeded{{{LMDEPLOY_LABELS}}} 40\n"
    "# TYPE lmdeploy:num_requests_running gauge\n"
    f"lmdeploy:num_requests_running{{{LMDEPLOY_LABELS}}} 4\n"
    f"lmdeploy:num_requests_waiting{{{LMDEPLOY_LABELS}}} 1\n"
    f"lmdeploy:gpu_cache_usage_perc{{{LMDEPLOY_LABELS}}} 0.25\n"
    f"lmdeploy:prefix_cache_hit_rate{{{LMDEPLOY_LABELS}}} 0.5\n"
    "# TYPE lmdeploy:prompt_tokens_total counter\n"
    f"lmdeploy:prompt_tokens_total{{{LMDEPLOY_LABELS}}} 900\n"
    f"lmdeploy:generation_tokens_total{{{LMDEPLOY_LABELS}}} 700\n"
    f"lmdeploy:cached_tokens_total{{{LMDEPLOY_LABELS}}} 300\n"
    "# TYPE lmdeploy:request_success_total counter\n"
    f'lmdeploy:request_success_total{{{LMDEPLOY_LABELS},finished_reason="ResponseType.SUCCESS"}} 30\n'
    f'lmdeploy:request_success_total{{{LMDEPLOY_LABELS},finished_reason="ResponseType.FINISH"}} 10\n'
    f'lmdeploy:request_success_total{{{LMDEPLOY_LABELS},finished_reason="ResponseType.CANCEL"}} 2\n'
    f"lmdeploy:request_success_total{{{LMDEPLOY_LABELS},"
    'finished_reason="ResponseType.INTERNAL_ENGINE_ERROR"} 1\n'
    f"lmdeploy:request_success_total{{{LMDEPLOY_LABELS},"
    'finished_reason="ResponseType.INPUT_LENGTH_ERROR"} 3\n'
    f'lmdeploy:request_success_total{{{LMDEPLOY_LABELS},finished_reason="ResponseType.NOVEL"}} 0\n'
    + histogram("lmdeploy:time_per_output_token_seconds", LMDEPLOY_LABELS, 650, 6.5)
    + histogram("lmdeploy:iter_token_latency", LMDEPLOY_LABELS, 660, 6.6)
    + histogram("lmdeploy:time_to_first_token_seconds", LMDEPLOY_LABELS, 46, 2.5)
    + histogram("lmdeploy:e2e_request_latency_seconds", LMDEPLOY_LABELS, 46, 60.5)
    + histogram("lmdeploy:request_queue_time_seconds", LMDEPLOY_LABELS, 46, 0.5)
    + histogram("lmdeploy:iteration_tokens_total", LMDEPLOY_LABELS, 660, 1600, "2048")
)


def test_lmdeploy_tells_both_of_its_latencies_per_step() -> None:
    """No family of LMDeploy is a request's time per output token; endings become the vocabulary's."""
    assert table(LMDEPLOY, LMDEPLOY_PAGE) == {
        ("inference.server.info", *QWEN, "", "8192", ""): 1,
        ("inference.requests.running", *QWEN): 4,
        ("inference.requests.waiting", *QWEN): 1,
        ("inference.kv_cache.utilization", *QWEN): 0.25,
        ("inference.requests.finished", *QWEN, "success"): 30 + 10,
        ("inference.requests.finished", *QWEN, "abort"): 2,
        ("inference.requests.finished", *QWEN, "error"): 1 + 3,
        ("inference.requests.finished", *QWEN, "ResponseType.NOVEL"): 0,
        ("inference.requests.errors", *QWEN, "INTERNAL_ENGINE_ERROR"): 1,
        ("inference.requests.errors", *QWEN, "INPUT_LENGTH_ERROR"): 3,
        ("inference.requests.errors", *QWEN, "ResponseType.NOVEL"): 0,
        ("inference.tokens.prompt", *QWEN): 900,
        ("inference.tokens.generated", *QWEN): 700,
        ("inference.tokens.cached", *QWEN): 300,
        ("inference.prefix_cache.queries", *QWEN): 900,
        ("inference.prefix_cache.hits", *QWEN): 300,
        ("inference.inter_token_latency", *QWEN): (660, 6.6),
        ("gen_ai.server.time_to_first_token", *QWEN): (46, 2.5),
        ("gen_ai.server.request.duration", *QWEN): (46, 60.5),
        ("inference.queue.duration", *QWEN): (46, 0.5),
        ("inference.batch.tokens", *QWEN): (660, 1600),
    }


def test_an_older_lmdeploy_has_one_latency_per_step() -> None:
    """Before the family of its own there was only the one that is named as if it were per request."""
    page = LMDEPLOY_PAGE.replace("lmdeploy:iter_token_latency", "lmdeploy:something_else")

    found = table(LMDEPLOY, page)

    assert found["inference.inter_token_latency", *QWEN] == (650, 6.5)
    assert ("gen_ai.server.time_per_output_token", *QWEN) not in found


def test_tei_tells_requests_and_not_their_texts() -> None:
    """Counters end in _count and have no _total; a batch of texts is one request."""
    page = (
        "# TYPE te_request_count counter\n"
        'te_request_count{method="single"} 12\n'
        "# TYPE te_request_success counter\n"
        'te_request_success{method="single"} 8\nte_request_success{method="batch"} 3\n'
        "# TYPE te_embed_count counter\nte_embed_count 90\n"
        "# TYPE te_embed_success counter\nte_embed_success 88\n"
        "# TYPE te_request_failure counter\n"
        'te_request_failure{err="overloaded"} 4\nte_request_failure{err="tokenization"} 1\n'
        'te_request_failure{err="dropped"} 2\n'
        "# TYPE te_queue_size gauge\nte_queue_size 5\n"
        + histogram("te_request_duration", 'method="single"', 8, 0.25)
        + histogram("te_request_duration", 'method="batch"', 3, 0.5).partition("\n")[2]
        + histogram("te_request_queue_duration", "", 11, 0.125)
        + histogram("te_request_inference_duration", "", 11, 0.5)
        + histogram("te_request_input_length", "", 91, 1234, "512")
        + histogram("te_batch_next_size", "", 7, 91, "16")
        + histogram("te_batch_next_tokens", "", 7, 1234, "2048")
    )

    (found,) = detect(page)

    assert found is TEI
    assert table(TEI, page) == {
        ("inference.server.info", *NOBODY, "", "", ""): 1,
        ("inference.requests.waiting", *NOBODY): 5,
        ("inference.requests.finished", *NOBODY, "success"): 11,
        ("inference.requests.finished", *NOBODY, "error"): 1,
        ("inference.requests.finished", *NOBODY, "abort"): 2,
        ("inference.requests.errors", *NOBODY, "overloaded"): 4,
        ("inference.requests.errors", *NOBODY, "tokenization"): 1,
        ("inference.requests.errors", *NOBODY, "dropped"): 2,
        ("inference.requests.rejected", *NOBODY, "overloaded"): 4,
        ("inference.tokens.prompt", *NOBODY): 1234,
        ("gen_ai.server.request.duration", *NOBODY): (11, 0.75),
        ("inference.queue.duration", *NOBODY): (11, 0.125),
        ("inference.compute.duration", *NOBODY): (11, 0.5),
        ("inference.prompt.length", *NOBODY): (91, 1234),
        ("inference.batch.size", *NOBODY): (7, 91),
        ("inference.batch.tokens", *NOBODY): (7, 1234),
    }


ENDPOINT = 'endpoint="chat_completions",model="m",request_type="stream"'
FRONTEND = (
    "# TYPE dynamo_frontend_requests_total counter\n"
    f'dynamo_frontend_requests_total{{{ENDPOINT},error_type="",status="success"}} 50\n'
    f'dynamo_frontend_requests_total{{{ENDPOINT},error_type="cancelled",status="error"}} 3\n'
    f'dynamo_frontend_requests_total{{{ENDPOINT},error_type="internal",status="error"}} 2\n'
    'dynamo_frontend_requests_total{endpoint="chat_completions",model="unknown_model",'
    'request_type="unary",error_type="not_found",status="error"} 1\n'
    "# TYPE dynamo_frontend_active_requests gauge\n"
    'dynamo_frontend_active_requests{model="m"} 6\n'
    "# TYPE dynamo_frontend_inflight_requests gauge\n"
    'dynamo_frontend_inflight_requests{model="m"} 6\n'
    "# TYPE dynamo_frontend_queued_requests gauge\n"
    'dynamo_frontend_queued_requests{model="m"} 2\n'
    "# TYPE dynamo_frontend_output_tokens_total counter\n"
    'dynamo_frontend_output_tokens_total{model="m"} 5000\n'
    "# TYPE dynamo_frontend_detokenize_token_count counter\ndynamo_frontend_detokenize_token_count 7\n"
    "# TYPE dynamo_frontend_model_context_length gauge\n"
    'dynamo_frontend_model_context_length{model="m"} 32768\n'
    + histogram("dynamo_frontend_input_sequence_tokens", 'model="m"', 50, 12000, "0")
    + histogram("dynamo_frontend_output_sequence_tokens", 'model="m"', 50, 4900)
    + histogram("dynamo_frontend_cached_tokens", 'model="m"', 40, 3000)
    + histogram("dynamo_frontend_request_duration_seconds", 'model="m"', 55, 66)
    + histogram("dynamo_frontend_time_to_first_token_seconds", 'model="m"', 52, 5.5)
    + histogram("dynamo_frontend_inter_token_latency_seconds", 'model="m"', 4850, 48.5)
)
OLD_FRONTEND = FRONTEND.replace("dynamo_frontend_", "nv_llm_http_service_")


@pytest.mark.parametrize("page", [FRONTEND, OLD_FRONTEND], ids=["current", "first releases"])
def test_dynamos_front_end_counts_requests_and_tokens(page: str) -> None:
    """A cancelled request is an abort and no error; running requests are taken once, by the new name."""
    (found,) = detect(page)

    assert found.name == DYNAMO.name
    assert table(found, page) == {
        ("inference.server.info", *MODEL, "", "32768", ""): 1,
        ("inference.requests.running", *MODEL): 6,
        ("inference.requests.waiting", *MODEL): 2,
        ("inference.requests.finished", *MODEL, "success"): 50,
        ("inference.requests.finished", *MODEL, "abort"): 3,
        ("inference.requests.finished", *MODEL, "error"): 2,
        ("inference.requests.finished", *NOBODY, "error"): 1,
        ("inference.requests.errors", *MODEL, "internal"): 2,
        ("inference.requests.errors", *NOBODY, "not_found"): 1,
        ("inference.tokens.prompt", *MODEL): 12000,
        ("inference.tokens.generated", *MODEL): 5000,
        ("inference.tokens.cached", *MODEL): 3000,
        ("inference.prefix_cache.queries", *MODEL): 12000,
        ("inference.prefix_cache.hits", *MODEL): 3000,
        ("gen_ai.server.request.duration", *MODEL): (55, 66),
        ("gen_ai.server.time_to_first_token", *MODEL): (52, 5.5),
        ("inference.inter_token_latency", *MODEL): (4850, 48.5),
        ("inference.prompt.length", *MODEL): (50, 12000),
        ("inference.generation.length", *MODEL): (50, 4900),
    }


def test_a_worker_of_dynamo_is_told_beside_its_engine() -> None:
    """The worker's own requests are those of one endpoint; the engine's families are the engine's."""
    of = 'dynamo_namespace="dynamo",dynamo_component="backend",worker_id="7",model="m"'
    page = (
        "# TYPE dynamo_component_requests_total counter\n"
        f'dynamo_component_requests_total{{{of},dynamo_endpoint="generate"}} 42\n'
        f'dynamo_component_requests_total{{{of},dynamo_endpoint="clear_kv_blocks"}} 5\n'
        "# TYPE dynamo_component_inflight_requests gauge\n"
        f'dynamo_component_inflight_requests{{{of},dynamo_endpoint="generate"}} 2\n'
        + histogram(
            "dynamo_component_request_duration_seconds", f'{of},dynamo_endpoint="generate"', 42, 21
        )
        + "# TYPE vllm:kv_cache_usage_perc gauge\n"
        f'vllm:kv_cache_usage_perc{{{of},model_name="m"}} 0.5\n'
        "# TYPE vllm:gpu_cache_usage_perc gauge\n"
        f'vllm:gpu_cache_usage_perc{{{of},model_name="m"}} 0.5\n'
    )
    worker = ("m", "", "7")

    outer, engine = detect(page)

    assert names((outer, engine)) == ["dynamo", "vllm"]
    assert table(outer, page) == {
        ("inference.server.info", *worker, "", "", ""): 1,
        ("inference.requests.running", *worker): 2,
        ("inference.requests.finished", *worker, ""): 42,
        ("gen_ai.server.request.duration", *worker): (42, 21),
    }
    assert table(engine, page) == {("inference.kv_cache.utilization", *worker): 0.5}


def test_tensorrt_llm_behind_an_old_dynamo_has_a_colon() -> None:
    """The prefix was another one, with the same names behind it."""
    page = histogram("trtllm:time_per_output_token_seconds", 'model_name="m"', 9, 0.5)

    (found,) = detect(page)

    assert found.name == TRTLLM_SERVE.name
    assert table(found, page) == {("gen_ai.server.time_per_output_token", *MODEL): (9, 0.5)}


def test_the_info_of_a_first_trtllm_serve_is_by_its_requests() -> None:
    """Releases with five families, none of them a gauge, name their models by those."""
    page = histogram("trtllm_e2e_request_latency_seconds", 'model_name="m"', 9, 0.5)

    assert table(TRTLLM_SERVE, page) == {
        ("inference.server.info", *MODEL, "", "", ""): 1,
        ("gen_ai.server.request.duration", *MODEL): (9, 0.5),
    }


def test_tensorrt_llm_tells_its_configuration() -> None:
    """Maximal length and the cache's type stand in the labels of info families."""
    of = 'model_name="m",engine_type="undefined"'
    page = (
        f'trtllm_model_config_info{{{of},model="/models/m",max_model_len="131072"}} 1\n'
        f'trtllm_kv_cache_config_info{{{of},page_size="32",cache_dtype="fp8"}} 1\n'
        f"trtllm_kv_cache_max_blocks{{{of}}} 100\ntrtllm_kv_cache_tokens_per_block{{{of}}} 32\n"
        "# TYPE trtllm_kv_cache_missed_blocks_total counter\n"
        "# TYPE trtllm_kv_cache_reused_blocks_total counter\n"
        f"trtllm_kv_cache_reused_blocks_total{{{of}}} 4\n"
    )

    assert table(TRTLLM_SERVE, page) == {
        ("inference.server.info", *MODEL, "", "131072", "fp8"): 1,
        ("inference.kv_cache.capacity", *MODEL): 3200,
        ("inference.prefix_cache.queries", *MODEL): 128,
        ("inference.prefix_cache.hits", *MODEL): 128,
    }


def test_hits_without_misses_are_not_all_queries() -> None:
    """Where the family of misses is not on the page at all, nobody knows the queries."""
    page = (
        'trtllm_kv_cache_reused_blocks_total{model_name="m"} 4\n'
        'trtllm_kv_cache_tokens_per_block{model_name="m"} 32\n'
    )

    readings, problems = translate(TRTLLM_SERVE, page)

    assert values(readings, serving.PREFIX_CACHE_QUERIES) == {}
    assert values(readings, serving.PREFIX_CACHE_HITS) == {MODEL: 128}
    assert problems == ()
