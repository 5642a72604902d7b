"""Joins a request with its answer by the event's id, whichever comes first, in bounded memory.

Events come out of order, twice, or alone: a logger may log only one side. What stays alone for long is
told alone. An id that was told already is a replay.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

PATIENCE: Final = 60.0
"""Seconds that one side waits for the other: longer than most answers take."""
MOST_WAITING: Final = 5_000
MOST_VALUES: Final = 2_000_000
"""Values that all waiting sides may hold together, some 100 MB at worst; the oldest is told alone then."""
_BYTES_OF_A_VALUE: Final = 4
"""In JSON, at least, on average."""
REMEMBERED: Final = 50_000
"""Ids that are known to be replays if they come again."""


@dataclass(slots=True)
class Side:
    """A request or its answer: columns, and when it was (Unix seconds, by its own clock).

    ``size`` is that of its body in bytes.
    """

    columns: dict[str, list[object]]
    time: float | None = None
    version: str = ""
    size: int = 0
    values: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the values once: a vector by its length, and texts and what is nested by the body's."""
        told = sum(
            len(value) if isinstance(value, list) else 1
            for column in self.columns.values()
            for value in column
        )
        self.values = max(told, self.size // _BYTES_OF_A_VALUE)


@dataclass(slots=True)
class Pair:
    """What is known of one inference; a side that is not there is `None`."""

    model: str
    event: str
    came: float
    """When the first side came, Unix seconds by our clock."""
    request: Side | None = None
    response: Side | None = None

    @property
    def values(self) -> int:
        """How many values it holds."""
        return sum(side.values for side in (self.request, self.response) if side)


class Pairing:
    """Sides that wait for their other one. Not for several threads."""

    def __init__(
        self,
        *,
        patience: float = PATIENCE,
        most_waiting: int = MOST_WAITING,
        most_values: int = MOST_VALUES,
        remembered: int = REMEMBERED,
    ) -> None:
        self._patience = patience
        self._most_waiting = most_waiting
        self._most_values = most_values
        self._remembered = remembered
        self._waiting: OrderedDict[tuple[str, str], Pair] = OrderedDict()
        self._values = 0
        self._told: OrderedDict[tuple[str, str, bool], None] = OrderedDict()

    def add(
        self, model: str, event: str, side: Side, *, answer: bool, now: float
    ) -> list[Pair] | None:
        """Take in one side; return what is complete now, and what has to make room; `None` for a replay."""
        if (model, event, answer) in self._told:
            return None
        self._remember((model, event, answer))
        key = model, event
        pair = self._waiting.pop(key, None) or Pair(model, event, now)
        self._values -= pair.values
        if answer:
            pair.response = side
        else:
            pair.request = side
        if pair.request and pair.response:
            return [pair]
        self._waiting[key] = pair
        self._values += pair.values
        return list(self._too_many())

    def overdue(self, now: float) -> list[Pair]:
        """Return those that waited for too long."""
        found = []
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            waited = now - oldest.came
            if 0 <= waited < self._patience:
                break
            found.append(self._pop())  # also where the clock was set back: nothing waits for ever
        return found

    def _too_many(self) -> Iterator[Pair]:
        while len(self._waiting) > self._most_waiting or self._values > self._most_values:
            yield self._pop()

    def _pop(self) -> Pair:
        _, pair = self._waiting.popitem(last=False)
        self._values -= pair.values
        return pair

    def _remember(self, key: tuple[str, str, bool]) -> None:
        self._told[key] = None
        if len(self._told) > self._remembered:
            self._told.popitem(last=False)
