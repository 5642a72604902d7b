"""`warpwatch metrics`: the catalogue, for whoever writes a query."""

import argparse
import json
from typing import Final

from agent.catalogue import CATALOGUE, COMMON, Metric
from agent.commands.configuration import refuse

_WIDTH_IN_A_PIPE: Final = 160
"""Columns where there is no terminal to measure: wide enough for grep to find whole lines."""


def show(options: argparse.Namespace) -> int:
    """Print every metric whose OpenTelemetry or Prometheus name contains the filter."""
    found = [
        each for each in CATALOGUE if options.filter in each.name or options.filter in each.family
    ]
    if not found:
        return refuse(ValueError(f"no metric's name contains {options.filter!r}"), 1)
    if options.json:
        print(json.dumps([_record(each) for each in found], indent=2))
    else:
        _print_table(found)
    return 0


def _record(metric: Metric) -> dict[str, object]:
    return {
        "name": metric.name,
        "prometheus": list(metric.series),
        "instrument": metric.kind.value,
        "unit": metric.unit,
        "labels": [*metric.labels, *(each.label for each in COMMON)],
        "group": metric.group,
        "stability": metric.stability.value,
        "description": metric.description,
    }


def _print_table(metrics: list[Metric]) -> None:
    from rich import box  # noqa: PLC0415 - the agent never loads it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_PIPE
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("Prometheus", no_wrap=True)
    table.add_column("type", no_wrap=True)
    table.add_column("labels and meaning")
    for metric in metrics:
        labels = Text(", ".join(metric.labels), style="cyan")
        meaning = Text("\n" if metric.labels else "").append(metric.description)
        table.add_row(metric.family, metric.kind.prometheus_type, labels.append_text(meaning))
    console.print(table)
    common = " and ".join(each.label for each in COMMON)
    console.print(f"{len(metrics)} metrics; {common} are on every series.", highlight=False)
