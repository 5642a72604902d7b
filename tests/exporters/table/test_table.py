import json
from dataclasses import asdict, replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from agent.snapshot import Snapshot
from exporters.status.history import History
from exporters.status.node import node_view
from exporters.status.words import UNKNOWN
from exporters.table import print_status
from tests.exporters import snapshots


def status_of(snapshot: Snapshot) -> Any:
    """Return the JSON of a snapshot, with a minute of history."""
    history = History()
    for second in range(0, 61, 3):
        history.feed(snapshots.full(1, elapsed=float(second - 60)))
    view = node_view(snapshot, history, node="node-a", cluster="prod", now=snapshot.taken_at + 2)
    return json.loads(json.dumps(asdict(view)))


def printed(status: Any, width: int, **settings: Any) -> str:
    """Return what is printed on a console of this width."""
    out = StringIO()
    print_status(status, Console(file=out, width=width, **settings))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(width: int) -> None:
    """No line is longer than the terminal, and no number is cut."""
    text = printed(status_of(snapshots.full(1, elapsed=60.0)), width)

    assert max(map(len, text.splitlines())) <= width
    for number in ("71.5/80.0", "511/700", "86/87", "97 %", "73 %", "12.3 ms mean"):
        assert number in text


def test_what_is_wrong_stands_first() -> None:
    """The counts, then the headlines, worst first, then the tables."""
    lines = printed(status_of(snapshots.full()), 120).splitlines()

    assert lines[0].startswith("node-a in prod   8 GPUs: 4 ok, 3 attention, 1 lost   2 s old")
    assert lines[1].split()[:3] == ["lost", "GPU", "7:"]


def test_wide_terminals_see_more() -> None:
    """With room for it, the model of the GPU and the errors of a server are shown."""
    status = status_of(snapshots.full())

    assert "H100 80GB HBM3" in printed(status, 120)
    assert "H100 80GB HBM3" not in printed(status, 80)


def test_values_of_a_lost_gpu_are_dashes() -> None:
    """A lost GPU shows no number."""
    text = printed(status_of(snapshots.full()), 120)

    (line,) = [line for line in text.splitlines() if line.startswith("7 ")]
    assert line.split("HBM3")[1].split()[:4] == [UNKNOWN] * 4


def test_empty_node_says_why() -> None:
    """Without GPUs the table gives way to a sentence, and the collector says why."""
    text = " ".join(printed(status_of(snapshots.empty()), 80).split())

    assert "No GPU is known on this node" in text
    assert "libnvidia-ml.so.1 was not found" in text


def test_no_colour_without_a_terminal() -> None:
    """Into a pipe goes plain text; into a terminal, colour."""
    status = status_of(snapshots.full())

    assert "\x1b" not in printed(status, 80)
    assert "\x1b[" in printed(status, 80, force_terminal=True, color_system="standard")


def test_foreign_words_cannot_steer_the_terminal() -> None:
    """Control characters and markup in names and messages are shown, not obeyed."""
    full = snapshots.full()
    nasty = "[red]x[/red]\x1b[2J\x07\u202e"
    state = replace(full.collectors[1], name=nasty, detail=nasty)

    text = printed(status_of(replace(full, collectors=(state,))), 120)

    assert "[red]x[/red]" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
