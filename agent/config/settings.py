"""All that can be configured, each with its default and the reason for it.

Thresholds of alerts are not here: they live with the alerts. `config default`, `config schema` and the
`WARPWATCH_*` environment variables derive from these records.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.config.discovery import Discovery
from agent.config.drift import Drift
from agent.config.fields import option as _option
from agent.config.fields import required as _required
from agent.config.fields import section as _section
from agent.config.fields import sections as _sections
from agent.config.objectives import GPUS, PRICES, Slo
from agent.config.probe import Probe
from agent.config.profile_values import PROFILE_NAME
from agent.config.profiles import Profile
from agent.config.values import (
    ADDRESS,
    CLASSES,
    PATH_OR_OFF,
    SWITCH,
    TEXT,
    URL,
    Address,
    choice_form,
    duration_form,
    whole_form,
)
from agent.config.web import OPEN, Web

PROTOCOLS: Final = ("http/protobuf", "grpc")
RELEASE_FROM: Final = ("loopback", "anywhere", "nobody")
REPLAY_ENDS: Final = ("loop", "stop")
PROFILES: Final = (
    "ray_serve",
    "dynamo",
    "kserve",
    "seldon",
    "triton",
    "mlserver",
    "bentoml",
    "torchserve",
    "nim",
    "vllm",
    "sglang",
    "trtllm_serve",
    "tgi",
    "tei",
    "lmdeploy",
    "llamacpp",
)
"""The profiles that are built in."""
XID_POLICIES: Final = ("nvidia", "eks", "azure", "gcm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Otlp:
    """One receiver of OTLP."""

    endpoint: str = _required(
        URL,
        "Base URL of the receiver; /v1/metrics and /v1/logs are added for http/protobuf.",
        example="http://127.0.0.1:4318",
    )
    protocol: str | None = _option(
        choice_form(*PROTOCOLS),
        "http/protobuf or grpc; grpc needs the extra warpwatch[grpc]. Default: "
        "OTEL_EXPORTER_OTLP_PROTOCOL, else http/protobuf.",
        example="http/protobuf",
    )
    headers_file: str | None = _option(
        TEXT,
        "File with one `name: value` a line, such as an API key; read again when it changes.",
        example="/etc/warpwatch/otlp-headers",
    )
    interval: float | None = _option(
        duration_form(0.5, 3600),
        "How often metrics are pushed; events leave at once. Default: OTEL_METRIC_EXPORT_INTERVAL, "
        "else 15s, which is a common scrape interval.",
        example="15s",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One model server whose metrics are collected."""

    url: str = _required(
        URL,
        "Where it answers. Without a path, those that model servers use are tried, /metrics first.",
        example="http://127.0.0.1:8000",
    )
    profile: str | None = _option(
        PROFILE_NAME,
        "What kind of server it is: a built-in profile or one of `profiles`. Default: detected by what it "
        "exposes.",
        example="vllm",
    )
    name: str | None = _option(
        TEXT, "Name in metrics and on the status page. Default: host:port.", example="chat"
    )
    model: str | None = _option(
        TEXT,
        "The model that it serves, where its own metrics name none: TGI, TEI and llama.cpp name none.",
        example="bge-large",
    )
    interval: float = _option(
        duration_form(0.5, 3600),
        "How often it is scraped: often enough to see a queue build up.",
        example="5s",
        default=5.0,
    )
    bearer_token_file: str | None = _option(
        TEXT,
        "File with the token that it wants; read again when it changes.",
        example="/etc/warpwatch/secrets/chat/token",
    )
    username: str | None = _option(
        TEXT, "Name for basic authentication.", example="metrics", aside=True
    )
    password_file: str | None = _option(
        TEXT,
        "File with the password of `username`; read again when it changes.",
        example="/etc/warpwatch/secrets/chat/password",
        aside=True,
    )
    headers_file: str | None = _option(
        TEXT,
        "File with one `name: value` a line, sent with each scrape; read again when it changes.",
        example="/etc/warpwatch/secrets/chat/headers",
    )
    ca_file: str | None = _option(
        TEXT,
        "Authority that signed its certificate, PEM. Default: those of the system.",
        example="/etc/warpwatch/secrets/chat/ca.crt",
    )
    cert_file: str | None = _option(
        TEXT,
        "Our own certificate, where it wants one, PEM.",
        example="/etc/warpwatch/secrets/chat/tls.crt",
    )
    key_file: str | None = _option(
        TEXT,
        "The key of `cert_file`, PEM without passphrase. Default: it is in `cert_file`.",
        example="/etc/warpwatch/secrets/chat/tls.key",
    )
    server_name: str | None = _option(
        TEXT,
        "The name in its certificate, where it is not the URL's host.",
        example="chat.models.svc",
    )
    insecure_skip_verify: bool = _option(
        SWITCH,
        "Take any certificate: whoever is on the way can read the token. Warned of in the log.",
        example="false",
        default=False,
    )
    gpus: tuple[str, ...] = _option(
        GPUS,
        "The GPUs that it runs on, by UUID or index, where its processes do not tell: they run in a PID "
        "namespace that the agent does not see, or on behalf of somebody else.",
        example="[0, 1]",
        default=(),
    )
    probe: Probe | None = _section(
        Probe, "Ask it for an answer now and then, as a user would. Default: never."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dcgm:
    """A dcgm-exporter to read as well; where NVML has the same series, NVML's is used."""

    url: str = _required(URL, "Its metrics URL.", example="http://127.0.0.1:9400/metrics")
    interval: float = _option(
        duration_form(1, 3600),
        "How often it is scraped; dcgm-exporter itself collects each 30 s by default.",
        example="15s",
        default=15.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The agent's configuration."""

    listen: Address = _option(
        ADDRESS,
        "Where /metrics and the status page are served. Loopback, because nobody should find an "
        "agent on the network that was not meant to be there; in Kubernetes the chart opens it.",
        example="127.0.0.1:9410",
        default=Address("127.0.0.1", 9410),
    )
    web: Web = _section(
        Web,
        "TLS and credentials of `listen` and of `drift.listen`. Default: neither, which is for loopback.",
        default=OPEN,
    )
    node: str | None = _option(
        TEXT,
        "Name of this node, on every series. Default: the environment's NODE_NAME, else the host's name.",
        example="gpu-node-07",
    )
    cluster: str | None = _option(
        TEXT, "Name of the cluster, on every series. Default: absent.", example="prod-eu-1"
    )
    interval: float = _option(
        duration_form(0.1, 60),
        "How often the GPUs are read. At 1 s a node with 8 GPUs costs about 1 % of a core.",
        example="1s",
        default=1.0,
    )
    window: float = _option(
        duration_form(1, 300),
        "What a scrape or a push tells of utilization, power and clocks is the mean of this long, with "
        "the least and the most beside it: no shorter than your scrape interval, or spikes are missed.",
        example="15s",
        default=15.0,
    )
    distributions: bool = _option(
        SWITCH,
        "Histograms of utilization and power as well; about 36 more series a GPU.",
        example="false",
        default=False,
    )
    nvlink_links: bool = _option(
        SWITCH,
        "NVLink per link and not only in sum; 180 more series on a GPU with 18 links.",
        example="false",
        default=False,
    )
    kernel_log: str = _option(
        PATH_OR_OFF,
        "Where XIDs and processes killed for want of memory are read: /dev/kmsg, a file such as "
        "/var/log/kern.log, or off.",
        example="/dev/kmsg",
        default="/dev/kmsg",
    )
    xid_policy: str = _option(
        choice_form(*XID_POLICIES),
        "Whose judgement decides which XIDs page: NVIDIA's, or that of a cloud's own health checks.",
        example="nvidia",
        default="nvidia",
    )
    xid_overrides: Mapping[int, str] | None = _option(
        CLASSES, "Your own judgement of single XIDs: page, ticket or info.", example="{63: page}"
    )
    state_dir: str | None = _option(
        TEXT,
        "Directory that outlives the agent; there it notes how far it read the kernel log. Without one "
        "it begins at the log's end.",
        example="/var/lib/warpwatch",
    )
    otlp: tuple[Otlp, ...] = _sections(
        Otlp, "Receivers of OTLP. Default: OTEL_EXPORTER_OTLP_ENDPOINT if set, else none."
    )
    servers: tuple[Server, ...] = _sections(Server, "Model servers on this node.")
    profiles: tuple[Profile, ...] = _sections(
        Profile,
        "Kinds of model servers beyond those that are built in (docs/model-servers.md), or in their "
        "place; `warpwatch scan URL` prints one to begin with. They are tried before the built-in ones.",
    )
    discovery: Discovery | None = _section(
        Discovery, "Model servers that are found by themselves. Default: none."
    )
    server_series: int = _option(
        whole_form(100, 1_000_000),
        "Most series that up to 16 model servers may have together, of up to 32 twice as many, and so on. A "
        "server that wants too many loses whole metrics, which is a counted problem, and no other does.",
        example="1000",
        default=1_000,
    )
    slos: tuple[Slo, ...] = _sections(
        Slo, "Service level objectives: what is promised about models. Default: none."
    )
    gpu_hour_price: Mapping[str, float] | None = _option(
        PRICES,
        "Price of an hour of a GPU in your currency, by model as NVML names it; * and ? stand for any "
        "characters, and an exact name goes before the longest pattern. Default: no costs are told.",
        example='{"NVIDIA H100*": 2.49}',
    )
    dcgm: Dcgm | None = _section(Dcgm, "A dcgm-exporter on this node. Default: none.")
    release_from: str = _option(
        choice_form(*RELEASE_FROM),
        "Who may have the driver released (POST /api/v1/driver/release): programs on this machine, whoever "
        "reaches the port, or nobody.",
        example="loopback",
        default="loopback",
    )
    drift: Drift | None = _section(Drift, "The drift process. Default: its defaults.")
    simulate: str | None = _option(
        TEXT,
        "Simulated GPUs instead of real ones, as COUNTxMODEL, to try the agent without a GPU; with what "
        "MIG divides each into, as in 2xH100/3g.40gb+4x1g.10gb.",
        example="8xH100",
    )
    replay: str | None = _option(
        TEXT,
        "A recording of another machine's GPUs instead of real ones; `doctor --record` makes one.",
        example="node-07.jsonl.gz",
    )
    replay_end: str = _option(
        choice_form(*REPLAY_ENDS),
        "What happens at the end of a recording: it begins again, or the GPUs are gone.",
        example="loop",
        default="loop",
    )
