from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.probe.events import EventStream

WORD = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.lists(WORD, min_size=1, max_size=3), max_size=5), ENDS, st.data())
def test_events_come_out_however_the_stream_is_cut(
    events: list[list[str]], end: str, data: st.DataObject
) -> None:
    """Every event has the lines of its data, whatever ends lines and wherever chunks end."""
    text = "".join(
        "".join(f": comment{end}data: {line}{end}" for line in event) + end for event in events
    ).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    stream = EventStream("here")

    found = []
    for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True):
        found += stream.feed(text[start:stop])
    found += stream.feed(end.encode())  # the CR that might have been half of a CRLF

    assert found == ["\n".join(event).encode() for event in events]
    assert stream.any == bool(events)


def test_an_event_that_has_not_ended_is_not_told() -> None:
    """Data counts once the blank line after it has come."""
    stream = EventStream("here")

    assert stream.feed(b"\xef\xbb\xbfdata: 1\n") == []
    assert stream.feed(b"event: x\nid: 3\nretry: 1\n\n") == [b"1"]
