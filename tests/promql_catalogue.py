"""Judges PromQL against the catalogue: every metric and every label in it must exist there.

What an expression gives is followed from the selectors up, label by label, so that a legend, a join or an
annotation that names a label which is not there any more is found as well.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import promql_parser as promql

from agent.catalogue import CATALOGUE, COMMON, Attribute, Metric
from agent.catalogue.metric import Kind
from agent.catalogue.recorded import RECORDED
from agent.catalogue.recorded_drift import INSTANCE, RECORDED_DRIFT
from agent.catalogue.recorded_drift_serving import RECORDED_DRIFT_SERVING
from agent.catalogue.recorded_performance import RECORDED_PERFORMANCE

SERIES: Final[dict[str, Metric]] = {
    series: metric for metric in CATALOGUE for series in metric.series
}
RECORDED_SERIES: Final = {
    each.name: each
    for each in (*RECORDED, *RECORDED_DRIFT, *RECORDED_DRIFT_SERVING, *RECORDED_PERFORMANCE)
}
BOUND: Final = "le"
QUANTILE: Final = "quantile"
ALERTS: Final = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""Series that Prometheus writes about the rules that it evaluates."""
_OF_ALERTS: Final = frozenset({"alertname", "alertstate", "severity"})
_STAND_INS: Final = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}
_VARIABLE: Final = re.compile(r"\$([a-z]\w*)")


class UnknownName(AssertionError):  # noqa: N818 - it reads as what was found
    """An expression names a metric, a label or a value that the catalogue does not have."""


def plain(expression: str, **chosen: str) -> str:
    """Return a dashboard's expression as PromQL, as Grafana would send it.

    ``chosen`` are the values of the dashboard's variables, such as ``node="n1"``; the others are "All".
    """
    for variable, duration in _STAND_INS.items():
        expression = expression.replace(variable, duration)
    return _VARIABLE.sub(lambda found: chosen.get(found[1], ".*"), expression)


def labels_of(expression: str) -> frozenset[str]:
    """Return the labels that the result can have; raises `UnknownName` for what the catalogue lacks."""
    return _labels(promql.parse(expression))


def metrics_of(expression: str) -> set[Metric]:
    """Return the metrics that the expression asks for."""
    return {
        SERIES[node.name]
        for node in _nodes(promql.parse(expression))
        if isinstance(node, promql.VectorSelector) and node.name in SERIES
    }


def in_legend(text: str) -> set[str]:
    """Return the labels that a Grafana legend names: ``{{label}}``."""
    return set(re.findall(r"{{\s*(\w+)\s*}}", text))


def in_annotation(text: str) -> set[str]:
    """Return the labels that an alert's annotation names: ``$labels.label``."""
    return set(re.findall(r"\$labels\.(\w+)", text))


def _nodes(expression: Any) -> list[Any]:
    found: list[Any] = []
    promql.walk(expression, found.append)
    return found


def _labels(node: Any) -> frozenset[str]:
    match node:
        case promql.VectorSelector():
            return _of_selector(node)
        case promql.MatrixSelector():
            return _of_selector(node.vector_selector)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _labels(node.expr)
        case promql.AggregateExpr():
            return _of_aggregate(node)
        case promql.BinaryExpr():
            return _of_binary(node)
        case promql.Call():
            return _of_call(node)
        case promql.NumberLiteral() | promql.StringLiteral():
            return frozenset()
    raise UnknownName(f"an expression of a kind that is not judged yet: {type(node).__name__}")


def _of_selector(node: promql.VectorSelector) -> frozenset[str]:
    if node.name in ALERTS:
        return _of_alerts(node)
    recorded = RECORDED_SERIES.get(node.name or "")
    metric = SERIES.get(node.name or "")
    if recorded is not None:
        attributes = {attribute.label: attribute for attribute in recorded.attributes}
    elif metric is not None:
        # Elsewhere nothing may depend on the target; replicas are told apart by it.
        target = (INSTANCE,) if metric.group == "drift" else ()
        attributes = {each.label: each for each in (*COMMON, *target, *metric.attributes)}
    else:
        raise UnknownName(f"no metric {node.name!r} in the catalogue")
    known = frozenset(attributes) | ({BOUND} if str(node.name).endswith("_bucket") else set())
    if metric is not None and metric.kind is Kind.SUMMARY and node.name == metric.family:
        known |= {QUANTILE}
    for matcher in node.matchers.matchers:
        if matcher.name not in known:
            raise UnknownName(f"{node.name} has no label {matcher.name!r}")
        if matcher.name in attributes:
            _check_value(attributes[matcher.name], matcher)
    return known


def _of_alerts(node: promql.VectorSelector) -> frozenset[str]:
    """Return what labels an alert can have: those of its expression, and its own."""
    known = _OF_ALERTS.union(a.label for m in CATALOGUE for a in (*COMMON, *m.attributes))
    _demand((matcher.name for matcher in node.matchers.matchers), known, str(node.name))
    return known


def _check_value(attribute: Attribute, matcher: promql.Matcher) -> None:
    """Demand that each alternative of the matcher can be true, where all values are known."""
    if not attribute.values or matcher.value in ("", ".*"):  # "" is a series without the label
        return
    for alternative in matcher.value.split("|"):
        if not any(re.fullmatch(alternative, value) for value in attribute.values):
            raise UnknownName(f"{attribute.key} is never {alternative!r}")


def _of_aggregate(node: promql.AggregateExpr) -> frozenset[str]:
    inner = _labels(node.expr)
    if node.modifier is None:
        return inner if str(node.op) in {"topk", "bottomk"} else frozenset()
    listed = frozenset(node.modifier.labels)
    _demand(listed, inner, "by or without")
    if node.modifier.type == promql.AggModifierType.Without:
        return inner - listed
    return inner if str(node.op) in {"topk", "bottomk"} else listed


def _of_binary(node: promql.BinaryExpr) -> frozenset[str]:
    left, right = _labels(node.lhs), _labels(node.rhs)
    matching = node.modifier.matching if node.modifier else None
    if matching is not None:
        _demand(frozenset(matching.labels), left & right, "on or ignoring")
    joined = frozenset((node.modifier.group_labels if node.modifier else None) or ())
    _demand(joined, left | right, "group_left or group_right")
    if str(node.op) == "or":
        return left | right
    if not left or not right:
        return left | right
    card = node.modifier.card if node.modifier else None
    return (right if card == promql.VectorMatchCardinality.OneToMany else left) | joined


def _of_call(node: promql.Call) -> frozenset[str]:
    texts = [argument.val for argument in node.args if isinstance(argument, promql.StringLiteral)]
    vectors = (argument for argument in node.args if not isinstance(argument, promql.StringLiteral))
    inner = frozenset[str]().union(*(_labels(argument) for argument in vectors))
    if node.func.name == "label_replace":
        _demand(frozenset({texts[2]}), inner, "label_replace")
        return inner | {texts[0]}
    if node.func.name == "histogram_quantile":
        _demand(frozenset({BOUND}), inner, "histogram_quantile")
        return inner - {BOUND}
    if node.func.name in {"absent", "absent_over_time", "scalar"}:
        return frozenset()
    return inner


def _demand(named: Iterable[str], known: frozenset[str], where: str) -> None:
    for label in named:
        if label not in known:
            raise UnknownName(f"{where} names the label {label!r}, which is not there")
