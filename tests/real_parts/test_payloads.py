"""The pages that stand in for model servers: real ones, which go on as they began."""

import pytest

from tests.real_parts.payloads import CAPTURES, FIXTURES, page

COUNTERS = {
    "vllm": "vllm:generation_tokens_total{",
    "triton": "nv_inference_request_success{",
}


def value(text: str, start: str) -> float:
    """Return the value of the first series that begins so."""
    return next(float(line.split()[-1]) for line in text.split("\n") if line.startswith(start))


@pytest.mark.parametrize("server", CAPTURES)
def test_captures_are_served_as_they_are(server: str) -> None:
    """The first pages are the captures, to the byte."""
    for step, name in enumerate(CAPTURES[server]):
        assert page(CAPTURES[server], step) == (FIXTURES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("server", "counter"), COUNTERS.items())
def test_counters_go_on(server: str, counter: str) -> None:
    """After the last capture its counters move at the pace between the two, for as long as it is asked."""
    first, last, next_, much_later = (
        value(page(CAPTURES[server], step), counter) for step in (0, 1, 2, 100)
    )

    assert last > first
    assert next_ - last == pytest.approx(last - first)
    assert much_later - last == pytest.approx(99 * (last - first))


@pytest.mark.parametrize("server", COUNTERS)
def test_only_values_move(server: str) -> None:
    """A page that has moved on has the same series, and gauges as they were."""
    last, later = (page(CAPTURES[server], step).split("\n") for step in (1, 50))
    changed = [old for old, new in zip(last, later, strict=True) if old != new]

    assert [line.rpartition(" ")[0] for line in last if not line.startswith("#")] == [
        line.rpartition(" ")[0] for line in later if not line.startswith("#")
    ]
    assert not [line for line in changed if line.startswith(("#", "vllm:kv_cache_usage"))]
