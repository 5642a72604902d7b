"""What the reader has chosen (cluster, node, GPUs), as variables of a dashboard and conditions of a query.

A cluster is on the series only where the agent's configuration names one: "All" therefore matches anything,
an absent label included.
"""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from agent.catalogue import Attribute, Metric, gpu, itself
from agent.catalogue.attributes import (
    CLUSTER,
    COMPUTE_INSTANCE,
    GPU_INDEX,
    GPU_INSTANCE,
    HW_ID,
    HW_PARENT,
    MIG_PROFILE,
    NODE,
)
from agent.catalogue.gpu_mig import MIG_INFO
from agent.catalogue.promql import (
    PER_GPU,
    PER_NODE,
    Condition,
    equals,
    identity,
    labels,
    matches,
    named,
    rate,
    select,
    value,
)
from dashboards.panel import DATASOURCE, EACH_GPU, Query

RATE: Final = "$__rate_interval"
"""Grafana's own window for rates: never shorter than four scrapes."""
IN_CLUSTER: Final = (matches(CLUSTER, "$cluster"),)
ON_NODE: Final = (*IN_CLUSTER, equals(NODE, "$node"))
ON_GPU: Final = (*ON_NODE, matches(HW_ID, "$gpu"))
EVERYTHING: Final = model.VariableOption(text="All", value="$__all", selected=True)


def legend(*attributes: Attribute) -> str:
    """Return a legend that shows the values of the attributes."""
    return " ".join(f"{{{{{attribute.label}}}}}" for attribute in attributes)


def per_gpu(
    metric: Metric, *conditions: Condition, extra: Sequence[Attribute] = (), operator: str = "max"
) -> Query:
    """Return the metric per chosen GPU, named by its index; ``extra`` splits it further."""
    expression = value(metric, (*PER_GPU, *extra), *ON_GPU, *conditions, operator=operator)
    return of_gpu(expression, *extra)


def grown_per_gpu(metric: Metric) -> Query:
    """Return how often it happened in each step of the graph, per chosen GPU; none where it did not."""
    return of_gpu(happened(metric, PER_GPU, *ON_GPU))


def happened(
    metric: Metric, by: Sequence[Attribute], *conditions: Condition, window: str = RATE
) -> str:
    """Return by how much a counter of events grew, whole, and nothing where it did not.

    Prometheus extrapolates from the samples to the window's ends, always upwards: one event reads 1.3.
    """
    grown = rate(metric, by, *conditions, window=window, function="increase")
    return f"floor({grown}) > 0"


def marks(metric: Metric, extra: Attribute, where: Sequence[Condition] = ON_GPU) -> str:
    """Return where a counter of GPUs grew, split by ``extra``: one series per growth, none where not."""
    grown = rate(metric, (*PER_GPU, extra), *where, window=RATE, function="increase")
    return f"{grown} > 0"


def of_gpu(
    expression: str,
    *extra: Attribute,
    window: str = "",
    where: Sequence[Condition] = ON_GPU,
) -> Query:
    """Return an expression that is per GPU with the GPU's name joined; ``extra`` adds to the legend."""
    shown = f"{EACH_GPU} {legend(*extra)}".rstrip()
    return Query(named(expression, identity(*where, window=window)), shown)


def mig_identity() -> str:
    """Return one series of value 1 per MIG device of the chosen GPUs: its profile, numbers, its GPU's index.

    MIG devices have ids of their own: those of the chosen GPUs are found by their parent.
    """
    facts = (HW_PARENT, MIG_PROFILE, GPU_INSTANCE, COMPUTE_INSTANCE)
    known = value(MIG_INFO, (*PER_GPU, *facts), *ON_NODE, matches(HW_PARENT, "$gpu"))
    parents = (
        f'label_replace({identity(*ON_GPU)}, "{HW_PARENT.label}", "$1", "{HW_ID.label}", "(.*)")'
    )
    place = labels((HW_PARENT, *PER_NODE))
    parts = f"topk by ({labels(PER_GPU)}) (1, {known})"
    return f"{parts}\n* on ({place}) group_left ({GPU_INDEX.label})\n{parents}"


def of_mig(expression: str, *extra: Attribute) -> Query:
    """Return an expression that is per MIG device with what people call the device by joined."""
    shown = (MIG_PROFILE, GPU_INSTANCE, COMPUTE_INSTANCE)
    return Query(
        f"({expression})\n* on ({labels(PER_GPU)}) "
        f"group_left ({labels((*shown, GPU_INDEX))})\n({mig_identity()})",
        f"GPU {legend(GPU_INDEX)}: {legend(MIG_PROFILE)} "
        f"#{legend(GPU_INSTANCE)}.{legend(COMPUTE_INSTANCE)} {legend(*extra)}".rstrip(),
    )


def cluster_variables() -> list[Builder[model.VariableModel]]:
    """Return the variables that every dashboard begins with."""
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        query_variable(
            "cluster", "Cluster", f"label_values({select(itself.INFO)}, {CLUSTER.label})"
        )
        .include_all(True)
        .all_value(".*")
        .current(EVERYTHING),
    ]


def variables() -> list[Builder[model.VariableModel]]:
    """Return the variables of a dashboard about one node, each narrowing the next."""
    return [
        *cluster_variables(),
        query_variable(
            "node", "Node", f"label_values({select(itself.INFO, *IN_CLUSTER)}, {NODE.label})"
        ),
        query_variable("gpu", "GPU", f"query_result({select(gpu.INFO, *ON_NODE)})")
        # Shows the index, passes on the UUID: an index can mean another GPU after a reboot.
        .regex(f'/{GPU_INDEX.label}="(?<text>[^"]+)".*{HW_ID.label}="(?<value>[^"]+)"/')
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(EVERYTHING),
    ]


def query_variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """Return a variable whose values Prometheus gives, with the time shown."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
    )
