"""The node in a terminal: the JSON of ``/api/v1/status`` as a few tables.

rich drops colour where the output is no terminal, or where NO_COLOR is set; a state is a word as well, so
nothing is lost with it.
"""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from exporters.status import words
from exporters.status.model import Level

Row = Mapping[str, Any]

_STYLES: Final = {
    Level.OK: "green",
    Level.ATTENTION: "yellow",
    Level.LOST: "bold red",
    Level.OFF: "dim",
}
_SEVERITIES: Final = {"page": "bold red", "ticket": "yellow"}
_EVENTS_SHOWN: Final = 10
_NARROW: Final = 100
"""Columns below which what can be left out is left out."""


def print_status(status: Row, console: Console) -> None:
    """Print a status, as ``/api/v1/status`` gives it, in the console's width."""
    console.print(render(status, narrow=console.width < _NARROW))


def render(status: Row, *, narrow: bool) -> RenderableType:
    """Return the tables of a status; ``narrow`` ones fit into 80 columns."""
    parts: list[RenderableType] = [_head(status)]
    if status["headlines"]:
        parts.append(_headlines(status))
    parts += (Text(), _gpus(status, narrow=narrow))
    if status["servers"]:
        parts += (Text(), _servers(status, narrow=narrow))
    parts += (Text(), _collectors(status, narrow=narrow))
    if status["exporters"]:
        parts += (Text(), _exporters(status))
    if status["events"]:
        parts += (Text(), _events(status))
    return Group(*parts)


def _head(status: Row) -> Text:
    counts = status["counts"]
    where = " in ".join(filter(None, (status["node"] or "this node", status["cluster"])))
    return Text.assemble(
        _said(where, "bold"),
        f"   {len(status['gpus'])} GPUs: {counts['ok']} ok, {counts['attention']} attention, "
        f"{counts['lost']} lost   ",
        (f"{words.span(status['age'])} old", "dim"),
    )


def _headlines(status: Row) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for headline in status["headlines"]:
        level = headline["level"]
        table.add_row(_said(level, _STYLES.get(level, "")), _said(headline["text"]))
    return table


def _said(text: str, style: str = "") -> Text:
    """Return foreign text for the terminal: no markup, and no control characters to steer it."""
    plain = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return Text(plain, style)


def _grid(*columns: str, right: frozenset[str] = frozenset()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
    for name in columns:
        side = "right" if name in right else "left"
        table.add_column(name, justify=side, no_wrap=name in right)  # type: ignore[arg-type]
    return table


def _gpus(status: Row, *, narrow: bool) -> RenderableType:
    if not status["gpus"]:
        return Text("No GPU is known on this node; see the collectors below.")
    numbers = ("Busy", "Memory, GiB", "Power, W", "Temp, °C")
    table = _grid("GPU", *(() if narrow else ("Model",)), *numbers, "Health", right=_RIGHT)
    for gpu in status["gpus"]:
        temperature = gpu["temperature"]
        model = () if narrow else (_said(words.short_model(gpu["model"])),)
        table.add_row(
            _said(gpu["index"] or words.short_id(gpu["id"])),
            *model,
            words.percent(gpu["utilization"]),
            _of(words.gib(gpu["memory"]["used"]), words.gib(gpu["memory"]["total"])),
            _of(words.whole(gpu["power"]), words.whole(gpu["power_limit"])),
            _of(words.whole(temperature["gpu"]), words.whole(temperature["limit"])),
            _said(gpu["verdict"], _STYLES.get(gpu["level"], "")),
        )
    return table


_RIGHT: Final = frozenset(
    {
        *(
            "Busy",
            "Memory, GiB",
            "Power, W",
            "Temp, °C",
            "Run",
            "Wait",
            "First token",
            "End to end",
        ),
        *("Tokens/s", "KV", "Errors", "Last data", "Took", "Sent", "Queue", "Dropped"),
    }
)


def _of(now: str, most: str) -> str:
    """Return ``now/most``; without a limit, or without a value, only what is there."""
    return now if words.UNKNOWN in {now, most} else f"{now}/{most}"


def _servers(status: Row, *, narrow: bool) -> Table:
    more = () if narrow else ("Errors",)
    columns = ("Server", "Model", "Run", "Wait", "First token", "End to end", "Tokens/s", "KV")
    table = _grid(*columns, *more, right=_RIGHT)
    for server in status["servers"]:
        style = _STYLES.get(server["level"], "")
        if not server["models"]:
            table.add_row(_said(server["name"], style), _said(server["verdict"], style))
        for model in server["models"]:
            errors = () if narrow else (words.whole(model["errors"]),)
            table.add_row(
                _said(server["name"], style),
                _said(model["name"].rpartition("/")[2] if narrow else model["name"]),
                words.whole(model["running"]),
                words.whole(model["waiting"]),
                _latency(model["time_to_first_token"]),
                _latency(model["request_duration"]),
                words.rate(model["generated_tokens_per_second"], ""),
                words.percent(model["kv_cache"]),
                *errors,
            )
    table.caption = "Latency of the last minute: p95, or the mean where there are no buckets."
    table.caption_justify = "left"
    return table


def _latency(latency: Row | None) -> str:
    if latency is None:
        return words.UNKNOWN
    p95 = latency["p95"]
    if p95 is None:
        return f"{words.seconds(latency['mean'])} mean"
    return f"{'> ' if p95['at_least'] else ''}{words.seconds(p95['value'])}"


def _collectors(status: Row, *, narrow: bool) -> Table:
    more = () if narrow else ("Took",)
    table = _grid("Collector", "State", "Last data", *more, "Detail", right=_RIGHT)
    for collector in status["collectors"]:
        problems = len(collector["problems"])
        detail = collector["detail"] or (
            "" if not problems else f"{problems} problem{'s' if problems > 1 else ''}"
        )
        took = () if narrow else (words.seconds(collector["duration"]),)
        table.add_row(
            _said(collector["name"]),
            _said(collector["status"], _STYLES.get(collector["level"], "")),
            _ago(status, collector["last_success"]),
            *took,
            _said(detail),
        )
    return table


def _exporters(status: Row) -> Table:
    table = _grid("Exporter", "Signal", "Sent", "Queue", "Dropped", "State", right=_RIGHT)
    for exporter in status["exporters"]:
        table.add_row(
            _said(exporter["name"]),
            _said(exporter["signal"]),
            words.whole(exporter["sent"]),
            words.whole(exporter["queued"]),
            words.whole(exporter["dropped"]),
            _said(exporter["verdict"], _STYLES.get(exporter["level"], "")),
        )
    return table


def _events(status: Row) -> Table:
    table = _grid("Events", "", "")
    for event in status["events"][:_EVENTS_SHOWN]:
        severity = event["severity"]
        table.add_row(
            _ago(status, event["time"]),
            Text(severity, _SEVERITIES.get(severity, "dim")),
            _said(event["body"]),
        )
    return table


def _ago(status: Row, then: float | None) -> str:
    return "never" if then is None else f"{words.span(status['taken_at'] - then)} ago"
