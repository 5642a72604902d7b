import pytest

from agent.collectors.scrape import Body, ScrapeError, text_of

SHOWN = "http://node:8000/metrics"


def test_utf8_is_text() -> None:
    """With or without a byte order mark, a page of UTF-8 comes through."""
    for mark in (b"", b"\xef\xbb\xbf"):
        text = text_of(Body(mark + 'up{é="ü"} 1\n'.encode(), complete=True), SHOWN)

        assert text == ('up{é="ü"} 1\n', 0, False)


def test_a_line_that_is_not_utf8_has_no_value() -> None:
    """A label in Latin-1 costs its line's number, and is counted; a comment goes."""
    body = Body(b'a 1\nb{x="\xe9"} 2\n# HELP d \xe9{}\n\xe9 4\nc 3\n', complete=True)

    assert text_of(body, SHOWN) == ('a 1\nb{x="\ufffd"} NaN\n\n\nc 3\n', 3, False)


@pytest.mark.parametrize(("complete", "expected"), [(True, "a 1\nb 12"), (False, "a 1\n")])
def test_half_a_number_is_not_a_number(complete: bool, expected: str) -> None:
    """Where only the end of the connection ended the page, an unfinished line is left out."""
    text = text_of(Body(b"a 1\nb 12", complete=complete), SHOWN)

    assert text == (expected, 0, not complete)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_metrics"),
        (b" \n\n", "not_metrics"),
        (b"\n <!DOCTYPE html><html>", "not_metrics"),
        ("up 1\n".encode("utf-16"), "bad_encoding"),
        ("up 1\n".encode("utf-16-le"), "bad_encoding"),
        (b"\x0a\x10\x00\x01protobuf", "bad_encoding"),
    ],
)
def test_what_is_no_text_of_metrics_is_refused(data: bytes, reason: str) -> None:
    """A web page, nothing at all and binary data have each their word and name the URL."""
    with pytest.raises(ScrapeError, match=SHOWN) as caught:
        text_of(Body(data, complete=True), SHOWN)

    assert caught.value.reason == reason
