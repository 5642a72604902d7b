"""How to ask Prometheus for what the catalogue names.

Panels and alert rules are built from these functions, so that neither holds a metric's or a label's name of
its own, and a condition on a label that the metric does not have fails when it is built, not at 3 a.m.

Everything is aggregated down to the labels that are asked for. A scrape adds ``instance``, ``pod`` and
``job``; they change with every restart of the agent, and an alert that carried them would end and begin
again with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agent.catalogue.attributes import CLUSTER, COMMON, GPU_INDEX, HW_ID, HW_MODEL, NODE
from agent.catalogue.gpu import INFO
from agent.catalogue.metric import Attribute, Kind, Metric

PER_NODE: Final = (NODE, CLUSTER)
"""What tells one node from another; a cluster that is not configured matches as the empty string."""
PER_GPU: Final = (HW_ID, *PER_NODE)
"""What tells one GPU from another: its UUID, and where it sits."""
IDENTITY: Final = (GPU_INDEX, HW_MODEL)
"""What people call a GPU by; it sits on the info series alone and is joined."""


@dataclass(frozen=True)
class Condition:
    """What a label must be: one matcher of a selector."""

    attribute: Attribute
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    def __str__(self) -> str:
        """Return it as PromQL."""
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.attribute.label}{self.operator}"{escaped}"'


def equals(attribute: Attribute, value: str) -> Condition:
    """Return the condition that the attribute has this value."""
    return Condition(attribute, "=", value)


def matches(attribute: Attribute, pattern: str) -> Condition:
    """Return the condition that the whole value matches the pattern (RE2)."""
    return Condition(attribute, "=~", pattern)


def differs(attribute: Attribute, pattern: str) -> Condition:
    """Return the condition that the whole value does not match the pattern (RE2)."""
    return Condition(attribute, "!~", pattern)


def select(metric: Metric, *conditions: Condition, part: str = "", window: str = "") -> str:
    """Return a selector of the metric's series.

    ``part`` is ``bucket``, ``sum`` or ``count`` of a histogram; ``window`` makes it a range, such as ``5m``.
    Raises `ValueError` for a label or a part that the metric does not have.
    """
    name = f"{metric.family}_{part}" if part else metric.family
    if name not in metric.series:
        raise ValueError(f"{metric.name} has the series {', '.join(metric.series)}, not {name}")
    for condition in conditions:
        if condition.attribute not in (*metric.attributes, *COMMON):
            raise ValueError(f"{metric.name} has no attribute {condition.attribute.key}")
    braces = f"{{{', '.join(map(str, conditions))}}}" if conditions else ""
    return f"{name}{braces}{f'[{window}]' if window else ''}"


def aggregate(operator: str, by: Sequence[Attribute], expression: str) -> str:
    """Return the expression reduced to the attributes ``by``; none at all gives one value."""
    labels = ", ".join(attribute.label for attribute in by)
    return f"{operator} by ({labels}) ({expression})" if by else f"{operator}({expression})"


def value(
    metric: Metric, by: Sequence[Attribute], *conditions: Condition, operator: str = "max"
) -> str:
    """Return the metric's value now, per ``by``.

    The default operator is ``max`` because two agents' series of the same thing overlap while a pod is
    being replaced: the greater one is one of them, their sum would be neither.
    """
    return aggregate(operator, by, select(metric, *conditions))


def rate(
    metric: Metric,
    by: Sequence[Attribute],
    *conditions: Condition,
    window: str,
    part: str = "",
    function: Literal["rate", "increase"] = "rate",
) -> str:
    """Return how fast a counter, or a part of a histogram, grows per ``by``.

    Raises `ValueError` for a metric that is no counter and no histogram.
    """
    if metric.kind not in (Kind.COUNTER, Kind.HISTOGRAM):
        raise ValueError(f"{metric.name} is a {metric.kind.value}: it has no rate")
    selector = select(metric, *conditions, part=part, window=window)
    return aggregate("sum", by, f"{function}({selector})")


def identity(*conditions: Condition, window: str = "") -> str:
    """Return one series of value 1 per GPU, with its index and model; `IDENTITY` says which labels.

    Never two for a GPU, since a join with two fails as a whole: where an old and a new one overlap, one
    of them is taken. ``window`` also finds those that were last seen that long ago.
    """
    info = select(INFO, *conditions, window=window)
    known = aggregate("max", (*PER_GPU, *IDENTITY), f"last_over_time({info})" if window else info)
    return f"topk by ({labels(PER_GPU)}) (1, {known})"


def named(expression: str, identities: str) -> str:
    """Return the expression, which is per GPU, with index and model joined to it."""
    return (
        f"({expression})\n* on ({labels(PER_GPU)}) group_left ({labels(IDENTITY)})\n({identities})"
    )


def labels(attributes: Sequence[Attribute]) -> str:
    """Return the attributes' labels as a list in PromQL."""
    return ", ".join(attribute.label for attribute in attributes)
