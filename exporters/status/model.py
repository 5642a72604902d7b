"""What the status page, `/api/v1/status` and `warpwatch status` say: one view of the node, as frozen data.

The field names here are the JSON's. Shares are 0..1, memory is bytes, power watts, temperature degrees
Celsius, times Unix seconds, durations seconds. What is not known is null, never 0.
"""

from dataclasses import dataclass
from enum import StrEnum

SCHEMA = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""

Trend = tuple[tuple[float, float], ...]
"""Pairs of how many seconds ago and the value, oldest first, over two minutes at most."""


class Level(StrEnum):
    """How urgently somebody should look."""

    OK = "ok"
    ATTENTION = "attention"
    LOST = "lost"
    OFF = "off"
    """Not there, and that is no fault: a source that this machine does not have."""


@dataclass(frozen=True, slots=True)
class Headline:
    """One sentence about something that is not well."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds device memory; ``memory`` is null where the driver does not tell."""

    pid: int
    name: str
    memory: int | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Device memory, bytes."""

    used: float | None
    total: float | None
    reserved: float | None
    share: float | None


@dataclass(frozen=True, slots=True)
class Temperature:
    """``limit`` is where the driver slows the clocks; ``margin`` is what is left until then."""

    gpu: float | None
    memory: float | None
    limit: float | None
    margin: float | None


@dataclass(frozen=True, slots=True)
class PcieLink:
    """The PCIe link now, and the most that this GPU can have in this slot."""

    generation: float | None
    generation_limit: float | None
    width: float | None
    width_limit: float | None


@dataclass(frozen=True, slots=True)
class GpuTrends:
    """The last two minutes."""

    utilization: Trend = ()
    memory: Trend = ()
    power: Trend = ()
    temperature: Trend = ()


@dataclass(frozen=True, slots=True)
class GpuView:
    """One GPU. ``verdict`` says in words why its level is what it is; ``reasons`` lists all of them."""

    id: str
    index: str
    model: str
    serial: str
    pci: str
    driver: str
    level: Level
    verdict: str
    reasons: tuple[str, ...]
    memory: Memory
    utilization: float | None
    encoder: float | None
    decoder: float | None
    power: float | None
    power_limit: float | None
    temperature: Temperature
    throttle: tuple[str, ...]
    clock: float | None
    clock_limit: float | None
    performance_state: float | None
    pcie: PcieLink
    holders: tuple[Holder, ...]
    trends: GpuTrends


@dataclass(frozen=True, slots=True)
class Quantile:
    """An estimate from buckets; ``at_least``: it lies above the last bound, which is given."""

    value: float
    at_least: bool


@dataclass(frozen=True, slots=True)
class Latency:
    """Of the requests of the last ``window`` seconds; quantiles only where there are buckets."""

    requests: int
    window: float
    mean: float
    p50: Quantile | None
    p95: Quantile | None


@dataclass(frozen=True, slots=True)
class ModelTrends:
    """The last two minutes."""

    running: Trend = ()
    waiting: Trend = ()
    tokens: Trend = ()


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model on a server. Rates are per second over the last minute."""

    name: str
    version: str
    engine: str
    running: float | None
    waiting: float | None
    kv_cache: float | None
    requests_per_second: float | None
    prompt_tokens_per_second: float | None
    generated_tokens_per_second: float | None
    errors: float | None
    errors_recently: float | None
    time_to_first_token: Latency | None
    time_per_output_token: Latency | None
    request_duration: Latency | None
    queue_duration: Latency | None
    trends: ModelTrends


@dataclass(frozen=True, slots=True)
class ServerView:
    """One model server; ``up`` is null where no scrape has told yet.

    ``unattributed_errors`` are those that the server counts without naming a model.
    """

    name: str
    provider: str
    up: bool | None
    level: Level
    verdict: str
    scrape_duration: float | None
    unattributed_errors: float | None
    models: tuple[ModelView, ...]


@dataclass(frozen=True, slots=True)
class EventView:
    """Something that happened; ``severity`` is page, ticket or info."""

    time: float
    kind: str
    severity: str
    body: str
    attributes: dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class ProblemView:
    """What a collector could not read or believe in its last run."""

    reason: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class CollectorView:
    """How a source of data is doing."""

    name: str
    status: str
    level: Level
    since: float
    detail: str
    duration: float | None
    last_success: float | None
    problems: tuple[ProblemView, ...]


@dataclass(frozen=True, slots=True)
class ExporterView:
    """How an exporter that pushes is doing, per signal."""

    name: str
    signal: str
    level: Level
    verdict: str
    sent: int
    failed: int
    dropped: int
    queued: int
    last_success: float | None
    last_error: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many GPUs are well, need somebody to look, or are lost."""

    ok: int
    attention: int
    lost: int


@dataclass(frozen=True, slots=True)
class AgentView:
    """The agent itself; ``cpu`` is CPU seconds since its start, ``memory`` resident bytes."""

    version: str
    python: str
    uptime: float | None
    cpu: float | None
    memory: float | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """Everything, at ``taken_at``; ``age`` is how old that was when it was asked for.

    ``headlines`` are the sentences that an engineer should read first, worst first.
    """

    schema: int
    node: str
    cluster: str
    sequence: int
    taken_at: float
    age: float
    level: Level
    headlines: tuple[Headline, ...]
    counts: Counts
    gpus: tuple[GpuView, ...]
    servers: tuple[ServerView, ...]
    events: tuple[EventView, ...]
    event_total: int
    collectors: tuple[CollectorView, ...]
    exporters: tuple[ExporterView, ...]
    agent: AgentView
