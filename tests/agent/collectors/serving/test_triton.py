import pytest

from agent.catalogue import serving
from agent.collectors.serving.detection import detect
from agent.collectors.serving.profiles.triton import TRITON
from agent.snapshot import Distribution
from tests.agent.collectors.serving.pages import captured, reasons, translate, values

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


def test_finished_requests_have_a_reason() -> None:
    """Successes and each reason of failure are counted; failures are errors as well."""
    readings, _ = translate(TRITON, captured(T1))

    finished = values(readings, serving.REQUESTS_FINISHED)
    errors = values(readings, serving.REQUESTS_ERRORS)

    assert finished[(*RESNET, "success")] == 105
    assert {key[3] for key in errors} == {"OTHER", "REJECTED", "BACKEND", "CANCELED"}
    assert errors.items() <= finished.items()


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
