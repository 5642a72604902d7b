from agent.catalogue import serving
from agent.collectors.serving.detection import detect
from agent.collectors.serving.profiles.kserve import KSERVE
from agent.snapshot import Distribution
from tests.agent.collectors.serving.pages import captured, translate, values
from tests.agent.collectors.serving.tables import table

SDK = "kserve/kserve_python_sdk_0.21.0.txt"


def histogram(family: str, labels: str, bounds: tuple[str, str], counts: tuple[int, int]) -> str:
    """Write a histogram of two buckets and one beyond them; each observation is 1 of its unit."""
    last = counts[-1]
    lines = [f"# TYPE {family} histogram"]
    for bound, count in zip((*bounds, "+Inf"), (*counts, last), strict=True):
        lines.append(f'{family}_bucket{{{labels},le="{bound}"}} {count}')
    lines += [f"{family}_sum{{{labels}}} {last}", f"{family}_count{{{labels}}} {last}"]
    return "\n".join(lines) + "\n"


def test_the_sdk_gives_what_the_table_says() -> None:
    """The prediction's time, and how many there were; nothing of errors, which it does not know."""
    assert detect(captured(SDK)) == (KSERVE,)
    assert table(KSERVE, captured(SDK)) == {
        ("inference.server.info", "iris", "", "", "", "", ""): 1,
        ("inference.requests.finished", "iris", "", "", ""): 25,
        ("gen_ai.server.request.duration", "iris", "", ""): (25, 0.257323),
        ("inference.compute.duration", "iris", "", ""): (25, 0.257323),
    }


def test_a_server_that_was_not_asked_yet_is_known() -> None:
    """Its families are declared, and have no series."""
    fresh = "\n".join(
        line
        for line in captured(SDK).splitlines()
        if line.startswith("# TYPE request_")
        or not line.removeprefix("# HELP ").startswith("request_")
    )

    assert detect(fresh) == (KSERVE,)
    assert table(KSERVE, fresh) == {}


def test_the_hugging_face_runtime_is_vllm_as_well() -> None:
    """Its page has the SDK's families and vLLM's: each is told under its own name, KServe's first."""
    text = captured(SDK) + captured("vllm/vllm_0.33.0_dp1_t0.txt")

    assert [profile.name for profile in detect(text)] == ["kserve", "vllm"]


def test_an_aggregated_page_tells_requests_once() -> None:
    """queue-proxy's page with the SDK's in it: requests by their answers, the time as users see it."""
    labels = 'response_code="200",response_code_class="2xx",service_name="iris"'
    text = (
        captured(SDK)
        + f"# TYPE revision_request_count counter\nrevision_request_count{{{labels}}} 25\n"
        + histogram("revision_request_latencies", labels, ("5", "10"), (5, 25))
    )

    assert table(KSERVE, text) == {
        ("inference.server.info", "iris", "", "", "", "", ""): 1,
        ("inference.requests.finished", "iris", "", "", "200"): 25,
        ("gen_ai.server.request.duration", "iris", "", ""): (25, 0.025),
        ("inference.compute.duration", "iris", "", ""): (25, 0.257323),
    }


def test_old_names_of_the_queue_proxy_are_milliseconds() -> None:
    """Knative up to 1.18, with requests by status, and those in progress."""
    labels = (
        'configuration_name="iris-predictor",container_name="queue-proxy",namespace_name="models",'
        'pod_name="iris-0",response_code="{0}",response_code_class="{0[0]}xx",'
        'revision_name="iris-predictor-00001",service_name="iris-predictor"'
    )
    good, bad = (
        labels.replace("{0[0]}", "2").replace("{0}", "200"),
        labels.replace("{0[0]}", "5").replace("{0}", "503"),
    )
    text = (
        f"# TYPE revision_request_count counter\nrevision_request_count{{{good}}} 40\n"
        f"revision_request_count{{{bad}}} 2\n"
        "# TYPE revision_queue_depth gauge\n"
        'revision_queue_depth{revision_name="iris-predictor-00001",service_name="iris-predictor"} 3\n'
        + histogram("revision_app_request_latencies", good, ("5", "10"), (10, 40))
        + histogram("revision_request_latencies", good, ("5", "10"), (8, 40))
    )
    of = ("iris-predictor", "iris-predictor-00001", "")

    assert detect(text) == (KSERVE,)
    assert table(KSERVE, text) == {
        ("inference.server.info", *of, "", "", ""): 1,
        ("inference.requests.running", *of): 3,
        ("inference.requests.finished", *of, "200"): 40,
        ("inference.requests.finished", *of, "503"): 2,
        ("inference.requests.errors", *of, "503"): 2,
        ("gen_ai.server.request.duration", *of): (40, 0.04),
        ("inference.compute.duration", *of): (40, 0.04),
    }
    (duration,) = values(translate(KSERVE, text)[0], serving.REQUEST_DURATION).values()
    assert duration == Distribution((0.005, 0.01), (8, 32, 0), 0.04)


def test_new_names_of_the_queue_proxy_are_seconds() -> None:
    """Knative since 1.19: one histogram by status, of which the count is that of requests."""
    for family, depth in (
        ("kn_serving_invocation_duration_seconds", "kn_serving_queue_depth"),
        ("kn_queueproxy_app_duration_seconds", "kn_queueproxy_depth"),
    ):
        labels = 'http_response_status_code="{}",k8s_namespace_name="m",kn_service_name="iris"'
        text = (
            f'# TYPE {depth} gauge\n{depth}{{kn_service_name="iris"}} 2\n'
            f"# TYPE {family} histogram\n"
            + histogram(family, labels.format(200), ("0.5", "1"), (4, 9)).partition("\n")[2]
            + histogram(family, labels.format(500), ("0.5", "1"), (0, 1)).partition("\n")[2]
        )

        assert detect(text) == (KSERVE,)
        assert table(KSERVE, text) == {
            ("inference.server.info", "iris", "", "", "", "", ""): 1,
            ("inference.requests.running", "iris", "", ""): 2,
            ("inference.requests.finished", "iris", "", "", "200"): 9,
            ("inference.requests.finished", "iris", "", "", "500"): 1,
            ("inference.requests.errors", "iris", "", "", "500"): 1,
            ("gen_ai.server.request.duration", "iris", "", ""): (10, 10.0),
            ("inference.compute.duration", "iris", "", ""): (10, 10.0),
        }
