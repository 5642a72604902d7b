from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.amounts import Combining, Family
from agent.collectors.serving.labels import Labels, Reader
from agent.collectors.serving.profile import Native, Source
from agent.collectors.serving.profiles.sglang import SGLANG
from agent.collectors.serving.rows import Histograms

_SERIES: Final = [(model, rank, part) for model in "mn" for rank in "01" for part in "ab"]
_Row = dict[tuple[str, str, str], str]
_counts = st.sampled_from(("0", "1", "2", "2", "5", "70", "NaN", "-1"))
_pages = st.lists(
    st.dictionaries(st.sampled_from(_SERIES), _counts, min_size=1, max_size=6),
    min_size=2,
    max_size=8,
)
_SOURCES: Final = (
    (Source(name="x_total", native=Native.COUNTER), Combining.ADD),
    (Source(name="x", native=Native.GAUGE), Combining.ADD),
    (Source(name="x", native=Native.GAUGE), Combining.ALONE),
    (Source(name="x", native=Native.GAUGE), Combining.SAME),
    (Source(name="x", native=Native.GAUGE, sentinels=(5.0,)), Combining.ADD),
    (Source(name="x", native=Native.GAUGE, newest=True), Combining.ADD),
    (Source(name="x", native=Native.GAUGE, value_label="part"), Combining.ADD),
)


def family(source: Source, combining: Combining) -> Family:
    """Return what reads a source of a server whose ranks repeat each other."""
    return Family(source, Labels(Reader(SGLANG, "chat"), source, of_server=False), combining)


def page_of(name: str, row: _Row) -> str:
    """Write a page with one family."""
    return "".join(
        f'{name}{{model_name="{model}",tp_rank="{rank}",part="{part}"}} {value}\n'
        for (model, rank, part), value in row.items()
    )


@pytest.mark.parametrize(("source", "combining"), _SOURCES)
@settings(max_examples=120, deadline=None)
@given(rows=_pages)
@example(rows=[{("m", "0", "a"): "5", ("m", "0", "b"): "2"}] * 3)
@example(
    rows=[
        {("m", "0", "a"): "70", ("m", "0", "b"): "5"},
        {("m", "0", "a"): "70", ("m", "0", "b"): "1"},
        {("m", "0", "a"): "70"},
        {("m", "0", "a"): "70"},
    ]
)
def test_what_is_planned_is_what_would_be_worked_out(
    source: Source, combining: Combining, rows: list[_Row]
) -> None:
    """Values and faults are those of a reader that looks at every page as if it were the first."""
    name = source.samples[0]
    parser, planned, careful = Parser({name}), family(source, combining), family(source, combining)

    for row in [each for each in rows for _ in range(2)]:
        page, found, expected = parser.parse(page_of(name, row)), Faults("chat"), Faults("chat")
        careful._series = ()

        values, others = planned.read(page, found), careful.read(page, expected)

        assert values == others
        assert (values.refused, found.problems()) == (others.refused, expected.problems())


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("ab"), st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1
        ),
        min_size=2,
        max_size=8,
    )
)
def test_histograms_that_repeat_are_told_as_they_were(
    rows: list[dict[str, tuple[int, int]]],
) -> None:
    """What is handed out again is what would be read again, faults included: here, buckets that fall."""
    source = Source(name="h", native=Native.HISTOGRAM)
    reader = Reader(SGLANG, "chat")
    parser = Parser(source.samples)
    remembering, forgetful = (
        Histograms(source, Labels(reader, source, of_server=False)) for _ in range(2)
    )

    for row in [each for each in rows for _ in range(2)]:
        text = "".join(
            f'h_bucket{{model_name="m",part="{part}",le="1"}} {low}\n'
            f'h_bucket{{model_name="m",part="{part}",le="+Inf"}} {high}\n'
            f'h_sum{{model_name="m",part="{part}"}} {high}\n'
            for part, (low, high) in row.items()
        )
        page, found, expected = parser.parse(text), Faults("chat"), Faults("chat")
        forgetful._columns = []

        assert remembering.read(page, found) == forgetful.read(page, expected)
        assert found.problems() == expected.problems()
