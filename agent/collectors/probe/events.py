"""Reads a stream of server-sent events, as the HTML standard defines them, no more of it than may be."""

from typing import Final

from agent.collectors.probe.outcome import ProbeError

MAX_EVENT: Final = 64 * 1024
"""Bytes of one event; one of a completion has some hundred."""


class EventStream:
    """Takes bytes as they come, cut anywhere, and gives the data of the events that are complete."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._rest = b""
        self._data: list[bytes] = []
        self._begun = False
        self.any = False
        """Whether there was an event yet."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that ends within ``chunk``. Raises `ProbeError`."""
        found = []
        for line in self._lines(chunk):
            if not line and self._data:
                found.append(b"\n".join(self._data))
                self._data, self.any = [], True
            elif line:
                self._take(line)
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT:
            raise ProbeError("too_large", f"{self._where} streams an event without an end")
        return found

    def _lines(self, chunk: bytes) -> list[bytes]:
        """Return whole lines. A CR at the end may be half of a line's end, so it waits."""
        data = self._rest + chunk
        if not self._begun and data:
            data, self._begun = data.removeprefix(b"\xef\xbb\xbf"), True
        held = b"\r" if data.endswith(b"\r") else b""
        data = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        self._rest = rest + held
        return lines

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name not in (b"", b"event", b"id", b"retry"):
            raise ProbeError("malformed", f"{self._where} answers something else than events")
