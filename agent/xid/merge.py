"""Makes one error of what two sources saw: NVML's event set and the kernel log report the same XID.

Neither can be trusted alone (a VM may have no event set, a container no kernel log; a hung library tells
late, a full kernel log loses lines), and together they would count twice. So sightings of the same error
are paired one to one: each sighting of one source cancels at most one of the other, within a few seconds.
What is left over was seen by one source only, and counts as well.
"""

from collections import deque
from typing import Final

from agent.xid.sighting import Sighting, Source

SLACK: Final = 5.0
"""Seconds by which the two sources may disagree on when it happened."""
_PER_KEY: Final = 1000
"""Sightings of one error that wait for a twin; a storm beyond that may count twice, and stays bounded."""

Key = tuple[str, int]


class Unpaired:
    """A sighting that may still meet its twin. ``held``: nothing was told of it yet."""

    __slots__ = ("held", "paired", "sighting")

    def __init__(self, sighting: Sighting, *, held: bool) -> None:
        self.sighting = sighting
        self.held = held
        self.paired = False


class Twins:
    """Remembers what one source saw until the other one saw it too."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Source, Key], deque[Unpaired]] = {}

    def take(self, key: Key, sighting: Sighting) -> Unpaired | None:
        """Return the oldest sighting of the other source that is the same error, and forget it."""
        other: Source = "kernel" if sighting.source == "nvml" else "nvml"
        waiting = self._waiting.get((other, key))
        if waiting is None:
            return None
        for position, one in enumerate(waiting):
            if _same(one.sighting, sighting):
                del waiting[position]
                one.paired = True
                return one
        return None

    def leave(self, key: Key, sighting: Sighting, *, held: bool = False) -> Unpaired:
        """Remember a sighting that has no twin yet."""
        one = Unpaired(sighting, held=held)
        waiting = self._waiting.setdefault((sighting.source, key), deque(maxlen=_PER_KEY))
        waiting.append(one)
        return one

    def forget(self, source: Source, before: float) -> None:
        """Forget what ``source`` saw before that time (Unix seconds): its twin cannot come any more."""
        for key in [key for key in self._waiting if key[0] == source]:
            waiting = self._waiting[key]
            while waiting and waiting[0].sighting.time < before:
                waiting.popleft()
            if not waiting:
                del self._waiting[key]


def _same(one: Sighting, other: Sighting) -> bool:
    return one.since - SLACK <= other.time and other.since - SLACK <= one.time
