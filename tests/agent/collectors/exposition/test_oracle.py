import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.collectors.exposition import Parser
from tests.agent.collectors.exposition.oracle import assert_agrees, oracle, spoken

FIXTURES = Path(__file__).parents[3] / "fixtures"
PAGES = sorted(FIXTURES.glob("*/*.txt"))

NAMES = ("up", "vllm:x", "y_total", "x", "x_bucket", "x_sum", "x_count", "a_count")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
label_names = st.sampled_from(("le", "model_name", "engine", "a1"))
raw_values = st.text(st.characters(exclude_characters='\\"\n', exclude_categories=["Cs"]))
label_values = st.lists(
    st.one_of(raw_values, st.sampled_from((r"\\", r"\"", r"\n", r"\x", "}", " ", ",", "# ", "=")))
).map("".join)
numbers = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(repr),
    st.sampled_from(("NaN", "+Inf", "-Inf", "1e+06", "1.0", "0", "9223372036854775794")),
)


@st.composite
def sample_lines(draw: st.DrawFn) -> str:
    """Write one valid sample, in any of the spellings that the format allows."""
    labels = draw(st.dictionaries(label_names, label_values, max_size=3))
    gap = draw(st.sampled_from(("", " ")))
    inner = f",{gap}".join(f'{key}="{value}"' for key, value in labels.items())
    comma = draw(st.sampled_from(("", ","))) if labels else ""
    bare = draw(st.booleans()) and not labels
    braces = "" if bare else f"{{{inner}{comma}}}"
    space = draw(st.sampled_from((" ", "  ", "\t")))
    stamp = draw(st.sampled_from(("", " 1395066363000", " -3")))
    stamp = stamp if space != "\t" else ""
    around = draw(st.sampled_from(("", " ", "\t", "\r")))
    return f"{draw(st.sampled_from(NAMES))}{braces}{space}{draw(numbers)}{stamp}{around}"


comment_lines = st.one_of(
    st.builds(
        lambda name, kind: f"# TYPE {name} {kind}", st.sampled_from(NAMES), st.sampled_from(TYPES)
    ),
    st.builds(lambda name: f"# HELP {name} Some {{text}} \\n", st.sampled_from(NAMES)),
    st.sampled_from(("", "  ", "# a remark", "#", "# EOF", "#TYPE up gauge")),
)
pages = st.lists(st.one_of(sample_lines(), comment_lines), max_size=30).map("\n".join)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_captured_page_reads_as_the_library_reads_it(path: Path) -> None:
    """On real pages, names, labels, values and types are the library's, cold and warm."""
    text = path.read_text()
    expected, _ = oracle(text)

    page = assert_agrees(Parser(expected), text)

    assert sum(map(len, page.samples.values())) > 2


@settings(max_examples=300, deadline=None)
@given(pages)
def test_any_valid_page_reads_as_the_library_reads_it(text: str) -> None:
    """Escapes, spaces, commas, time stamps, odd numbers and families in any order change nothing."""
    parser = Parser(NAMES)
    expected, _ = oracle(text)

    cold, warm = parser.parse(text), parser.parse(text)

    assert spoken(cold) == expected
    assert spoken(warm) == expected
    assert cold.malformed == 0


@settings(max_examples=400, deadline=None)
@given(sample_lines(), st.integers(0, 80), st.sampled_from('{}",=\\ #\t_0a\x85é'), st.booleans())
@example("up 1_000", 99, " ", False)
@example('x{a="1",a="2"} 1', 99, " ", False)
@example('x{__name__="y"} 1', 99, " ", False)
@example('x{a="b"} 5 # {trace_id="abc"} 0.5 1.5', 99, " ", False)
@example('{"vllm:x",a="b"} 1', 99, " ", False)
@example("up 1 2 3", 99, " ", False)
@example(r"""u{le=""} 0""", 1, " ", True)
@example("up " + "1" * 400, 99, " ", False)
def test_a_damaged_line_is_read_or_refused_as_the_library_does(
    line: str, position: int, damage: str, insert: bool
) -> None:
    """One character more or another one: what the library refuses is counted, the rest is equal."""
    line = line[:position] + damage + line[position + (not insert) :]
    if line.strip().startswith("#"):
        return
    try:
        families = list(text_string_to_metric_families(line))
        expected = [
            (sample.name, dict(sample.labels), repr(float(sample.value)))
            for family in families
            for sample in family.samples
        ]
    except (ValueError, IndexError, KeyError, OverflowError):
        expected = []
    parser = Parser(name for name, _, _ in expected)

    for _ in range(2):
        page = parser.parse(line)

        assert page.malformed == (0 if expected or not line.strip() else 1)
        assert [
            (name, labels, value)
            for name, samples in spoken(page).items()
            for labels, value in samples
        ] == expected


def test_values_change_while_the_series_stay() -> None:
    """A warm parser gives the values of the page at hand, not those of the page before."""
    parser = Parser({"x"})
    parser.parse('x{a="1"} 1\nx{a="2"} 2')

    page = parser.parse('x{a="2"} 20\nx{a="1"} NaN')

    (second, two), (first, one) = page.samples["x"]
    assert (second.labels["a"], two) == ("2", 20)
    assert first.labels["a"] == "1"
    assert math.isnan(one)
