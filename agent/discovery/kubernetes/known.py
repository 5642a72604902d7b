"""How model servers look in Kubernetes: labels of their charts and operators, images, commands, ports.

Data alone. None of it decides what a server is; it says where to look, and how patiently.
"""

import re
from typing import Final, NamedTuple

METRICS_PATHS: Final = ("/metrics", "/v1/metrics", "/prometheus/metrics")
"""Most servers; NIM; trtllm-serve, whose /metrics is JSON."""

LABELS: Final = (
    ("serving.kserve.io/inferenceservice", ""),
    ("ray.io/node-type", ""),
    ("ray.io/is-ray-node", "yes"),
    ("llm-d.ai/inference-serving", "true"),
    ("llm-d.ai/inferenceServing", "true"),
    ("nvidia.com/metrics-enabled", "true"),
    ("nvidia.com/dynamo-component-type", ""),
    ("app.nvidia.com/nim-type", ""),
    ("app.kubernetes.io/part-of", "nim-service"),
    ("model.aibrix.ai/name", ""),
    ("seldon-deployment-id", ""),
    ("seldon-server-name", ""),
    ("app.kubernetes.io/component", "serving-engine"),
    ("helm-release-name", ""),
    ("app.kubernetes.io/name", "nim-llm"),
    ("app.kubernetes.io/name", "vllm"),
    ("app.kubernetes.io/name", "sglang"),
    ("app.kubernetes.io/name", "triton-inference-server"),
    ("app.kubernetes.io/name", "text-generation-inference"),
    ("app.kubernetes.io/name", "text-embeddings-inference"),
    ("app", "triton-inference-server"),
    ("app", "tritoninferenceserver"),
    ("app", "vllm"),
)
"""Labels that charts and operators put on the pods of servers: KServe, KubeRay, llm-d, Dynamo, NIM and its
operator, AIBrix, Seldon, vLLM's production stack, Triton, TGI. An empty value stands for any."""


class Kind(NamedTuple):
    """How a kind of server is started. ``ports`` are where its metrics are if nobody says otherwise."""

    name: str
    image: re.Pattern[str]
    command: re.Pattern[str]
    ports: tuple[int, ...]


def _kind(name: str, image: str, command: str, *ports: int) -> Kind:
    return Kind(name, re.compile(image), re.compile(command), ports)


_NEVER: Final = r"(?!)"

KINDS: Final = (
    _kind("dynamo", r"ai-dynamo/|/dynamo[-:/]", r"\bdynamo[. ](frontend|vllm|sglang|trtllm|mocker|run)",
          8000, 8081, 9090),
    _kind("vllm", r"(^|/)vllm[^/]*/|/vllm[^/]*(:|@|$)", r"\bvllm serve\b|\bvllm\.entrypoints\.", 8000),
    _kind("sglang", r"/sglang[^/]*(:|@|$)", r"\bsglang\.launch_server\b|\bsglang serve\b", 30000),
    _kind("tgi", r"text-generation-inference", r"\btext-generation-launcher\b", 80, 3000, 9000),
    _kind("tei", r"text-embeddings-inference", r"\btext-embeddings-router\b", 80, 3000, 9000),
    _kind("triton", r"/tritonserver", r"\btritonserver\b", 8002),
    _kind("trtllm_serve", r"/tensorrt-llm", r"\btrtllm-serve\b", 8000),
    _kind("nim", r"(^|/)nim/", _NEVER, 8000),
    _kind("ray_serve", r"(^|/)ray(-ml|-llm)?(:|@|$)", r"\bray start\b", 8080),
    _kind("lmdeploy", r"/lmdeploy[^/]*(:|@|$)", r"\blmdeploy serve\b", 23333),
    _kind("llamacpp", r"/llama\.cpp", r"\bllama-server\b", 8080),
    _kind("torchserve", r"/torchserve", r"\btorchserve\b", 8082),
    _kind("bentoml", r"bentoml", r"\bbentoml serve\b", 3000),
    _kind("mlserver", r"/mlserver", r"\bmlserver start\b", 8082),
    _kind("kserve", r"(^|/)kserve/", _NEVER, 8080),
)  # fmt: skip

QUEUE_PROXY: Final = "queue-proxy"
QUEUE_PROXY_PORT: Final = 9091
AGGREGATED_PORT: Final = 9088
"""Where KServe's own queue-proxy gives both its metrics and the server's."""

METRICS_PORT_NAMES: Final = frozenset(
    {"metrics", "http-metrics", "prometheus", "prom", "http-prom", "http-usermetric", "system"}
)
NO_HTTP: Final = re.compile(r"grpc|gcs|redis|client|dashboard|ssh|zmq|nccl|rdma|nixl|etcd|nats|kv")
"""In the names of ports that speak something else; nobody there should have to puzzle over our request."""
KNOWN_PORTS: Final = frozenset(port for kind in KINDS for port in kind.ports)
PORT_OPTION: Final = re.compile(r"--(?:[a-z]+-)*port(?:=|\s+)(\d{1,5})(?=\s|$)")
PORT_VARIABLES: Final = frozenset({"DYN_SYSTEM_PORT", "PORT", "METRICS_PORT", "AIP_HTTP_PORT"})
