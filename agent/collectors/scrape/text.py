"""A body as text: UTF-8, whole lines, and not a web page.

What arrives is judged by its content. Content types are not: servers send metrics under several, with
and without a version, and a wrong path answers ``text/plain`` as well.
"""

from typing import NamedTuple

from agent.collectors.scrape.fetch import Body
from agent.collectors.scrape.reasons import ScrapeError


class Text(NamedTuple):
    """A page to parse. ``undecodable`` lines have no value; ``cut`` says that the last line is left out."""

    text: str
    undecodable: int
    cut: bool


def text_of(body: Body, shown: str) -> Text:
    """Return the page as text. Raises `ScrapeError` where it cannot be metrics at all.

    A page that ends with the connection, without a line's end, may have lost the end of a number, which
    then looks like another number: that line is left out. So may one whose length a server counted in
    characters: it has some that are more than a byte.
    """
    data = body.data.removeprefix(b"\xef\xbb\xbf")  # the mark that some editors put before UTF-8
    _sniff(data[:512].lstrip(), shown)
    cut = not data.endswith(b"\n") and not (body.complete and data.isascii())
    if cut:
        data = data[: data.rfind(b"\n") + 1]
    try:
        return Text(data.decode(), 0, cut)
    except UnicodeDecodeError:
        lines = data.split(b"\n")
        text = "\n".join(line.decode() if _is_utf8(line) else _valueless(line) for line in lines)
        return Text(text, sum(not _is_utf8(line) for line in lines), cut)


def _sniff(start: bytes, shown: str) -> None:
    if not start:
        detail = f"{shown} answers an empty page; is the server still starting?"
        raise ScrapeError("not_metrics", detail)
    if start.startswith(b"<"):
        detail = f"{shown} answers a web page; configure the path that gives the metrics"
        raise ScrapeError("not_metrics", detail)
    if b"\x00" in start or start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ScrapeError("bad_encoding", f"{shown} answers something that is not UTF-8 text")


def _valueless(line: bytes) -> str:
    """Return a line that is not UTF-8 with NaN for its value, so that a sum which needs it is none."""
    series = line[: line.rfind(b"}") + 1].decode(errors="replace")
    return f"{series} NaN" if series and not line.startswith(b"#") else ""


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
