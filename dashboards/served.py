"""What the reader has chosen of models and their servers, and how to ask for it.

Conditions that a metric has no label for are left out, so that one choice serves them all: a server that is
down has no model, a probe no kind of server.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from agent.catalogue import Attribute, Metric, recorded, serving, serving_gpu
from agent.catalogue.attributes import (
    COMMON,
    ENGINE,
    HW_ID,
    HW_PARENT,
    MODEL,
    NODE,
    PROVIDER,
    SERVER,
)
from agent.catalogue.metric import Kind
from agent.catalogue.promql import (
    PER_GPU,
    Condition,
    aggregate,
    equals,
    labels,
    matches,
    select,
    value,
)
from agent.catalogue.recorded import HOLDER, SERVED, Recorded
from dashboards.panel import Query
from dashboards.scope import (
    EVERYTHING,
    IN_CLUSTER,
    ON_NODE,
    RATE,
    cluster_variables,
    legend,
    of_gpu,
    query_variable,
)

FLEET_UID: Final = "warpwatch-inference"
"""Part of every link to the dashboard of all models, the alerts' included: never change it."""
SERVER_UID: Final = "warpwatch-inference-server"
"""Part of every link to the dashboard of one server, the alerts' included: never change it."""

OF_MODELS: Final = (*IN_CLUSTER, matches(MODEL, "$model"), matches(PROVIDER, "$provider"))
CHOSEN: Final = (*OF_MODELS, matches(SERVER, "$server"))
ON_SERVER: Final = (*ON_NODE, equals(SERVER, "$server"))
ON_ENGINE: Final = (*ON_SERVER, matches(ENGINE, "$engine"))

BOUND: Final = Attribute("le", "A histogram bucket's upper bound, in Prometheus.")
QUANTILE: Final = Attribute("quantile", "Which quantile of a summary, in Prometheus.")
EACH_MODEL: Final = legend(MODEL, PROVIDER)
EACH_ENGINE: Final = legend(ENGINE, MODEL)
"""The engine first: many engines have one long name of a model in common."""
EACH_SERVER: Final = legend(SERVER, NODE)
NOT_TOLD: Final = "no chosen server tells it"
_TELLING: Final = (
    serving.REQUESTS_RUNNING,
    serving.REQUESTS_WAITING,
    serving.REQUESTS_FINISHED,
    serving.TOKENS_GENERATED,
    serving.KV_CACHE_UTILIZATION,
    serving.REQUEST_DURATION,
    serving.REQUEST_DURATION_QUANTILES,
    serving.TIME_TO_FIRST_TOKEN,
    serving.INTER_TOKEN_LATENCY,
)
"""Each server that is understood tells at least one of these of each of its models."""


