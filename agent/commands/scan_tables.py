"""A scan as tables for a person; plain text where it does not go to a terminal."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.catalogue.serving import MODEL_ATTRIBUTES
from agent.collectors.serving.scan.guess import of_library
from agent.collectors.serving.scan.report import Mapped, Report
from agent.snapshot import Distribution, Reading

_WIDTH_IN_A_PIPE: Final = 200
_MOST_ROWS: Final = 8
"""Series of one signal that are shown; --json has them all."""
_IDENTITY: Final = len(MODEL_ATTRIBUTES)


def print_report(report: Report, shown: str, written: str) -> None:
    """Print what a scan found, ending in the profile."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_PIPE
    console.print(Text.assemble(("Page     ", "bold"), shown))
    for line in _recognition(report):
        console.print(line)
    if report.mapped:
        _print(console, "Mapped", _mapped(report.mapped))
    _print(console, "Exposed", _families(report))
    if report.problems:
        _print(console, "Problems", _problems(report))
    series, budget = report.series, report.budget
    over = " - too many: whole metrics are left out, the largest first" if series > budget else ""
    console.print(Text(f"Series   {series} of the {budget} that a server may have{over}"))
    console.print(Text("\nProfile, to paste into the configuration:\n", style="bold"))
    console.print(Text(written.rstrip()), soft_wrap=True)


def _recognition(report: Report) -> Iterable[Text]:
    for each in report.recognised:
        why = (
            f"it has {each.family}" if each.family else "it was named, nothing on the page shows it"
        )
        yield Text.assemble(("Server   ", "bold"), (each.profile.name, "green"), f": {why}")
    if not report.recognised:
        yield Text.assemble(
            ("Server   ", "bold"),
            ("unknown", "yellow"),
            ": no profile knows any family of it; begin one with the draft below",
        )
    if report.others:
        yield Text(f"         it could be of {', '.join(report.others)} as well")


def _print(console: Console, title: str, table: Table) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _mapped(signals: Sequence[Mapped]) -> Table:
    table = _table("metric", "from", "series", "now")
    for signal in signals:
        name, families = signal.metric.name, ", ".join(signal.families)
        for reading in signal.readings[:_MOST_ROWS]:
            table.add_row(Text(name), Text(families), Text(_who(reading)), Text(_now(reading)))
            name = families = ""
        if len(signal.readings) > _MOST_ROWS:
            table.add_row("", "", f"... and {len(signal.readings) - _MOST_ROWS} more", "")
    return table


def _families(report: Report) -> Table:
    table = _table("family", "type", "series", "becomes")
    becomes: dict[str, list[str]] = {}
    for signal in report.mapped:
        for name in signal.families:
            becomes.setdefault(name, []).append(signal.metric.name)
    for family in sorted(report.families, key=lambda each: _place(report, each.name)):
        metrics = ", ".join(dict.fromkeys(becomes.get(family.name, [])))
        text = Text(metrics, style="green") if metrics else _why_not(report, family.name)
        table.add_row(Text(family.name), family.type, str(family.series), text)
    return table


def _place(report: Report, name: str) -> tuple[bool, bool, bool]:
    """Return what sorts families: mapped ones first, then known ones, client libraries' last."""
    return (name not in report.used, name not in report.idle, of_library(name))


def _why_not(report: Report, name: str) -> Text:
    if name in report.idle:
        return Text("known, and not needed here", style="dim")
    if of_library(name):
        return Text("not mapped: of a client library", style="dim")
    return Text("not mapped", style="yellow")


def _problems(report: Report) -> Table:
    table = _table("problem", "where", "what")
    for problem in report.problems:
        table.add_row(problem.reason, Text(problem.subject), Text(problem.detail))
    return table


def _who(reading: Reading) -> str:
    """Return the model's attributes and the metric's own, without what all series share."""
    keys = [each.key.rpartition(".")[2] for each in reading.metric.attributes]
    keys[2:_IDENTITY] = ["model", "version", "engine"]
    pairs = zip(keys[2:], reading.attributes[2:], strict=True)
    return " ".join(f"{key}={value}" for key, value in pairs if value) or "(of the server)"


def _now(reading: Reading) -> str:
    unit = reading.metric.unit
    value = reading.value
    if not isinstance(value, Distribution):
        return _amount(value, unit)
    count = value.observations
    mean = f", mean {_amount(value.sum / count, unit)}" if count else ""
    quantiles = "".join(f", p{100 * q:g} {_amount(limit, unit)}" for q, limit in value.quantiles)
    bounds = "" if value.bounds or value.quantiles else ", no buckets"
    return f"{count} observations{mean}{quantiles}{bounds}"


def _amount(value: float, unit: str) -> str:
    if unit == "1" or unit.startswith("{"):  # a share, or a count of what the metric's name says
        return f"{value:.10g}"
    return f"{value:.6g} {unit}"
