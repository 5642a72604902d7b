"""Servers of language models: what their captured pages say, against tables written by hand."""

import pytest

from agent.collectors.serving.detection import detect
from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles.llamacpp import LLAMACPP
from agent.collectors.serving.profiles.nim import NIM
from agent.collectors.serving.profiles.sglang import SGLANG
from agent.collectors.serving.profiles.tgi import TGI
from agent.collectors.serving.profiles.trtllm_serve import TRTLLM_SERVE
from agent.collectors.serving.profiles.vllm import VLLM
from tests.agent.collectors.serving.pages import captured
from tests.agent.collectors.serving.tables import Told, table

QWEN = ("Qwen/Qwen3-8B", "", "")
TINY = ("TinyLlama-1.1B", "", "")
META = ("meta/llama-3.1-8b-instruct", "", "")
LLAMA = ("meta-llama/Llama-3.1-8B-Instruct", "", "0")
OPT = ("facebook/opt-125m", "", "")
RAY = (
    "neuralmagic/Meta-Llama-3.1-70B-Instruct-FP8",
    "",
    "6ad5887a3c1c6cefcfa31b4f9a55bdca247686ca9bcd217726128dc8",
)
NOBODY = ("", "", "")
NO_FACTS = ("", "", "")
V0: dict[tuple[str, ...], float | tuple[int, float]] = {
    ("inference.server.info", *OPT, "", "", "auto"): 1,
    ("inference.requests.running", *OPT): 0,
    ("inference.requests.waiting", *OPT): 0,
    ("inference.kv_cache.utilization", *OPT): 0,
    ("inference.kv_cache.capacity", *OPT): 7281 * 16,
    ("inference.requests.finished", *OPT, "length"): 1,
    ("inference.preemptions", *OPT): 0,
    ("inference.tokens.prompt", *OPT): 5,
    ("inference.tokens.generated", *OPT): 7,
    ("gen_ai.server.request.duration", *OPT): (1, 0.50343),
    ("gen_ai.server.time_to_first_token", *OPT): (1, 0.313267),
    ("inference.inter_token_latency", *OPT): (6, 0.190163),
    ("inference.prompt.length", *OPT): (1, 5),
    ("inference.generation.length", *OPT): (1, 7),
}

