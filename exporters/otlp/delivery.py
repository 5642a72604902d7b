"""What one attempt to deliver a request can come to: the contract between sender and transports."""

from typing import Final, NamedTuple, Protocol

MOST_WORDS: Final = 300
"""Characters of a receiver's own words that are kept: they go to a log line and the status page."""


class Encoded(NamedTuple):
    """One request, not compressed, and how many data points or log records it holds."""

    body: bytes
    items: int


class Receipt(NamedTuple):
    """The receiver took the request, but for ``rejected`` items; ``words`` are its own, if any."""

    rejected: int = 0
    words: str = ""


class Refused(Exception):  # noqa: N818 - an outcome, as the protocol names it
    """The receiver does not want this request, now or later."""


class Retryable(Exception):  # noqa: N818 - as above
    """Not delivered; worth trying again, not before ``after`` seconds where the receiver says so.

    ``answered`` is whether the receiver turned the request away, as opposed to not being reached.
    """

    def __init__(self, words: str, *, after: float | None = None, answered: bool = False) -> None:
        super().__init__(words)
        self.after = after
        self.answered = answered


class Transport(Protocol):
    """Carries requests of one signal to one receiver. Opens lazily; used by one sender at a time."""

    def pack(self, body: bytes) -> bytes:
        """Return what to keep and send for an encoded request: compressed, where that is ours to do."""
        ...

    async def send(self, packed: bytes) -> Receipt:
        """Deliver once. Raises `Refused` or `Retryable`."""
        ...

    async def close(self) -> None:
        """Let go of the connection; safe twice and before the first `send`."""
        ...


def one_line(words: str) -> str:
    """Return a receiver's words as one printable line of at most `MOST_WORDS` characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in words).split())
    return line if len(line) <= MOST_WORDS else f"{line[:MOST_WORDS]}..."
