"""Pages of which some lines cannot be read: what needs them is not told, and everything else is."""

from collections.abc import Mapping

import pytest

from agent.catalogue import Metric, serving
from agent.collectors.scrape import Body
from agent.collectors.serving.interpretation import Interpreter
from agent.collectors.serving.profiles import PROFILES
from agent.snapshot import Problem
from tests.agent.collectors.serving.pages import reasons, values

CLEAN = (
    'vllm:num_requests_running{model_name="m",engine="0"} 3\n'
    'vllm:prompt_tokens_total{model_name="m",engine="0"} 40\n'
)
PART = 'http_requests_total{method="POST",status="4xx",handler='
QUEUE = "vllm:request_queue_time_seconds"
OF_M = 'model_name="m",engine="0"'
BUCKETS = f"""\
{QUEUE}_bucket{{{OF_M},le="0.3"}} 3
{QUEUE}_bucket{{{OF_M},le="0.5"}} 4
{QUEUE}_bucket{{{OF_M},le="+Inf"}} 6
{QUEUE}_sum{{{OF_M}}} 4.5
{QUEUE}_count{{{OF_M}}} 6
"""
RAY = 'ray_serve_num_{}_requests_total{{application="a",route="/",status_code="200"}} {}\n'

Told = tuple[Mapping[Metric, object], tuple[Problem, ...]]


def told(page: str | bytes) -> Told:
    """Return what is told of a page by metric, and the problems."""
    body = Body(page if isinstance(page, bytes) else page.encode(), complete=True)
    readings, problems = Interpreter("s", PROFILES).read(body, "http://s/metrics")
    return {each.metric: values(readings, each.metric) for each in readings}, problems


@pytest.mark.parametrize(
    ("lines", "metric", "family"),
    [
        (f'{PART}"/a"}} 5\n{PART}"/b"}} 7x\n', serving.REQUESTS_ERRORS, "http_requests"),
        (f'{PART}"/a"}} 5\n{PART}"/b}} 7\n', serving.REQUESTS_ERRORS, "http_requests"),
        (
            f'{PART}"/a"}} 5\n{PART}"/é"}} 7\n'.encode("latin-1"),
            serving.REQUESTS_ERRORS,
            "http_requests",
        ),
        (BUCKETS.replace("} 4\n", "} 4x\n"), serving.QUEUE_DURATION, QUEUE),
        (BUCKETS.replace("} 4\n", "}\n"), serving.QUEUE_DURATION, QUEUE),
        (BUCKETS.replace('"0.5"', '"0.5'), serving.QUEUE_DURATION, QUEUE),
        (BUCKETS.replace('"0.5"', '"0.5",x="é"').encode("latin-1"), serving.QUEUE_DURATION, QUEUE),
        (BUCKETS.replace("_sum{", "_sum{{"), serving.QUEUE_DURATION, QUEUE),
    ],
)
def test_what_lacks_a_line_is_not_told(lines: str | bytes, metric: Metric, family: str) -> None:
    """A sum without a part is another sum, a histogram without a bucket is another histogram."""
    clean, _ = told(CLEAN)

    found, problems = told(CLEAN.encode() + (lines if isinstance(lines, bytes) else lines.encode()))

    assert metric not in found
    assert found == clean
    assert reasons(problems) & {"malformed_line", "bad_encoding"}
    assert any(problem.subject.startswith(f"s {family}") for problem in problems)


def test_facts_in_a_label_that_is_not_utf8_are_none() -> None:
    """What stands in the labels of an info family has no value either, if the line has none."""
    cache = 'vllm:cache_config_info{block_size="16",num_gpu_blocks="100",cache_dtype="ä",engine="0"} 1\n'

    found, problems = told((CLEAN + cache).encode("latin-1"))

    assert serving.KV_CACHE_CAPACITY in told(CLEAN + cache)[0]
    assert serving.KV_CACHE_CAPACITY not in found
    assert found[serving.SERVER_INFO] == {("m", "", "0", "", "", ""): 1}
    assert reasons(problems) == {"bad_encoding"}


@pytest.mark.parametrize("length", ["-1", "0", "NaN", "+Inf", "9223372036854775807", "0.5"])
def test_a_length_that_cannot_be_is_none(length: str) -> None:
    """The greatest length of a model is a number of tokens."""
    of = 'model_name="m",tp_rank="0"'
    page = f"sglang:num_running_reqs{{{of}}} 1\nsglang:context_len{{{of}}} {length}\n"

    assert told(page)[0][serving.SERVER_INFO] == {("m", "", "", "", "", ""): 1}


def test_a_family_of_which_no_line_can_be_read_is_missed_in_a_sum() -> None:
    """Requests by HTTP are not all requests where those by gRPC are on the page, and illegible."""
    whole, _ = told(RAY.format("http", 5) + RAY.format("grpc", 7))

    found, problems = told(RAY.format("http", 5) + RAY.format("grpc", "x"))

    assert whole[serving.REQUESTS_FINISHED] == {("a", "", "", "200"): 12}
    assert serving.REQUESTS_FINISHED not in found
    assert reasons(problems) == {"malformed_line"}


def test_a_line_of_somebody_else_hurts_nobody() -> None:
    """A family that is not read may have what lines it likes; they are counted."""
    found, problems = told(CLEAN + "my_own_total{a} x\n")

    assert found == told(CLEAN)[0]
    assert reasons(problems) == {"malformed_line"}
