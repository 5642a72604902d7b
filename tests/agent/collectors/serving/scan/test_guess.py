import pytest

from agent.collectors.serving.scan.guess import common_prefix, guesses, model_labels, of_library
from agent.collectors.serving.scan.inventory import Family, everything, inventory
from tests.agent.collectors.serving.pages import captured


def family(name: str, kind: str, *labels: str) -> Family:
    """Return a family with one series."""
    return Family(name, kind, 1, labels, (name,))


@pytest.mark.parametrize(
    ("name", "kind", "metric", "unit"),
    [
        ("acme_time_to_first_token_ms", "histogram", "gen_ai.server.time_to_first_token", "ms"),
        ("acme:ttft_seconds", "histogram", "gen_ai.server.time_to_first_token", "s"),
        ("acme_inter_token_latency_us", "histogram", "inference.inter_token_latency", "us"),
        ("acme_tpot", "summary", "gen_ai.server.time_per_output_token", ""),
        ("acme_queue_wait_seconds", "histogram", "inference.queue.duration", "s"),
        ("acme_request_latency_milliseconds", "histogram", "gen_ai.server.request.duration", "ms"),
        ("RequestLatencyMs", "histogram", "gen_ai.server.request.duration", "ms"),
        ("acme_requests_running", "gauge", "inference.requests.running", ""),
        ("acme_queue_depth", "gauge", "inference.requests.waiting", ""),
        ("acme_requests_failed_total", "counter", "inference.requests.errors", ""),
        ("acme_requests_rejected_total", "counter", "inference.requests.rejected", ""),
        ("acme_requests_total", "counter", "inference.requests.finished", ""),
        ("acme_prompt_tokens_total", "counter", "inference.tokens.prompt", ""),
        ("acme_generated_tokens_total", "counter", "inference.tokens.generated", ""),
        ("acme_kv_cache_usage_percent", "gauge", "inference.kv_cache.utilization", "percent"),
        ("acme_batch_size", "histogram", "inference.batch.size", ""),
    ],
)
def test_a_name_suggests_a_metric(name: str, kind: str, metric: str, unit: str) -> None:
    """By its words, its unit and its type."""
    (guess,) = guesses([family(name, kind)])

    assert (guess.metric.name, guess.unit) == (metric, unit)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("acme_temperature", "gauge"),
        ("acme_requests_running", "counter"),  # running requests are no counter
        ("acme_request_latency_seconds", "gauge"),  # the last value is no distribution
        ("process_start_time_seconds", "gauge"),
        ("python_gc_collections_total", "counter"),
    ],
)
def test_what_fits_nothing_suggests_nothing(name: str, kind: str) -> None:
    """A name alone is not enough: the type must be able to give the metric."""
    assert guesses([family(name, kind)]) == ()


def test_a_family_without_series_suggests_nothing() -> None:
    """There is nothing to judge a guess by."""
    assert guesses([Family("acme_requests_running", "gauge", 0, (), ())]) == ()


def test_an_attribute_is_guessed_from_usual_labels() -> None:
    """Reasons and codes have names that everybody uses."""
    (guess,) = guesses([family("acme_requests_total", "counter", "finish_reason", "model")])

    assert guess.by == "finish_reason"


@pytest.mark.parametrize(
    ("page", "prefix", "labels"),
    [
        ("vllm/vllm_0.33.0_dp1_t0.txt", "vllm:", {"model": "model_name", "engine": "engine"}),
        ("triton/triton_2.51.0_cpu_t0.txt", "nv_", {"model": "model", "version": "version"}),
        (
            "mlserver/mlserver_1.7.1.txt",
            "",
            {"model": "model_name", "version": "model_version"},
        ),
    ],
)
def test_what_most_families_have_in_common(page: str, prefix: str, labels: dict[str, str]) -> None:
    """How their names begin, but for client libraries, and which labels tell models apart."""
    families = inventory(everything(captured(page)))

    assert common_prefix(families) == prefix
    assert model_labels(families) == labels


def test_client_libraries_are_known() -> None:
    """Their families are on any page, and no server's."""
    assert of_library("python_info")
    assert of_library("acme_requests_created")
    assert not of_library("acme_requests_total")
