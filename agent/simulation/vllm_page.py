"""What vLLM 0.33 would say of the simulated engine: its names, labels and order of things.

Checked against the output of vLLM's own metric classes. The families of the Python runtime are left out,
all but the start time, by which a reader sees a restart.
"""

from collections.abc import Iterable
from typing import Final

from agent.simulation.exposition import Histogram, LabelledValue, Labels, Page
from agent.simulation.vllm import BLOCK_TOKENS, CACHE_BLOCKS, HISTOGRAMS, VllmEngine

MODEL: Final = "meta-llama/Llama-3.1-8B-Instruct"
_MODEL_LABEL: Final = {"model_name": MODEL}
_ENGINE: Final = {"engine": "0", **_MODEL_LABEL}
_CHAT: Final = {"handler": "/v1/chat/completions"}
_COMPLETIONS: Final = {"handler": "/v1/completions"}
_POST: Final = {"method": "POST"}
_REQUEST_BYTES: Final = 900
_RESPONSE_BYTES_PER_TOKEN: Final = 5
_CACHE_CONFIG: Final = {
    "block_size": str(BLOCK_TOKENS),
    "cache_dtype": "auto",
    "enable_prefix_caching": "True",
    "engine": "0",
    "gpu_memory_utilization": "0.9",
    "kv_cache_memory_bytes": "None",
    "num_gpu_blocks": str(CACHE_BLOCKS),
    "prefix_caching_hash_algo": "sha256",
    "sliding_window": "None",
}


class _VllmPage(Page):
    """A page on which every counter and histogram says, in a gauge, when it was created."""

    def __init__(self, created: float) -> None:
        super().__init__({})
        self._created = created

    def counter(self, name: str, help_text: str, *samples: LabelledValue) -> None:
        self.family(f"{name}_total", "counter", help_text, samples)
        self._creation(name, help_text, [labels for labels, _ in samples])

    def gauge(self, name: str, help_text: str, *samples: LabelledValue) -> None:
        self.family(name, "gauge", help_text, samples)

    def histogram(self, name: str, help_text: str, *samples: tuple[Labels, Histogram]) -> None:
        self.histograms(name, help_text, samples)
        self._creation(name, help_text, [labels for labels, _ in samples])

    def summary(self, name: str, help_text: str, sums: Iterable[tuple[float, int]]) -> None:
        handlers = (_CHAT, _COMPLETIONS)
        self.summaries(
            name,
            help_text,
            [(labels, *total) for labels, total in zip(handlers, sums, strict=True)],
        )
        self._creation(name, help_text, handlers)

    def _creation(self, name: str, help_text: str, labels: Iterable[Labels]) -> None:
        dates = [(own, self._created) for own in labels]
        self.family(f"{name}_created", "gauge", help_text, dates)


def vllm_page(engine: VllmEngine, created: float) -> str:
    """Return the exposition of the engine, which was started at ``created`` (Unix seconds)."""
    page = _VllmPage(created)
    page.gauge("process_start_time_seconds", "Start time of the process.", ({}, created))
    _estimates(page)
    _state(page, engine)
    _cache(page, engine)
    _tokens(page, engine)
    _outcomes(page, engine)
    for name, (help_text, _) in HISTOGRAMS.items():
        page.histogram(name, help_text, (_ENGINE, engine.histograms[name]))
    page.gauge("vllm:cache_config_info", "How the cache is set up.", (_CACHE_CONFIG, 1))
    _http(page, engine)
    return page.text()


def _estimates(page: _VllmPage) -> None:
    """Add what the engine estimates when it is told to, and else leaves at 0."""
    for what in ("flops", "read_bytes", "write_bytes"):
        page.counter(f"vllm:estimated_{what}_per_gpu", f"Estimated {what}.", (_ENGINE, 0))


