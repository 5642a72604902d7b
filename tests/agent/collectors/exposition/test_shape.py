from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.collectors.exposition import Page, Parser
from agent.collectors.exposition import shape as module
from agent.collectors.exposition.shape import Repetition, Shape, shape_of
from tests.agent.collectors.exposition.oracle import Spoken, spoken

_PAGES: Final = sorted((Path(__file__).parents[3] / "fixtures").glob("*/*.txt"))
_WANTED: Final = ("x", "x_sum", "up")
_PAGE: Final = """# HELP x What it is.
# TYPE x gauge
x{a="1",b="} "} 1
other{a="1"} 7
x{a="2"} 2.5
# TYPE x_sum counter
x_sum 1e+06
up 1

bare 3
"""
_CHARACTERS: Final = '{}",=\\ #\t\r_:0189aeE+-.NnIf\x0b\x85\u2028é\n'


def shape(text: str = _PAGE) -> Shape:
    """Return the shape of a page, which must have one."""
    found = shape_of(text, Parser(_WANTED).parse(text))
    assert found is not None
    return found


def said(page: Page | None) -> Spoken:
    """Return the samples of a page that was read; -0.0 is 0.0."""
    assert page is not None
    return {
        name: [(labels, value.replace("-0.0", "0.0")) for labels, value in samples]
        for name, samples in spoken(page).items()
    }


def test_values_are_those_of_the_page_at_hand() -> None:
    """A page that differs in values alone is read without a look at its labels; types are kept."""
    text = _PAGE.replace(" 1\n", " 100\n").replace("2.5", "NaN").replace(" 7\n", " 8\n")
    known = shape()

    page = known.read(text)

    assert said(page) == said(Parser(_WANTED).parse(text))
    assert page is not None
    assert (page.type_of("x"), page.type_of("x_sum")) == ("gauge", "counter")
    assert known.fitted


def test_what_did_not_move_is_the_same_object() -> None:
    """Whoever reads on sees at one look that nothing happened."""
    known = shape()

    one, other = known.read(_PAGE), known.read(_PAGE.replace(" 2.5\n", " 3\n"))

    assert one is not None
    assert other is not None
    assert one.samples["x"] is not other.samples["x"]
    assert one.samples["x"].series is other.samples["x"].series
    assert one.samples["x_sum"] is other.samples["x_sum"]
    assert one.types is other.types


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.5", "1_000"),
        ("2.5", "nine"),
        ("2.5", ""),
        ("2.5", " 2.5"),
        ("2.5", "2.5 "),
        ("2.5", "2.5 1395066363000"),
        ("2.5", "2.5\t6"),
        ("2.5", "0x10"),
        ("2.5", "٣"),
        ("2.5", "1" * 70_000),
        ('a="2"', 'a="3"'),
        ("# TYPE x gauge", "# TYPE x gaugehistogram"),
        ("# TYPE x_sum counter\n", ""),
        ("other{", "another{"),
        ("bare 3", "x 3"),
        ("\n\n", "\nx 3\n"),
        ("up 1\n", "up 1\nup 1\n"),
        ("up 1\n", ""),
    ],
)
def test_whatever_is_another_page_is_left_to_the_parser(old: str, new: str) -> None:
    """A line more or less, another type or label, a value that is written in an unusual way."""
    assert shape().read(_PAGE.replace(old, new, 1)) is None


@pytest.mark.parametrize(
    "line",
    [
        'x{a="3"} 5 5',
        'x{a="3"} 5 # {trace="b"} 5',
        'x{a="3"}  5',
        ' x{a="3"} 5',
        'x {a="3"} 5',
        "x\t5",
        'x{a="3"} five',
        '{"x",a="3"} 5',
        '{"y",a="3"} 5',
        " # TYPE y gauge",
        "# TYPE y nonsense",
    ],
)
def test_a_page_with_an_unusual_line_has_no_shape(line: str) -> None:
    """Time stamps, exemplars, blanks and quoted names: what a value is there, the parser alone knows."""
    text = f"{_PAGE}{line}\n"

    assert shape_of(text, Parser(_WANTED).parse(text)) is None


@st.composite
def two_pages(draw: st.DrawFn) -> tuple[str, str]:
    """Take a piece of a captured page, and the same piece after accidents to some of its characters."""
    lines = draw(st.sampled_from(_PAGES)).read_text().split("\n")
    start = draw(st.integers(0, max(0, len(lines) - 2)))
    text = "\n".join(lines[start : start + draw(st.integers(1, 12))])
    damaged = text
    for _ in range(draw(st.integers(0, 3))):
        at, new = draw(st.integers(0, len(damaged))), draw(st.sampled_from(_CHARACTERS))
        damaged = damaged[:at] + new + damaged[at + draw(st.integers(0, 2)) :]
    return text, damaged


@settings(max_examples=400, deadline=None)
@given(two_pages())
@example(('x{a="1"} 1\nx 2', 'x{a="1"} 1\nx 3'))
@example(('x{a="1"} 1', 'x{a="1"} -0.0'))
def test_what_a_shape_reads_a_cold_parser_reads_as_well(pages: tuple[str, str]) -> None:
    """Either the shape leaves a page to the parser, or both come to the same, types and faults included."""
    before, text = pages
    names = {line.partition("{")[0].partition(" ")[0] for line in before.split("\n")} | {"x"}
    known = shape_of(before, Parser(names).parse(before))

    page = known.read(text) if known else None

    if page is not None:
        expected = Parser(names).parse(text)
        assert said(page) == said(expected)
        assert (page.types, page.malformed, page.broken) == (expected.types, 0, expected.broken)


def test_a_shape_is_learned_where_pages_stay_as_long() -> None:
    """One page tells nothing yet; the second of its length does."""
    repetition, page = Repetition(), Parser(_WANTED).parse(_PAGE)

    repetition.learn(_PAGE, page)
    first = repetition.read(_PAGE)
    repetition.learn(_PAGE, page)

    assert first is None
    assert said(repetition.read(_PAGE)) == said(page)


def test_a_large_page_is_not_taken_apart_as_a_whole() -> None:
    """All lines of a page at once take more memory than the page: above a mebibyte that is too much."""
    repetition, large = Repetition(), _PAGE.replace("bare 3", f"bare {'3' * 2**20}")
    page = Parser(_WANTED).parse(large)

    for _ in range(2):
        repetition.learn(large, page)
    other = Repetition()
    for _ in range(2):
        other.learn(_PAGE, Parser(_WANTED).parse(_PAGE))

    assert repetition.read(large) is None
    assert other.read(large) is None
    assert other.read(_PAGE) is not None


def test_pages_that_never_repeat_are_seldom_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where labels change with each page, learning would be work for nothing: it is tried now and then."""
    tried: list[str] = []

    def counted(text: str, page: Page) -> Shape | None:
        tried.append(text)
        return shape_of(text, page)

    monkeypatch.setattr(module, "shape_of", counted)
    parser = Parser(_WANTED)

    for number in range(100, 200):
        parser.parse(_PAGE.replace('a="2"', f'a="{number}"'))

    assert 5 <= len(tried) <= 10
