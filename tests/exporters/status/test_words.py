import pytest

from exporters.status import words


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.gib(76_772_540_416), "71.5"),
        (words.gib(None), words.UNKNOWN),
        (words.size(0), "0 B"),
        (words.size(47_185_920), "45.0 MiB"),
        (words.size(5 * 2**50), "5120.0 TiB"),
        (words.percent(0.0), "0 %"),
        (words.percent(0.001), "<1 %"),
        (words.percent(1.0), "100 %"),
        (words.percent(None), words.UNKNOWN),
        (words.whole(642.318, "W"), "642 W"),
        (words.whole(182_000), "182\N{NO-BREAK SPACE}000"),
        (words.rate(0), "0/s"),
        (words.rate(0.25), "0.25/s"),
        (words.rate(2520.4), "2\N{NO-BREAK SPACE}520/s"),
        (words.seconds(0.0000123), "12 µs"),
        (words.seconds(0.0083), "8.3 ms"),
        (words.seconds(1.254), "1.25 s"),
        (words.seconds(600), "10 min"),
        (words.seconds(None), words.UNKNOWN),
        (words.span(-1), "0 s"),
        (words.span(59), "59 s"),
        (words.span(600), "10 min"),
        (words.span(7200), "2 h"),
        (words.span(864_000), "10 d"),
        (words.short_id("GPU-1f2e3d4c-5b6a-7980-a1b2-c3d4e5f60718"), "GPU-1f2e3d4c"),
        (words.short_model("NVIDIA H100 80GB HBM3"), "H100 80GB HBM3"),
        (words.moment(0.0), "1970-01-01T00:00:00Z"),
    ],
)
def test_numbers_read_well(said: str, expected: str) -> None:
    """Numbers are short, have their unit, and are a dash where they are not known."""
    assert said == expected