def _state(page: _VllmPage, engine: VllmEngine) -> None:
    waiting = len(engine.waiting)
    page.gauge(
        "vllm:num_requests_running", "Requests in the batch.", (_ENGINE, len(engine.running))
    )
    page.gauge("vllm:num_requests_waiting", "Requests in the queue.", (_ENGINE, waiting))
    page.gauge(
        "vllm:num_requests_waiting_by_reason",
        "Requests in the queue, by reason.",
        ({**_ENGINE, "reason": "capacity"}, waiting),
        ({**_ENGINE, "reason": "deferred"}, 0),
    )
    page.gauge(
        "vllm:engine_sleep_state",
        "1 for the state that the engine is in.",
        ({**_ENGINE, "sleep_state": "awake"}, 1),
        ({**_ENGINE, "sleep_state": "weights_offloaded"}, 0),
        ({**_ENGINE, "sleep_state": "discard_all"}, 0),
    )
    page.gauge(
        "vllm:kv_cache_usage_perc", "KV cache in use, 0 to 1.", (_ENGINE, engine.cache_usage)
    )


def _cache(page: _VllmPage, engine: VllmEngine) -> None:
    for cache, queries, hits in (
        ("prefix", engine.prompt_tokens, engine.cached_tokens),
        ("external_prefix", 0, 0),
        ("mm", 0, 0),
    ):
        page.counter(f"vllm:{cache}_cache_queries", "Asked of the cache.", (_ENGINE, queries))
        page.counter(f"vllm:{cache}_cache_hits", "Found in the cache.", (_ENGINE, hits))
    page.counter("vllm:num_preemptions", "Preemptions.", (_ENGINE, 0))


def _tokens(page: _VllmPage, engine: VllmEngine) -> None:
    cached = engine.cached_tokens
    page.counter("vllm:prompt_tokens", "Prompt tokens.", (_ENGINE, engine.prompt_tokens))
    page.counter(
        "vllm:prompt_tokens_by_source",
        "Prompt tokens by source.",
        ({**_ENGINE, "source": "local_compute"}, engine.prompt_tokens - cached),
        ({**_ENGINE, "source": "local_cache_hit"}, cached),
        ({**_ENGINE, "source": "external_kv_transfer"}, 0),
    )
    page.counter("vllm:prompt_tokens_cached", "Cached prompt tokens.", (_ENGINE, cached))
    page.counter(
        "vllm:prompt_tokens_cached_by_source",
        "Cached prompt tokens by the tier that had them.",
        ({**_ENGINE, "source": "device"}, cached),
        *(
            ({**_ENGINE, "source": tier}, 0)
            for tier in ("host", "p2p", "disk", "external_unspecified")
        ),
    )
    page.counter("vllm:generation_tokens", "Tokens generated.", (_ENGINE, engine.generated_tokens))


def _outcomes(page: _VllmPage, engine: VllmEngine) -> None:
    page.counter(
        "vllm:request_success",
        "Requests that ended, by reason.",
        *(
            ({**_ENGINE, "finished_reason": reason}, engine.finished[reason])
            for reason in ("stop", "length", "abort", "error", "repetition")
        ),
    )
    page.counter(
        "vllm:admission_rejections",
        "Requests refused for the length of the queue.",
        ({**_MODEL_LABEL, "reason": "max_num_queued_reqs"}, engine.refused),
        ({**_MODEL_LABEL, "reason": "max_num_queued_tokens"}, 0),
    )


def _http(page: _VllmPage, engine: VllmEngine) -> None:
    served, bad = engine.http_served.count, engine.http_refused.count
    page.counter(
        "http_requests",
        "Requests by method, status and handler.",
        ({**_CHAT, **_POST, "status": "2xx"}, served),
        ({**_COMPLETIONS, **_POST, "status": "4xx"}, bad),
    )
    page.summary(
        "http_request_size_bytes",
        "Length of requests.",
        [(served * _REQUEST_BYTES, served), (bad * _REQUEST_BYTES, bad)],
    )
    answered = engine.histograms["vllm:request_generation_tokens"].sum
    page.summary(
        "http_response_size_bytes",
        "Length of responses.",
        [(answered * _RESPONSE_BYTES_PER_TOKEN, served), (0, bad)],
    )
    page.histogram("http_request_duration_highr_seconds", "Time of a request.", ({}, engine.http))
    page.histogram(
        "http_request_duration_seconds",
        "Time of a request by handler.",
        ({**_CHAT, **_POST}, engine.http_served),
        ({**_COMPLETIONS, **_POST}, engine.http_refused),
    )
