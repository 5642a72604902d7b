"""Where a model server might be in a pod."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.discovery.kubernetes.pods import Pod, pod_of
from agent.discovery.kubernetes.recognition import MOST_OF_A_POD, complaints, targets_of
from agent.discovery.target import HERE, Target
from tests.agent.discovery.fake_api import container, pod

PLAIN = {"name": "web", "image": "nginx:1.29", "ports": [{"containerPort": 8000}]}
GPU = {"limits": {"nvidia.com/gpu": "1"}}
SCRAPE = {"prometheus.io/scrape": "true"}


def targets(**more: Any) -> dict[int, Target]:
    """Return the targets of a pod by their port."""
    found = targets_of(pod_of(pod("chat-0", **more)))
    return {target.place.port: target for target in found}


def ports(**more: Any) -> dict[int, str]:
    """Return how each port is looked at: sure, spare (sure as well), or perhaps."""
    return {
        port: "spare" if target.spare else "sure" if target.sure else "perhaps"
        for port, target in targets(**more).items()
    }


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"containers": [PLAIN]}, {}),
        ({"containers": [container()]}, {8000: "sure"}),
        ({"containers": [container(ports=[])]}, {8000: "spare"}),
        ({"containers": [{"image": "me/x", "command": ["python", "-m", "sglang.launch_server"],
                          "args": ["--port", "31000"]}]}, {31000: "sure", 30000: "spare"}),
        ({"containers": [{"image": "me/x", "args": ["tritonserver --metrics-port=9002"]}]},
         {9002: "sure", 8002: "spare"}),
        ({"containers": [{"image": "nvcr.io/nvidia/tritonserver:25.01-py3", "ports": [
            {"containerPort": 8000, "name": "http"}, {"containerPort": 8001, "name": "grpc"},
            {"containerPort": 8002, "name": "metrics"}]}]}, {8000: "sure", 8002: "sure"}),
        ({"containers": [{"image": "ghcr.io/huggingface/text-generation-inference:3"}]},
         {80: "spare", 3000: "spare", 9000: "spare"}),
        ({"containers": [{"image": "nvcr.io/nim/meta/llama:1", "ports": [{"containerPort": 8000}]}]},
         {8000: "sure"}),
        ({"containers": [{"image": "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1",
                          "env": [{"name": "DYN_SYSTEM_PORT", "value": "9091"}]}]},
         {9091: "sure", 8000: "spare", 8081: "spare", 9090: "spare"}),
        ({"containers": [{**PLAIN, "resources": GPU}]}, {8000: "perhaps"}),
        ({"containers": [PLAIN], "annotations": SCRAPE}, {8000: "perhaps"}),
        ({"containers": [PLAIN], "annotations": {**SCRAPE, "prometheus.io/port": "9400"}},
         {9400: "perhaps"}),
        ({"containers": [PLAIN], "annotations": {"prometheus.io/scrape": "false"}}, {}),
        ({"containers": [PLAIN], "labels": {"llm-d.ai/inference-serving": "true"}}, {8000: "sure"}),
        ({"containers": [PLAIN], "labels": {"llm-d.ai/inference-serving": "false"}}, {}),
        ({"containers": [{**PLAIN, "ports": [{"containerPort": 7000}]}],
          "labels": {"llm-d.ai/inference-serving": "true"}}, {7000: "perhaps"}),
        ({"containers": [{"image": "me/ray", "ports": [
            {"containerPort": 6379, "name": "gcs-server"}, {"containerPort": 8265, "name": "dashboard"},
            {"containerPort": 8080, "name": "metrics"}]}],
          "labels": {"ray.io/node-type": "head"}}, {8080: "sure"}),
        ({"containers": [container(), {"name": "queue-proxy", "image": "q"}],
          "labels": {"serving.kserve.io/inferenceservice": "chat"}}, {8000: "sure", 9091: "sure"}),
        ({"containers": [container(), {"name": "queue-proxy", "image": "q"}],
          "annotations": {"serving.kserve.io/enable-metric-aggregation": "true"}}, {9088: "sure"}),
        ({"containers": [PLAIN], "annotations": {"prometheus.kserve.io/port": "8082"}}, {8082: "sure"}),
        ({"containers": [container()], "phase": "Succeeded"}, {}),
        ({"containers": [container()], "ip": ""}, {}),
        ({"containers": [container()], "ready": False}, {8000: "sure"}),
        ({"containers": [{"image": "s"}],
          "spec": {"initContainers": [container(restartPolicy="Always")]}}, {8000: "sure"}),
        ({"containers": [{"image": "s"}], "spec": {"initContainers": [container()]}}, {}),
        ({"containers": [container(ports=[{"containerPort": 8000, "protocol": "UDP"}])]},
         {8000: "spare"}),
    ],
)  # fmt: skip
def test_where_it_looks(more: dict[str, Any], expected: dict[int, str]) -> None:
    """Annotations, labels, images, commands, GPUs and ports each say how likely a place is."""
    assert ports(**more) == expected


def test_a_port_is_asked_under_each_path() -> None:
    """An annotated path comes first, with its scheme; then those of the known servers."""
    annotated = {
        **SCRAPE, "prometheus.io/port": "8443", "prometheus.io/scheme": "https",
        "prometheus.io/path": "stats",
    }  # fmt: skip

    found = targets(containers=[container()], annotations=annotated)

    assert found[8443].urls == (
        "https://10.0.0.5:8443/stats",
        "https://10.0.0.5:8443/metrics",
        "https://10.0.0.5:8443/v1/metrics",
        "https://10.0.0.5:8443/prometheus/metrics",
    )
    assert found[8000].urls[0] == "http://10.0.0.5:8000/metrics"


def test_a_target_knows_its_pod() -> None:
    """Name, namespace, container and its id; another readiness or restart is another epoch."""
    before = targets(containers=[container("server"), container("side", "x", ports=[])])[8000]
    after = targets(containers=[container("server")], ready=False)[8000]

    assert before.pod is not None
    assert before.pod == ("models", "chat-0", "uid-chat-0", "server", ("chat-0-server",))
    assert before.name == "models/chat-0:8000"
    assert before.epoch != after.epoch
    assert before.owner == after.owner


@pytest.mark.parametrize(
    ("ip", "host", "url"),
    [
        ("10.0.0.5", "10.0.0.5", "http://10.0.0.5:8000/metrics"),
        ("fd00::5", "fd00::5", "http://[fd00::5]:8000/metrics"),
        ("127.0.0.1", HERE, "http://127.0.0.1:8000/metrics"),
    ],
)
def test_addresses_of_both_families(ip: str, host: str, url: str) -> None:
    """IPv6 stands in brackets; a pod of the node's own network is found at the node's own place."""
    found = targets(ip=ip)[8000]

    assert found.place == (host, 8000)
    assert found.urls[0] == url


def test_a_pod_with_many_ports_is_not_asked_at_all_of_them() -> None:
    """There is a limit for a pod, and the surest places come first."""
    many = [{"containerPort": 10_000 + number} for number in range(100)]
    containers = [{"image": "x", "ports": many, "resources": GPU}, container()]

    found = ports(containers=containers)

    assert len(found) == MOST_OF_A_POD
    assert found[8000] == "sure"


WORDS = st.sampled_from(
    ["metadata", "spec", "status", "containers", "ports", "containerPort", "name", "namespace", "uid",
     "podIP", "annotations", "labels", "env", "value", "resources", "limits", "command", "args"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("10.0.0.1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)


@settings(deadline=None)
@given(ANYTHING)
def test_no_object_breaks_it(thing: object) -> None:
    """Whatever JSON comes, it is a pod or a ValueError."""
    try:
        found = pod_of(thing)
    except ValueError:
        return

    assert isinstance(found, Pod)
    assert len(targets_of(found)) <= MOST_OF_A_POD


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path",
                         "prometheus.io/scheme", "prometheus.kserve.io/port"]),
        st.sampled_from(["true", "True", "8000", "0", "99999", "-1", "\uff18\uff10", "/x y?z#", "[", ""]),
    )
)  # fmt: skip
def test_no_annotation_breaks_it(annotations: dict[str, str]) -> None:
    """A value that makes no sense is left out, and a port that is none is complained of."""
    raw = pod("chat-0", annotations=annotations)

    found = targets_of(pod_of(raw))

    assert all(0 < target.place.port < 65536 for target in found)
    odd = [annotations.get(key) for key in ("prometheus.io/port", "prometheus.kserve.io/port")]
    assert len(list(complaints(pod_of(raw)))) == sum(
        value not in (None, "", "8000") for value in odd
    )
