"""Writes docs/metrics.md from the catalogue, so that the reference cannot differ from the agent.

``python -m agent.catalogue.document`` writes it; with ``--check`` it only says whether it is fresh.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from agent.catalogue import CATALOGUE, COMMON, EVENT_KINDS, Attribute, Metric
from agent.catalogue.recorded import RECORDED

PATH: Final = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"

_GROUPS: Final = {
    "gpu": "GPU",
    "serving": "Model servers",
    "system": "The node",
    "drift": "Drift of models",
    "agent": "The agent itself",
}
_RECORDED: Final = """\
## Recorded series

Prometheus computes these by the rules that come with the alerts; no agent has them.

"""
_INTRODUCTION: Final = """\
<!-- Generated from agent/catalogue by `make generate`; edits here are lost. -->
# Metrics

Every metric, label and event of Warpwatch. The Prometheus name is computed from the OpenTelemetry name by
OpenTelemetry's rules, so `/metrics` and OTLP through a Collector give the same series.

A value that cannot be read is an absent series and is counted in `warpwatch_collector_problems_total`; it is
never 0, NaN or the last value again. A histogram is three series: `_bucket`, `_sum` and `_count`.
"""


def document() -> str:
    """Return the whole page."""
    parts = [_INTRODUCTION, f"On every series: {_keys(COMMON)}.\n"]
    for group, title in _GROUPS.items():
        metrics = [metric for metric in CATALOGUE if metric.group == group]
        parts.append(f"## {title}\n\n{_metric_table(metrics)}")
    parts.append(_RECORDED + _recorded_table())
    parts += [f"## Labels\n\n{_label_table()}", f"## Events\n\n{_event_table()}"]
    return "\n".join(parts)


def _metric_table(metrics: Iterable[Metric]) -> str:
    head = ("Prometheus", "OpenTelemetry", "Kind", "Unit", "Labels", "What it says")
    return _table(head, (_metric_row(metric) for metric in metrics))


def _metric_row(metric: Metric) -> tuple[str, ...]:
    return (
        f"`{metric.family}`",
        f"`{metric.name}`",
        metric.kind.prometheus_type,
        f"`{metric.unit}`",
        _keys(metric.attributes),
        metric.description,
    )


def _recorded_table() -> str:
    rows = ((f"`{each.name}`", _keys(each.attributes), each.description) for each in RECORDED)
    return _table(("Prometheus", "Labels", "What it says"), rows)


def _label_table() -> str:
    """Return the table of all attributes that metrics use, each once, in the order of first use."""
    used = dict.fromkeys([*COMMON, *(a for metric in CATALOGUE for a in metric.attributes)])
    rows = (
        (
            f"`{attribute.label}`",
            f"`{attribute.key}`",
            ", ".join(f"`{value}`" for value in attribute.values),
            attribute.description,
        )
        for attribute in used
    )
    return _table(("Prometheus", "OpenTelemetry", "Values", "What it says"), rows)


def _event_table() -> str:
    rows = (
        (
            f"`{kind.name}`",
            kind.severity.value,
            ", ".join(f"`{attribute.key}`" for attribute in kind.attributes),
            kind.description,
        )
        for kind in EVENT_KINDS
    )
    return _table(("Event", "Severity", "Attributes", "What happened"), rows)


def _keys(attributes: Sequence[Attribute]) -> str:
    return ", ".join(f"`{attribute.label}`" for attribute in attributes)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", r"\|").replace("<", "&lt;") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with ``--check`` return 1 where the file is not what it would be."""
    fresh = document()
    if "--check" not in arguments:
        PATH.write_text(fresh, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == fresh:
        return 0
    sys.stderr.write("docs/metrics.md is not what the catalogue says: run `make generate`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