PAGES: list[tuple[Profile, str, dict[tuple[str, ...], Told]]] = [
    (
        SGLANG,
        "sglang/sglang_0.5.23_t0.txt",
        {
            ("inference.server.info", *QWEN, *NO_FACTS): 1,
            ("inference.requests.running", *QWEN): 3,
            ("inference.requests.waiting", *QWEN): 1,
            ("inference.kv_cache.utilization", *QWEN): 0.10589432819565406,
            ("inference.requests.finished", *QWEN, ""): 48 + 12,
            ("inference.requests.errors", *QWEN, "abort"): 1,
            ("inference.tokens.prompt", *QWEN): 32715 + 12177,
            ("inference.tokens.generated", *QWEN): 10060 + 1588,
            ("inference.tokens.cached", *QWEN): 9984,
            ("inference.prefix_cache.queries", *QWEN): 32715 + 12177,
            ("inference.prefix_cache.hits", *QWEN): 9984,
            ("gen_ai.server.request.duration", *QWEN): (60, 132.211249),
            ("gen_ai.server.time_to_first_token", *QWEN): (60, 4.743249),
            ("gen_ai.server.time_per_output_token", *QWEN): (60, 0.66),
            ("inference.inter_token_latency", *QWEN): (11360, 131.456436),
            ("inference.queue.duration", *QWEN): (60, 2.045409),
            ("inference.prompt.length", *QWEN): (60, 44892),
            ("inference.generation.length", *QWEN): (60, 11648),
            ("inference.lora.adapters.running", *QWEN): 2,
            ("inference.lora.adapters.limit", *QWEN): 8,
        },
    ),
    (
        TGI,
        "synthetic/tgi_v3.3_synthetic.txt",
        {
            ("inference.server.info", *NOBODY, *NO_FACTS): 1,
            ("inference.requests.running", *NOBODY): 3,
            ("inference.requests.waiting", *NOBODY): 1,
            ("inference.kv_cache.utilization", *NOBODY): 5321 / 131072,
            ("inference.kv_cache.capacity", *NOBODY): 131072,
            ("inference.requests.finished", *NOBODY, "success"): 60,
            ("inference.requests.finished", *NOBODY, "error"): 1,
            ("inference.requests.errors", *NOBODY, "overloaded"): 2,
            ("inference.requests.errors", *NOBODY, "validation"): 1,
            ("inference.requests.rejected", *NOBODY, "overloaded"): 2,
            ("inference.tokens.prompt", *NOBODY): 31718,
            ("inference.tokens.generated", *NOBODY): 8656,
            ("gen_ai.server.request.duration", *NOBODY): (60, 129.38348),
            ("inference.queue.duration", *NOBODY): (60, 1.843277),
            ("inference.compute.duration", *NOBODY): (60, 127.505621),
            ("inference.prompt.length", *NOBODY): (60, 31718),
            ("inference.generation.length", *NOBODY): (60, 8656),
        },
    ),
    (
        TRTLLM_SERVE,
        "synthetic/trtllm_serve_main_synthetic.txt",
        {
            ("inference.server.info", *TINY, *NO_FACTS): 1,
            ("inference.requests.running", *TINY): 3,
            ("inference.requests.waiting", *TINY): 0,
            ("inference.kv_cache.utilization", *TINY): 0.113,
            ("inference.kv_cache.capacity", *TINY): 4101 * 32,
            ("inference.requests.finished", *TINY, "stop"): 48,
            ("inference.requests.finished", *TINY, "length"): 12,
            ("inference.requests.errors", *TINY, "400"): 2,
            ("inference.tokens.prompt", *TINY): 31718,
            ("inference.tokens.generated", *TINY): 8656,
            ("inference.tokens.cached", *TINY): 13120,
            ("inference.prefix_cache.queries", *TINY): (410 + 902) * 32,
            ("inference.prefix_cache.hits", *TINY): 410 * 32,
            ("gen_ai.server.request.duration", *TINY): (60, 130.548898),
            ("gen_ai.server.time_to_first_token", *TINY): (60, 3.043277),
            ("gen_ai.server.time_per_output_token", *TINY): (60, 1.27589),
            ("inference.queue.duration", *TINY): (60, 1.843277),
            ("inference.prefill.duration", *TINY): (60, 1.2),
            ("inference.decode.duration", *TINY): (60, 127.505621),
        },
    ),
    (
        NIM,
        "nvidia_nim/datadog_nim_llama31_8b.txt",
        {
            ("inference.server.info", *META, *NO_FACTS): 1,
            ("inference.requests.running", *META): 1,
            ("inference.requests.waiting", *META): 0,
            ("inference.kv_cache.utilization", *META): 0.0002848191398461977,
            ("inference.requests.finished", *META, "length"): 5,
            ("inference.requests.errors", *META, "failure"): 0,
            ("inference.tokens.prompt", *META): 109,
            ("inference.tokens.generated", *META): 174,
            ("gen_ai.server.request.duration", *META): (5, 2.46884),
            ("gen_ai.server.time_to_first_token", *META): (5, 0.611984),
            ("inference.inter_token_latency", *META): (169, 1.856856),
            ("inference.prompt.length", *META): (5, 109),
            ("inference.generation.length", *META): (5, 174),
        },
    ),
    (
        LLAMACPP,
        "synthetic/llamacpp_2026_synthetic.txt",
        {
            ("inference.server.info", *NOBODY, *NO_FACTS): 1,
            ("inference.requests.running", *NOBODY): 2,
            ("inference.requests.waiting", *NOBODY): 1,
            ("inference.tokens.prompt", *NOBODY): 18211,
            ("inference.tokens.generated", *NOBODY): 9127,
            ("inference.inter_token_latency", *NOBODY): (9127, 301.77),
        },
    ),
    (
        VLLM,
        "vllm/vllm_0.33.0_dp1_t2_drifted.txt",
        {
            ("inference.server.info", *LLAMA, "", "", "auto"): 1,
            ("inference.requests.running", *LLAMA): 10,
            ("inference.requests.waiting", *LLAMA): 2,
            ("inference.kv_cache.utilization", *LLAMA): 0.43631616402663953,
            ("inference.kv_cache.capacity", *LLAMA): 28123 * 16,
            ("inference.requests.finished", *LLAMA, "stop"): 123,
            ("inference.requests.finished", *LLAMA, "length"): 25,
            ("inference.requests.finished", *LLAMA, "abort"): 0,
            ("inference.requests.finished", *LLAMA, "error"): 0,
            ("inference.requests.finished", *LLAMA, "repetition"): 0,
            ("inference.requests.errors", *LLAMA, "error"): 0,
            ("inference.requests.errors", *NOBODY, "4xx"): 6,
            ("inference.requests.rejected", *LLAMA[:2], "", "max_num_queued_reqs"): 0,
            ("inference.requests.rejected", *LLAMA[:2], "", "max_num_queued_tokens"): 0,
            ("inference.preemptions", *LLAMA): 0,
            ("inference.tokens.prompt", *LLAMA): 211631,
            ("inference.tokens.generated", *LLAMA): 33991,
            ("inference.tokens.cached", *LLAMA): 52304,
            ("inference.prefix_cache.queries", *LLAMA): 211631,
            ("inference.prefix_cache.hits", *LLAMA): 52304,
            ("gen_ai.server.request.duration", *LLAMA): (148, 491.117049),
            ("gen_ai.server.time_to_first_token", *LLAMA): (148, 23.019304),
            ("gen_ai.server.time_per_output_token", *LLAMA): (148, 2.132063),
            ("inference.inter_token_latency", *LLAMA): (33843, 514.276326),
            ("inference.queue.duration", *LLAMA): (148, 9.828044),
            ("inference.prefill.duration", *LLAMA): (148, 13.19126),
            ("inference.decode.duration", *LLAMA): (148, 468.097745),
            ("inference.prompt.length", *LLAMA): (148, 211631),
            ("inference.generation.length", *LLAMA): (148, 33991),
            ("inference.batch.tokens", *LLAMA): (70, 193318),
        },
    ),
    (VLLM, "vllm/datadog_vllm_v0_2024-06_partial.txt", V0),
    (
        VLLM,
        "vllm/datadog_vllm_hybrid_v0_v1_partial.txt",
        {
            **V0,
            ("inference.tokens.cached", *OPT): 64,
            ("inference.prefix_cache.queries", *OPT): 117,
            ("inference.prefix_cache.hits", *OPT): 64,
        },
    ),
    (
        VLLM,
        "vllm/datadog_ray_vllm_2024-12_partial.txt",
        {
            ("inference.server.info", *RAY, *NO_FACTS): 1,
            ("inference.requests.running", *RAY): 0,
            ("inference.requests.waiting", *RAY): 0,
            ("inference.kv_cache.utilization", *RAY): 5.882698982295764e-05,
            ("inference.tokens.prompt", *RAY): 58,
            ("inference.tokens.generated", *RAY): 300,
            ("inference.inter_token_latency", *RAY): (299, 16.178538),
        },
    ),
]


@pytest.mark.parametrize(
    ("profile", "page", "expected"), PAGES, ids=[page.partition("/")[2] for _, page, _ in PAGES]
)
def test_a_page_gives_what_the_table_says(
    profile: Profile, page: str, expected: dict[tuple[str, ...], Told]
) -> None:
    """Every reading of a captured page is in the table, and nothing else; no other server claims it."""
    text = captured(page)

    (spoken,) = detect(text)

    assert spoken.name == profile.name
    assert table(spoken, text) == expected