def narrowed(of: Metric | Recorded, where: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return those of the conditions that the series have a label for."""
    known = of.attributes if isinstance(of, Recorded) else (*of.attributes, *COMMON)
    return tuple(condition for condition in where if condition.attribute in known)


def told(series: Recorded, where: Iterable[Condition]) -> str:
    """Return a selector of a recorded series."""
    return f"{series.name}{{{', '.join(map(str, narrowed(series, where)))}}}"


def now(
    metric: Metric, by: Sequence[Attribute], where: Iterable[Condition], operator: str = "sum"
) -> str:
    """Return a gauge over all that ``by`` does not tell apart; engines that overlap count once."""
    each = value(metric, (*metric.attributes, *COMMON), *narrowed(metric, where))
    return aggregate(operator, by, each)


def speed(
    metric: Metric, by: Sequence[Attribute], where: Iterable[Condition], part: str = ""
) -> str:
    """Return how fast a counter, or a part of a histogram or a summary, grows per second."""
    selector = select(metric, *narrowed(metric, where), part=part, window=RATE)
    return aggregate("sum", by, f"rate({selector})")


def mean(metric: Metric, by: Sequence[Attribute], where: Iterable[Condition]) -> str:
    """Return the mean of what was observed of late; nothing where nothing was."""
    where = tuple(where)
    total, count = (speed(metric, by, where, part) for part in ("sum", "count"))
    return over(total, count, by)


def quantile(
    share: float, metric: Metric, by: Sequence[Attribute], where: Iterable[Condition]
) -> str:
    """Return a quantile by the server's own buckets; nothing where it has none."""
    buckets = speed(metric, (*by, BOUND), where, "bucket")
    return f"histogram_quantile({share}, {buckets}) >= 0"


def over(what: str, by: str, level: Sequence[Attribute]) -> str:
    """Return a quotient, and nothing where it would be by 0."""
    on = f" on ({labels(level)})" if level else ""
    return f"{what}\n/{on} ({by} > 0)"


def error_ratio(by: Sequence[Attribute], where: Sequence[Condition]) -> str:
    """Return the share of requests that failed, of those servers that count errors."""
    errors, requests = told(recorded.ERRORS, where), told(recorded.REQUESTS, where)
    same = f"on ({labels(SERVED)})"
    failed = aggregate("sum", by, f"{errors} * {same} {requests}")
    return over(failed, aggregate("sum", by, f"{requests} and {same} {errors}"), by)


def queue_ratio(by: Sequence[Attribute], where: Sequence[Condition]) -> str:
    """Return the share of requests that wait, of servers that tell both; 0 where there are none."""
    each = tuple(dict.fromkeys((*SERVED, *by)))
    waiting, running = (
        aggregate("sum", each, select(metric, *narrowed(metric, where)))
        for metric in (serving.REQUESTS_WAITING, serving.REQUESTS_RUNNING)
    )
    same = f"on ({labels(each)})"
    wait = aggregate("sum", by, f"{waiting} and {same} {running}")
    there = aggregate("sum", by, f"{waiting} + {same} {running}")
    on = f" on ({labels(by)})" if by else ""
    return f"{wait}\n/{on} clamp_min({there}, 1)"


def hit_ratio(by: Sequence[Attribute], where: Sequence[Condition]) -> str:
    """Return the share of prompt tokens that the prefix cache had."""
    hits, queries = (
        speed(metric, by, where)
        for metric in (serving.PREFIX_CACHE_HITS, serving.PREFIX_CACHE_QUERIES)
    )
    return over(hits, queries, by)


def acceptance(by: Sequence[Attribute], where: Sequence[Condition]) -> str:
    """Return the share of drafted tokens that were accepted: counted, else as the server computes it."""
    accepted, drafted = (
        speed(metric, by, where)
        for metric in (serving.SPECULATIVE_ACCEPTED, serving.SPECULATIVE_DRAFTED)
    )
    computed = now(serving.SPECULATIVE_ACCEPTANCE, by, where, "avg")
    return f"({over(accepted, drafted, by)})\nor {computed}"


def present(by: Sequence[Attribute], where: Sequence[Condition]) -> str:
    """Return one series per model of which anything is told."""
    parts = (
        aggregate("group", by, select(metric, *narrowed(metric, where), part=_count(metric)))
        for metric in _TELLING
    )
    return "\nor ".join(parts)


def _count(metric: Metric) -> str:
    return "count" if metric.kind in (Kind.HISTOGRAM, Kind.SUMMARY) else ""


def boards() -> str:
    """Return a series per GPU that the chosen server holds; of a MIG device, with the id of its board."""
    info = select(serving_gpu.GPU_INFO, *ON_SERVER)
    return f'label_replace({info}, "{HW_ID.label}", "$1", "{HW_PARENT.label}", "(.+)")'


def held() -> str:
    """Return one series of value 1 per board that the server holds, or holds a MIG device of."""
    return aggregate("group", PER_GPU, boards())


def of_held(expression: str, *extra: Attribute) -> Query:
    """Return an expression that is per GPU, of the boards that the server holds, named by their index."""
    only = f"({expression})\nand on ({labels(PER_GPU)}) ({held()})"
    return of_gpu(only, *extra, where=ON_NODE)


def fleet_variables() -> list[Builder[model.VariableModel]]:
    """Return the variables of a dashboard about all models; one that is not chosen matches anything."""
    models = "\nor ".join(
        aggregate("group", (MODEL,), select(metric, *IN_CLUSTER, part=_count(metric)))
        for metric in _TELLING
    )
    up = select(serving.SERVER_UP, *IN_CLUSTER)
    return [
        *cluster_variables(),
        _several(
            query_variable("model", "Model", f"query_result({models})").regex(
                f'/{MODEL.label}="([^"]+)"/'
            )
        ),
        _several(query_variable("server", "Server", f"label_values({up}, {SERVER.label})")),
        _several(
            query_variable("provider", "Kind of server", f"label_values({up}, {PROVIDER.label})")
        ),
    ]


def server_variables() -> list[Builder[model.VariableModel]]:
    """Return the variables of a dashboard about one server, each narrowing the next."""
    nodes, servers = (select(serving.SERVER_UP, *where) for where in (IN_CLUSTER, ON_NODE))
    engines = select(serving.REQUESTS_RUNNING, *ON_SERVER)
    return [
        *cluster_variables(),
        query_variable("node", "Node", f"label_values({nodes}, {NODE.label})"),
        query_variable("server", "Server", f"label_values({servers}, {SERVER.label})"),
        _several(query_variable("engine", "Engine", f"label_values({engines}, {ENGINE.label})")),
    ]


def _several(variable: dashboard.QueryVariable) -> dashboard.QueryVariable:
    return variable.multi(True).include_all(True).all_value(".*").current(EVERYTHING)


_TO: Final = "${__url_time_range}&${datasource:queryparam}"
_CLUSTER: Final = "var-cluster=${__data.fields.Cluster:percentencode}"
MODEL_LINK: Final = (
    f"/d/{FLEET_UID}?{_TO}&{_CLUSTER}&var-model=${{__data.fields.Model:percentencode}}"
)
NODE_LINK: Final = (
    f"/d/warpwatch-gpu-node?{_TO}&{_CLUSTER}&var-node=${{__data.fields.Node:percentencode}}"
)
SERVER_LINK: Final = (
    f"/d/{SERVER_UID}?{_TO}&{_CLUSTER}&var-node=${{__data.fields.Node:percentencode}}"
    "&var-server=${__data.fields.Server:percentencode}"
)
ITS_SERVER: Final = dashboard.DashboardLink("This server alone").url(
    f"/d/{SERVER_UID}?{_TO}&${{cluster:queryparam}}&var-node=${{__field.labels.{NODE.label}}}"
    f"&var-server=${{__field.labels.{SERVER.label}}}"
)
"""What a click on a line of a server offers."""
PER_SERVER: Final = HOLDER
