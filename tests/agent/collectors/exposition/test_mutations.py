"""Damaged pages of real servers, read line by line as the library reads each line.

`tests.agent.collectors.exposition.test_oracle` writes pages of its own; here the pages are captured ones,
with a few accidents: characters and lines that come, go, change places or are cut.
"""

from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.collectors.exposition import Parser
from tests.agent.collectors.exposition.oracle import Spoken, spoken

_PAGES: Final = sorted((Path(__file__).parents[3] / "fixtures").glob("*/*.txt"))
_CHARACTERS: Final = '{}",=\\ #\t\r_:0189aeE+-.NnIf\x0b\x85\u2028é'
_MOST_LINES: Final = 25


@cache
def lines_of(path: Path) -> tuple[str, ...]:
    """Return the lines of a captured page."""
    return tuple(path.read_text().split("\n"))


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Take a piece of a captured page, and let a few accidents happen to it."""
    lines = lines_of(draw(st.sampled_from(_PAGES)))
    start = draw(st.integers(0, max(0, len(lines) - 2)))
    piece = list(lines[start : start + draw(st.integers(1, _MOST_LINES))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(piece) - 1))
        line = piece[at]
        where = draw(st.integers(0, len(line)))
        accident = draw(st.sampled_from(("insert", "replace", "delete", "cut", "repeat", "swap")))
        match accident:
            case "insert" | "replace":
                character = draw(st.sampled_from(_CHARACTERS))
                piece[at] = line[:where] + character + line[where + (accident == "replace") :]
            case "delete":
                piece[at] = line[:where] + line[where + 1 :]
            case "cut":
                piece[at] = line[:where]
            case "repeat":
                piece.insert(draw(st.integers(0, len(piece))), line)
            case "swap":
                other = draw(st.integers(0, len(piece) - 1))
                piece[at], piece[other] = piece[other], piece[at]
    return "\n".join(piece)


def by_the_library(text: str) -> tuple[Spoken, int]:
    """Return the samples of all lines that the library reads, each alone, and how many it refuses."""
    samples: Spoken = defaultdict(list)
    refused = 0
    for line in text.split("\n"):
        if line.strip().startswith("#") or not line.strip():
            continue
        try:
            families = list(text_string_to_metric_families(line))
            found = [
                (each.name, (dict(each.labels), repr(float(each.value))))
                for family in families
                for each in family.samples
            ]
        except (ValueError, IndexError, KeyError, AttributeError, OverflowError):
            refused += 1
            continue
        for name, sample in found:
            samples[name].append(sample)
    return dict(samples), refused


def disagreement(before: str, text: str) -> str:
    """Say in what our parser differs, cold, warm, and warm from another page; empty where in nothing."""
    expected, refused = by_the_library(text)
    names = {*expected, *by_the_library(before)[0]}
    cold, other = Parser(names), Parser(names)
    other.parse(before)
    types = sum(line.lstrip()[:1] == "#" and "TYPE" in line for line in text.split("\n"))
    for state, parser in (("cold", cold), ("warm", cold), ("from another page", other)):
        page = parser.parse(text)
        if spoken(page) != expected:
            return f"{state}: {spoken(page)} is not {expected}"
        if not refused <= page.malformed <= refused + types:
            return f"{state}: {page.malformed} malformed lines are not {refused}"
    return ""


@settings(max_examples=250, deadline=None)
@given(damaged(), damaged())
@example("", 'x{a="1"} 1\nx{a="1"} 0\t.0')
@example("", "#{ TYPE {")
def test_a_damaged_page_is_read_line_by_line_as_the_library_reads_it(
    before: str, text: str
) -> None:
    """Whatever was on the page before, and whatever happened to this one."""
    assert disagreement(before, text) == ""
