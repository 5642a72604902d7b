"""TorchServe, BentoML, MLServer and Seldon: what their pages say, against tables written by hand."""

import pytest

from agent.collectors.serving.detection import detect
from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles.bentoml import BENTOML
from agent.collectors.serving.profiles.mlserver import MLSERVER
from agent.collectors.serving.profiles.seldon import SELDON
from agent.collectors.serving.profiles.torchserve import TORCHSERVE
from tests.agent.collectors.serving.pages import captured
from tests.agent.collectors.serving.tables import Told, table

IRIS = ("Iris", "", "")
GRAPH = "seldon_api_executor_server_requests_seconds"


@pytest.mark.parametrize(
    ("profile", "page", "expected"),
    [
        (
            TORCHSERVE,
            "torchserve/torchserve_0.12.0_t0.txt",
            {
                ("inference.server.info", "toy", "", "", "", "", ""): 1,
                ("inference.requests.finished", "toy", "", "", ""): 30,
                ("inference.requests.errors", "", "", "", "4xx"): 2,
                ("gen_ai.server.request.duration", "toy", "", ""): (30, 0.295061),
                ("inference.queue.duration", "toy", "", ""): (30, 0.006856),
            },
        ),
        (
            BENTOML,
            "bentoml/bentoml_1.4.40.txt",
            {
                ("inference.server.info", *IRIS, "", "", ""): 1,
                ("inference.requests.running", *IRIS): 0,
                ("inference.requests.finished", *IRIS, "200"): 40,
                ("inference.requests.finished", *IRIS, "500"): 3,
                ("inference.requests.errors", *IRIS, "500"): 3,
                ("gen_ai.server.request.duration", *IRIS): (43, 0.615078),
                ("inference.batch.size", *IRIS): (18, 20.0),
            },
        ),
        (
            MLSERVER,
            "mlserver/mlserver_1.7.1.txt",
            {
                ("inference.server.info", "iris", "", "", "", "", ""): 1,
                ("inference.requests.running", "", "", ""): 0,
                ("inference.requests.finished", "iris", "", "", "success"): 30,
                ("inference.requests.finished", "iris", "", "", "error"): 2,
                ("inference.requests.errors", "iris", "", "", "failure"): 2,
                ("gen_ai.server.request.duration", "iris", "", ""): (32, 1.720701),
            },
        ),
    ],
    ids=["torchserve", "bentoml", "mlserver"],
)
def test_a_page_gives_what_the_table_says(
    profile: Profile, page: str, expected: dict[tuple[str, ...], Told]
) -> None:
    """Every reading of a captured page is in the table, and nothing else."""
    assert detect(captured(page)) == (profile,)
    assert table(profile, captured(page)) == expected


def test_a_torchserve_that_was_not_asked_yet_is_known() -> None:
    """It declares its families before the first inference."""
    text = (
        "# TYPE ts_inference_requests_total counter\n"
        "# TYPE CPUUtilization gauge\n"
        'CPUUtilization{Level="Host",Hostname="vm",} 3.0\n'
    )

    assert detect(text) == (TORCHSERVE,)
    assert detect(text.partition("\n")[2]) == ()


def test_a_version_that_is_one_is_told() -> None:
    """Only the words that mean none are left out."""
    text = (
        'ts_inference_requests_total{model_name="toy",model_version="2.1",hostname="vm",} 3.0\n'
        "# TYPE ts_inference_requests_total counter\n"
    )

    assert table(TORCHSERVE, text) == {
        ("inference.server.info", "toy", "2.1", "", "", "", ""): 1,
        ("inference.requests.finished", "toy", "2.1", "", ""): 3,
    }


def test_services_of_one_bento_are_kept_apart() -> None:
    """A call from one service to another is not a second request of the first."""
    labels = 'endpoint="/classify",http_response_code="200",service_name="shop"'
    text = "# TYPE bentoml_service_request_total counter\n" + "".join(
        f'bentoml_service_request_total{{{labels},runner_name="{name}",service_version="v3"}} 5\n'
        for name in ("Gateway", "Ranker")
    )

    assert table(BENTOML, text) == {
        ("inference.server.info", "Gateway", "v3", "", "", "", ""): 1,
        ("inference.server.info", "Ranker", "v3", "", "", "", ""): 1,
        ("inference.requests.finished", "Gateway", "v3", "", "200"): 5,
        ("inference.requests.finished", "Ranker", "v3", "", "200"): 5,
    }


def test_names_of_an_old_bentoml_are_known() -> None:
    """BentoML 1.1 counted at its API server."""
    text = (
        "# TYPE bentoml_api_server_request_total counter\n"
        'bentoml_api_server_request_total{endpoint="/predict",http_response_code="400",'
        'service_name="shop",service_version="v1"} 2\n'
    )

    assert detect(text) == (BENTOML,)
    assert table(BENTOML, text) == {
        ("inference.server.info", "shop", "v1", "", "", "", ""): 1,
        ("inference.requests.finished", "shop", "v1", "", "400"): 2,
        ("inference.requests.errors", "shop", "v1", "", "400"): 2,
    }


def test_seldon_core_1_tells_a_graph_and_its_models() -> None:
    """The executor's histogram is the requests' time, and its count their number."""
    graph = 'deployment_name="shop",method="post",predictor_name="canary",predictor_version=""'
    model = f'{graph},model_name="ranker",model_version="7"'
    client = "seldon_api_executor_client_requests_seconds"
    lines = [f"# TYPE {GRAPH} histogram", f"# TYPE {client} histogram"]
    for family, labels, code, count in (
        (GRAPH, graph, 200, 5),
        (GRAPH, graph, 500, 1),
        (client, model, 200, 5),
    ):
        lines += [
            f'{family}_bucket{{code="{code}",{labels},le="+Inf"}} {count}',
            f'{family}_sum{{code="{code}",{labels}}} 0.5',
            f'{family}_count{{code="{code}",{labels}}} {count}',
        ]
    text = "\n".join(lines) + "\n"

    assert detect(text) == (SELDON,)
    assert table(SELDON, text) == {
        ("inference.server.info", "shop", "canary", "", "", "", ""): 1,
        ("inference.requests.finished", "shop", "canary", "", "200"): 5,
        ("inference.requests.finished", "shop", "canary", "", "500"): 1,
        ("inference.requests.errors", "shop", "canary", "", "500"): 1,
        ("gen_ai.server.request.duration", "shop", "canary", ""): (6, 1.0),
        ("inference.compute.duration", "ranker", "7", ""): (5, 0.5),
    }


def test_seldon_core_2_gives_a_mean_where_it_has_no_buckets() -> None:
    """The agent's counters of inferences and of their seconds."""
    labels = 'method_type="rest",model="iris",model_internal="iris_1",server_replica="0"'
    text = (
        "# TYPE seldon_model_infer_total counter\n"
        f'seldon_model_infer_total{{code="200",{labels}}} 50\n'
        "# TYPE seldon_model_infer_seconds_total counter\n"
        f'seldon_model_infer_seconds_total{{code="200",{labels}}} 2.5\n'
    )

    assert table(SELDON, text) == {
        ("inference.server.info", "iris", "", "0", "", "", ""): 1,
        ("inference.requests.finished", "iris", "", "0", "200"): 50,
        ("gen_ai.server.request.duration", "iris", "", "0"): (50, 2.5),
    }
