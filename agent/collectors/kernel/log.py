"""What a kernel log is to the collector, whether it is a device or a file."""

from typing import NamedTuple, Protocol

from agent.snapshot import Problem


class Record(NamedTuple):
    """One line. ``age`` is how long ago it was written, seconds; `None` where that is not known."""

    message: bytes
    age: float | None = None


class Portion(NamedTuple):
    """What one reading gave. ``more``: there is more to be had at once."""

    records: tuple[Record, ...] = ()
    problems: tuple[Problem, ...] = ()
    more: bool = False


class KernelLog(Protocol):
    """A kernel log that remembers where it was read up to.

    The position is a small JSON object; one that is not this log's own is as good as none, which means
    the end of the log: what is there already was somebody else's to report.
    """

    def open(self, position: object) -> None:
        """Open the log behind ``position``. Raises `agent.collector.Unavailable`, or `OSError`."""
        ...

    def read(self) -> Portion:
        """Return a bounded portion of what was written since; never waits. Raises `OSError`."""
        ...

    def position(self) -> object:
        """Return where it was read up to."""
        ...

    def descriptor(self) -> int | None:
        """Return what becomes readable when something is written; `None` where nothing does."""
        ...

    def close(self) -> None:
        """Close it. Safe twice."""
        ...
